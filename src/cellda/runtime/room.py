"""Room on the disk, asked for before the work; where it is missing, the error says how much and where."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cellda.errors import CelldaError, ConfigurationError
from cellda.runtime.os_errors import number
from cellda.text import counted

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What a system says when a disk, a quota or the largest size of a file is reached."""

ELSEWHERE = (
    "choose another folder with store=, --store or the environment variable CELLDA_STORE (for copies from a bucket: "
    "CELLDA_COPIES)"
)
"""The remedy for every store that cannot be used."""

_CUT = re.compile(
    r"unexpected pos \d+ vs \d+|iostream error|PytorchStreamWriter failed|requested and \d+ written"
)
"""What torch and numpy say of a file that could be written in part; they do not say why."""


def reserve(stream: IO[bytes], size: int) -> None:
    """Make a file `size` bytes long and take the room for them, where the system can; what is in it stays.

    Raises:
        OSError: If there is no room (see `FULL`).
    """
    taken = os.fstat(stream.fileno()).st_size
    if taken > size:
        stream.truncate(size)
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(stream.fileno(), 0, size)
        except OSError as error:
            if error.errno in FULL:
                raise
        else:
            return
    # No file system of this kind holds room back. Writing then fails where it ends, but a look ahead costs nothing.
    if size - taken > shutil.disk_usage(Path(stream.name).parent).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), stream.name)


@contextmanager
def needed(size: int, folder: Path, what: str) -> Iterator[None]:
    """Context in which an error for want of room becomes a sentence.

    Args:
        size: Number of bytes that `what` takes in all.
        folder: Where it is written.
        what: What needs the room.

    Raises:
        ConfigurationError: If there is no room.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise no_room(what, folder, str(error.strerror), size) from error


def is_full(error: Exception) -> bool:
    """Whether an error was raised for want of room, by the system or by a library that writes files."""
    if isinstance(error, CelldaError):
        return False
    found = number(error)
    return found in FULL if found is not None else _CUT.search(str(error)) is not None


def check_room(size: int, folder: Path, what: str) -> None:
    """Refuse what the disk has no room for.

    Args:
        size: Number of bytes that `what` still takes.
        folder: Where it will be written; it need not exist yet.
        what: What needs the room.

    Raises:
        ConfigurationError: If there is no room.
    """
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    if size > shutil.disk_usage(there).free:
        raise no_room(what, there, size=size)


def taken(file: Path) -> int:
    """The room in bytes that a file takes on the disk; 0 if there is none."""
    if not file.exists():
        return 0
    facts = file.stat()
    return getattr(facts, "st_blocks", 0) * 512


def full_disk(error: Exception) -> OSError:
    """The system's own error for one of want of room: libraries quote it, or speak of their files instead."""
    code = number(error)
    code = errno.ENOSPC if code is None else code
    return OSError(code, os.strerror(code))


def no_room(what: str, folder: Path, reason: str = "", size: int = 0) -> ConfigurationError:
    """The error that there is no room for something.

    Args:
        what: What needs the room.
        folder: An existing folder in which it is written.
        reason: What the system says.
        size: Number of bytes that it takes; 0 if that is not known.
    """
    free = shutil.disk_usage(folder).free
    takes = f"{in_words(size)} are written, and " if size else ""
    why = f"{in_words(size - free)} more are needed" if size > free else reason
    return ConfigurationError(
        f"There is no room for {what}: {takes}{in_words(free)} are free in {folder} ({why}). Make room (`cellda store` shows "
        f"what takes it), or {ELSEWHERE}. What is finished is kept."
    )


def in_words(size: int) -> str:
    """A number of bytes with a fitting unit, as `1.4 GB`."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return counted(size, "byte(s)")
