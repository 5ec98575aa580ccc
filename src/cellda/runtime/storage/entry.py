"""One entry of a store: what its parts are called, how it is made, and what is wrong with it."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cellda.errors import ConfigurationError
from cellda.runtime import progress
from cellda.runtime.room import ELSEWHERE, full_disk, is_full, no_room
from cellda.runtime.storage.manifest import KEY, WORKING, damage, seal

PARTIAL, DAMAGED, LOCK = ".partial", ".damaged", ".lock"
"""What follows the digest in the names of an unfinished entry, of one that was set aside, and of the lock of one."""


@contextmanager
def room_for(folder: Path, final: Path) -> Iterator[None]:
    """Context in which an error for want of room in a folder becomes a sentence."""
    try:
        yield
    except Exception as error:
        if not is_full(error):
            raise
        said = str(full_disk(error).strerror)
        raise no_room(f"{final.parent.name}/{final.name}", folder, said) from error


def make_in(partial: Path, key: Mapping[str, Any], name: str, make: Callable[[Path], None]) -> None:
    """Build an entry in its partial folder and seal it; a partial folder that holds nothing to resume from is removed."""
    with room_for(partial.parent, partial.with_name(name)):
        try:
            make(partial)
        except BaseException:
            with suppress(OSError):
                (partial / WORKING).rmdir()
                partial.rmdir()
            raise
    (partial / KEY).write_text(
        json.dumps(key, indent=2, sort_keys=True, default=str) + "\n", encoding="utf-8"
    )
    seal(partial, name)


def say_waiting(final: Path, holder: str) -> None:
    """Say who is waited for, and what it does with an entry."""
    does = "builds" if final.with_name(final.name + PARTIAL).exists() else "uses"
    progress.note(f"Waiting for {holder}, which {does} {final.parent.name}/{final.name}.")


def misplaced(place: Path) -> str | None:
    """What lies in the place of an entry and is not a folder, in words; None if it is one, or nothing lies there."""
    if place.is_dir() or not os.path.lexists(place):
        return None
    return "it is a link that leads nowhere" if place.is_symlink() and not place.exists() else "it is a file"


def damage_of(final: Path) -> str | None:
    """What is wrong with an entry, in words; None if it is as it was written.

    Raises:
        ConfigurationError: If it may not be read.
    """
    try:
        return misplaced(final) or damage(final)
    except PermissionError as error:
        raise ConfigurationError(
            f"The stored result {final} cannot be read ({error.strerror}); make it readable, or {ELSEWHERE}."
        ) from error


def lock_of(final: Path) -> Path:
    """The file of the lock of an entry."""
    return final.with_name(final.name + LOCK)


def partial_of(final: Path) -> Path:
    """Where an entry is built."""
    return final.with_name(final.name + PARTIAL)
