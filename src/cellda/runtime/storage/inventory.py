"""What lies in a store: every entry with its size, age and state; and the removal of those that are not wanted."""

import os
import re
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from cellda.runtime.content_index import NAME
from cellda.runtime.storage.entry import DAMAGED, LOCK, PARTIAL, misplaced
from cellda.runtime.storage.entry_state import Entry, Orphaned, State, state_by_key
from cellda.runtime.storage.lock import LockedError, is_held, locked
from cellda.runtime.storage.manifest import KEY, damage
from cellda.runtime.storage.remote import FETCHED
from cellda.runtime.storage.remote_inventory import entries_in, remove_in
from cellda.runtime.storage.store import DIGITS, Store

_NAME = re.compile(
    rf"[0-9a-f]{{{DIGITS}}}(?P<rest>{re.escape(PARTIAL)}|{re.escape(FETCHED)}|{re.escape(DAMAGED)}(\.\d+)?|{re.escape(LOCK)})?"
)


def entries(store: Store, orphaned: Orphaned, *, verify: bool = False) -> list[Entry]:
    """All entries of a store, by kind and name; nothing else in its folder is touched or counted.

    Args:
        store: The store.
        orphaned: Judges an entry by its key.
        verify: Whether to read all files, and report those entries as damaged that are not as they were written.
    """
    if store.remote is not None:
        return entries_in(store.remote, orphaned, verify=verify)
    found = []
    kinds = [entry.name for entry in _scanned(store) if entry.is_dir()]
    for one in (one for kind in kinds for one in _scanned(store, kind)):
        name = _NAME.fullmatch(one.name)
        linked = one.is_symlink() and Path(one.path).exists()  # to what somebody else keeps
        if name is None or name["rest"] == LOCK or linked:
            continue
        place = Path(one.path)
        state, why = _state(place, name["rest"] or "", orphaned, verify)
        size, changed = _extent(place)
        found.append(Entry(place, state, size, changed, why))
    return found


def remembered(store: Store) -> list[Path]:
    """The files in which the hashes of images that were read before are kept; without them, images are read again."""
    return sorted(store.root.glob(f"{NAME}*"))


def remove(store: Store, entry: Entry) -> bool:
    """Remove an entry, unless a process works on it; returns whether it was removed.

    Raises:
        OSError: If it may not be removed.
    """
    if store.remote is not None and not remove_in(store.remote, entry):
        return False
    place = (
        store.root / entry.kind / entry.place.name.partition(".")[0] if store.remote else Path(entry.place)
    )
    return _remove(place)


def _remove(place: Path) -> bool:
    """Remove an entry from this machine."""
    if not os.path.lexists(place):
        return True
    final = place.with_name(place.name[:DIGITS])
    try:
        with locked(final.with_name(final.name + LOCK)):
            # Under another name first: what is half removed must not be taken for an entry.
            going = place.with_name(final.name + PARTIAL) if place == final else place
            if misplaced(place):
                place.unlink()
                return True
            if going != place:
                shutil.rmtree(going, ignore_errors=True)
                place.rename(going)
            shutil.rmtree(going)
    except LockedError:
        return False
    with suppress(OSError):  # others are in it
        place.parent.rmdir()
    return True


def _extent(place: Path) -> tuple[int, float]:
    """Bytes of the files in a folder, or of a file, and when any of them was changed last."""
    size, changed, folders = 0, 0.0, [str(place)]
    with suppress(FileNotFoundError):  # of a process that works on it
        facts = place.lstat()
        size, changed = 0 if stat.S_ISDIR(facts.st_mode) else facts.st_size, facts.st_mtime
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
    if rest in {PARTIAL, FETCHED}:
        return State.PARTIAL, ""
    if rest:
        return State.DAMAGED, "set aside"
    not_folder = misplaced(place)
    if not_folder:
        return State.DAMAGED, not_folder
    try:
        key = (place / KEY).read_bytes()
    except OSError:
        key = None
    state, why = state_by_key(key, orphaned)
    problem = damage(place) if verify and state is State.USABLE else None
    return (state, why) if problem is None else (State.DAMAGED, problem)


def made(store: Store, kind: str) -> dict[str, float]:
    """The digests of the finished entries of a kind, and when they were made, in seconds since 1970; nothing is checked."""
    if store.remote is not None:
        return store.remote.made(kind)
    found = {}
    for entry in _scanned(store, kind):
        if len(entry.name) == DIGITS and entry.is_dir():
            with suppress(FileNotFoundError):  # removed meanwhile
                found[entry.name] = entry.stat().st_mtime
    return found


def at_work(store: Store, kind: str) -> set[str]:
    """The digests of the entries of a kind that living processes make."""
    if store.remote is not None:
        return store.remote.at_work(kind)
    names = {entry.name for entry in _scanned(store, kind)}
    begun = {name.removesuffix(PARTIAL) for name in names if name.endswith(PARTIAL)}
    locks = {name: store.root / kind / f"{name}{LOCK}" for name in begun}
    return {name for name, lock in locks.items() if lock.name in names and is_held(lock)}


def _scanned(store: Store, kind: str = "") -> list[os.DirEntry[str]]:
    """What lies in a folder of the store, by name; os, because a store may hold 100,000 results."""
    try:
        with os.scandir(store.root / kind) as found:
            return sorted(found, key=lambda entry: entry.name)
    except FileNotFoundError:
        return []
