"""What lies in a store: every entry with its size, age and state; and the removal of those that are not wanted."""

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from cellda.runtime.content_index import NAME
from cellda.runtime.lock import LockedError, locked
from cellda.runtime.manifest import damage
from cellda.runtime.store import DAMAGED, DIGITS, KEY, LOCK, PARTIAL, Store, misplaced

_NAME = re.compile(
    rf"[0-9a-f]{{{DIGITS}}}(?P<rest>{re.escape(PARTIAL)}|{re.escape(DAMAGED)}(\.\d+)?|{re.escape(LOCK)})?"
)


class State(Enum):
    """What has become of an entry."""

    USABLE = "usable"
    ORPHANED = "orphaned"
    PARTIAL = "partial"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class Entry:
    """One entry of a store.

    Attributes:
        place: Its folder, or what lies in its place.
        state: What has become of it.
        size: Bytes of its files.
        changed: When it was changed last, in seconds since 1970.
        why: What is orphaned or damaged about it; empty otherwise.
    """

    place: Path
    state: State
    size: int
    changed: float
    why: str = ""

    @property
    def kind(self) -> str:
        """The stage that it is the result of."""
        return self.place.parent.name

    @property
    def age(self) -> float:
        """Days since it was changed last."""
        return (time.time() - self.changed) / 86400


Orphaned = Callable[[Mapping[str, Any]], str | None]
"""Why no run of today asks for the entry with this key; None if one may."""


def entries(store: Store, orphaned: Orphaned, *, verify: bool = False) -> list[Entry]:
    """All entries of a store, by kind and name; nothing else in its folder is touched or counted.

    Args:
        store: The store.
        orphaned: Judges an entry by its key.
        verify: Whether to read all files, and report those entries as damaged that are not as they were written.
    """
    found = []
    for place in sorted(store.root.glob("*/*"), key=lambda place: (place.parent.name, place.name)):
        name = _NAME.fullmatch(place.name)
        linked = place.is_symlink() and place.exists()  # to what somebody else keeps
        if name is None or name["rest"] == LOCK or linked:
            continue
        state, why = _state(place, name["rest"] or "", orphaned, verify)
        size, changed = _extent(place)
        found.append(Entry(place, state, size, changed, why))
    return found


def remembered(store: Store) -> list[Path]:
    """The files in which the hashes of images that were read before are kept; without them, images are read again."""
    return sorted(store.root.glob(f"{NAME}*"))


def remove(entry: Entry) -> bool:
    """Remove an entry, unless a process works on it; returns whether it was removed.

    Raises:
        OSError: If it may not be removed.
    """
    if not os.path.lexists(entry.place):
        return True
    final = entry.place.with_name(entry.place.name[:DIGITS])
    try:
        with locked(final.with_name(final.name + LOCK)):
            # Under another name first: what is half removed must not be taken for an entry.
            going = entry.place.with_name(final.name + PARTIAL) if entry.place == final else entry.place
            if misplaced(entry.place):
                entry.place.unlink()
                return True
            if going != entry.place:
                shutil.rmtree(going, ignore_errors=True)
                entry.place.rename(going)
            shutil.rmtree(going)
    except LockedError:
        return False
    with suppress(OSError):  # others are in it
        entry.place.parent.rmdir()
    return True


def _extent(place: Path) -> tuple[int, float]:
    """Bytes of the files in a folder, or of a file, and when any of them was changed last."""
    size, changed, folders = 0, 0.0, [str(place)]
    with suppress(FileNotFoundError):  # of a process that works on it
        facts = place.lstat()
        size, changed = 0 if place.is_dir() else facts.st_size, facts.st_mtime
    while folders:
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folders.pop()) as inside:
            for entry in inside:
                facts = entry.stat(follow_symlinks=False)
                changed = max(changed, facts.st_mtime)
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    size += facts.st_size
    return size, changed


def _state(place: Path, rest: str, orphaned: Orphaned, verify: bool) -> tuple[State, str]:
    if rest == PARTIAL:
        return State.PARTIAL, ""
    if rest:
        return State.DAMAGED, "set aside"
    not_folder = misplaced(place)
    if not_folder:
        return State.DAMAGED, not_folder
    try:
        key = json.loads((place / KEY).read_text(encoding="utf-8"))
        why = orphaned(key)
    except (OSError, ValueError, AttributeError, TypeError):
        return State.DAMAGED, f"{KEY} cannot be read"
    if why is not None:
        return State.ORPHANED, why
    problem = damage(place) if verify else None
    return (State.USABLE, "") if problem is None else (State.DAMAGED, problem)
