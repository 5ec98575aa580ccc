"""What lies in a bucket: its entries with size, age and state, and their removal (`cellda.runtime.storage.inventory`)."""

import re
from pathlib import PurePosixPath

from cellda.runtime.storage import lease
from cellda.runtime.storage.bucket_lock import ObjectSite
from cellda.runtime.storage.entry_state import Entry, Orphaned, State, state_by_key
from cellda.runtime.storage.files import Listed
from cellda.runtime.storage.lease import LockedError
from cellda.runtime.storage.remote import ASIDE, ENTRY, HELD, PIECES, SAYS, Remote
from cellda.runtime.storage.store import DIGITS

_NAME = re.compile(rf"[0-9a-f]{{{DIGITS}}}(?P<rest>{re.escape(ENTRY)}|{re.escape(ASIDE)}|{re.escape(SAYS)})")


def entries_in(remote: Remote, orphaned: Orphaned, *, verify: bool) -> list[Entry]:
    """All entries of a bucket, by kind and name.

    Args:
        remote: The bucket.
        orphaned: Judges an entry by its key.
        verify: Whether to copy all entries here, one after another, and report those as damaged that are not as they were
            written.
    """
    found = []
    for kind in remote.bucket.folders():
        listed = {one.name: one for one in remote.bucket.listed(kind)}
        parts = [
            (name, match["rest"])
            for name in sorted(listed)
            if (match := _NAME.fullmatch(name.partition("/")[2]))
        ]
        finished = [name for name, rest in parts if rest == ENTRY]
        keys = dict(zip(finished, remote.bucket.read_all([_says(name) for name in finished]), strict=True))
        for name, rest in parts:
            if rest == SAYS and name.removesuffix(SAYS) + ENTRY in listed:
                continue
            state, why = _state(remote, name, rest, keys.get(name), orphaned, verify=verify)
            found.append(_entry(listed[name], state, why))
    return found


def remove_in(remote: Remote, entry: Entry) -> bool:
    """Remove an entry from a bucket, unless a process works on it; returns whether it was removed."""
    name = str(entry.place)
    stem = name.partition(".")[0]
    try:
        with lease.held(ObjectSite(remote.bucket, f"{stem}{HELD}")):
            remote.bucket.remove(name)
            if not name.endswith(ASIDE):
                remote.bucket.remove(f"{stem}{SAYS}")
                remote.bucket.remove_all(f"{stem}{PIECES}")
    except LockedError:
        return False
    return True


def _state(
    remote: Remote, name: str, rest: str, key: bytes | None, orphaned: Orphaned, *, verify: bool
) -> tuple[State, str]:
    if rest == ASIDE:
        return State.DAMAGED, "set aside"
    if rest == SAYS:
        return State.PARTIAL, ""
    state, why = state_by_key(key, orphaned)
    problem = remote.damage(name) if verify and state is State.USABLE else None
    return (state, why) if problem is None else (State.DAMAGED, problem)


def _entry(one: Listed, state: State, why: str) -> Entry:
    return Entry(PurePosixPath(one.name), state, one.size, one.changed, why)


def _says(name: str) -> str:
    """The name of the object that says what an entry was made of."""
    return name.removesuffix(ENTRY) + SAYS
