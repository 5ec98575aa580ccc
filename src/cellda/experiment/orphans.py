"""Stored results that no run of today asks for, because cellda or a library that computes them has changed."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from cellda.data.pixel_cache import FRAMING, READING
from cellda.experiment.keys import STAGES
from cellda.plugins.code_digest import shared_code
from cellda.runtime import progress
from cellda.runtime.place import written
from cellda.runtime.room import in_words
from cellda.runtime.storage.entry_state import Entry, State
from cellda.runtime.storage.inventory import entries
from cellda.runtime.storage.store import KEYS, Store, digest
from cellda.runtime.versions import COMPUTING, versions
from cellda.text import agreeing, counted

SAID = "orphans_said.json"


def orphaned(key: Mapping[str, Any]) -> str | None:
    """Why no run of today asks for the entry with this key; None if one may."""
    if key.get("keys") != KEYS:
        return "made by an earlier cellda"
    searched = key.get("search", {})
    stated = {**key.get("versions", {}), **searched.get("versions", {})}
    changed = [
        f"{name} {was} -> {now}" for name, now in versions(*stated).items() if (was := stated[name]) != now
    ]
    if changed:
        return ", ".join(changed)
    codes = [key.get("computing"), searched.get("computing")]
    return "the code of cellda has changed" if {*codes} - {*_codes(), None} else None


def announce(store: Store) -> None:
    """Say what is orphaned, once for every change of cellda or of a library: the store remembers what was said.

    Nothing is said of a bucket: other machines may have what this one has not, and every key would be fetched.
    """
    if store.remote is not None:
        return
    now = digest({"keys": KEYS, "codes": _codes(), "versions": versions(*COMPUTING)})
    file = store.root / SAID
    try:
        if json.loads(file.read_text(encoding="utf-8"))["digest"] == now:
            return
    except (OSError, ValueError, KeyError, TypeError):
        pass
    left = [entry for entry in entries(store, orphaned) if entry.state is State.ORPHANED]
    if left:
        _say(left, store)
    with suppress(OSError), written(file) as part:  # if it cannot be remembered, it is said again
        part.write_text(json.dumps({"digest": now}) + "\n", encoding="utf-8")


def _say(left: Sequence[Entry], store: Store) -> None:
    ((why, _),) = Counter(entry.why for entry in left).most_common(1)
    size = in_words(sum(entry.size for entry in left))
    progress.note(
        f"{counted(len(left), 'stored result(s)')} ({size}) in {store} {agreeing(len(left), '(is|are)')} orphaned, "
        "mostly by "
        f"this: {why}. Nothing uses {agreeing(len(left), '(it|them)')} any more; `cellda store clear --orphaned` removes "
        f"{agreeing(len(left), '(it|them)')}."
    )


def _codes() -> list[str]:
    """The hashes that the keys of today's stages hold."""
    pixels = (READING, (*READING, *FRAMING))
    return [shared_code(code) for code in (*pixels, *(stage.code for stage in STAGES.values()))]
