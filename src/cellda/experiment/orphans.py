"""Stored results that no run of today asks for, because cellda or a library that computes them has changed."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from cellda.data.pixel_cache import FRAMING, READING
from cellda.experiment.keys import STAGES
from cellda.plugins.code_digest import shared_code
from cellda.runtime import progress
from cellda.runtime.inventory import State, entries
from cellda.runtime.place import written
from cellda.runtime.room import in_words
from cellda.runtime.store import KEYS, Store, digest
from cellda.runtime.versions import COMPUTING, versions

SAID = "orphans_said.json"


def orphaned(key: Mapping[str, Any]) -> str | None:
    """Why no run of today asks for the entry with this key; None if one may."""
    if key.get("keys") != KEYS:
        return "made by an earlier cellda"
    stated = key.get("versions", {})
    changed = [
        f"{name} {was} -> {now}" for name, now in versions(*stated).items() if (was := stated[name]) != now
    ]
    if changed:
        return ", ".join(changed)
    codes = [key.get("computing"), key.get("search", {}).get("computing")]
    return "the code of cellda has changed" if {*codes} - {*_codes(), None} else None


def announce(store: Store) -> None:
    """Say what is orphaned, once for every change of cellda or of a library: the store remembers what was said."""
    now = digest({"keys": KEYS, "codes": _codes(), "versions": versions(*COMPUTING)})
    file = store.root / SAID
    try:
        if json.loads(file.read_text(encoding="utf-8"))["digest"] == now:
            return
    except (OSError, ValueError, KeyError, TypeError):
        pass
    left = [entry for entry in entries(store, orphaned) if entry.state is State.ORPHANED]
    if not left:
        return
    ((why, _),) = Counter(entry.why for entry in left).most_common(1)
    size = in_words(sum(entry.size for entry in left))
    progress.note(
        f"{len(left)} stored results ({size}) in {store.root} are orphaned, most of them by this: {why}. They are not "
        "used any more; `cellda store clear --orphaned` removes them."
    )
    with written(file) as part:
        part.write_text(json.dumps({"digest": now}) + "\n", encoding="utf-8")


def _codes() -> list[str]:
    """The hashes that the keys of today's stages hold."""
    pixels = (READING, (*READING, *FRAMING))
    return [shared_code(code) for code in (*pixels, *(stage.code for stage in STAGES.values()))]
