"""What files hold: hashes of their bytes. A file is read again only after it has changed."""

import os
import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from xxhash import xxh3_128, xxh3_128_digest

from cellda.errors import DataError
from cellda.runtime import progress
from cellda.runtime.content_index import ContentIndex
from cellda.runtime.storage.store import Store
from cellda.runtime.work import Stage, Work
from cellda.text import agreeing, counted

SETTLED = 2 * 10**9
"""Nanoseconds since its last change after which a file's hash is remembered. Some file systems count time in steps of two
seconds, and a file that is changed twice within a step may look the same after both."""

_PIECE, _BATCH, _PART = 1 << 20, 4096, 64
_THREADS = 4
_UNKNOWN = b"", b""
_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0)
_TIME = 1 if os.name == "nt" else 2
"""Which field of a state says when a file was changed last; Windows has no time of the change of status."""

_STATE = struct.Struct("<qqqQ")
"""Size, times of modification and change of status in nanoseconds, inode."""


@dataclass(frozen=True)
class Contents:
    """What files held when they were read.

    Attributes:
        files: Absolute paths.
        states: The state of each: size, times of its last modification and change of status, inode; empty if the file was
            so new that a further change might not show in it.
        hashes: The 128-bit hash (XXH3) of the bytes of each.
    """

    files: Sequence[str]
    states: Sequence[bytes]
    hashes: Sequence[bytes]

    def at(self, places: Iterable[int]) -> "Contents":
        """Some of the files, by their places."""
        chosen = list(places)
        return Contents(
            [self.files[place] for place in chosen],
            [self.states[place] for place in chosen],
            [self.hashes[place] for place in chosen],
        )

    def changed(self) -> list[str]:
        """The files whose state has changed since then, and those that are gone."""
        known = zip(self.files, self.states, strict=True)
        return [file for file, state in known if state_of(file) != state]

    def differing(self, owner: str) -> list[str]:
        """The files that hold something else than then; of those whose state has changed, the bytes are compared.

        Raises:
            DataError: If files are gone or cannot be read.
        """
        now = read_contents(self.changed(), owner)
        before = dict(zip(self.files, self.hashes, strict=True)) if now.files else {}
        return [file for file, content in zip(now.files, now.hashes, strict=True) if before[file] != content]


class _Read(NamedTuple):
    """A file that was read: its state and hash, whether they may be remembered, or what prevented it."""

    state: bytes = b""
    hash: bytes = b""
    settled: bool = False
    problem: str = ""


_GONE = _Read(problem="it is gone")


def read_contents(files: Sequence[str], owner: str, index: Path | None = None) -> Contents:
    """Hash files, of which only those are read that have changed since they were last hashed, by whatever process.

    A file has not changed if its path, size, inode and the times of its last modification and change of status, in
    nanoseconds, are as they were. Setting the time of modification back does not hide a change, because it is a change
    of status itself (not on Windows, which keeps no such time).

    Args:
        files: Absolute paths.
        owner: Name of the dataset, for messages and the progress bar.
        index: Folder in which hashes are remembered; by default, that of the default store.

    Raises:
        DataError: If files are gone, cannot be read, or change while they are read; the message lists them all.
    """
    if not files:
        return Contents((), (), ())
    remembered = ContentIndex(index or Store().root)
    known = remembered.find(files)
    states, hashes = [b""] * len(files), [b""] * len(files)
    changed = []
    for place, file in enumerate(files):
        before, content = known.get(file, _UNKNOWN)
        if before and before == state_of(file):
            states[place], hashes[place] = before, content
        else:
            changed.append(place)
    problems: list[str] = []
    gone: list[str] = []
    for places, read in _batches(files, changed, owner):
        for place, one in zip(places, read, strict=True):
            states[place], hashes[place] = one.state if one.settled else b"", one.hash
            if one is _GONE:
                gone.append(files[place])
            elif one.problem:
                problems.append(f"{files[place]}: {one.problem}")
        new = zip(places, read, strict=True)
        remembered.add([(files[place], one.state, one.hash) for place, one in new if one.settled])
    if gone:
        raise DataError(
            f"{counted(len(gone), 'file(s)')} of dataset '{owner}' {agreeing(len(gone), '(is|are)')} gone.",
            [*gone, *problems],
        )
    if problems:
        raise DataError(f"{counted(len(problems), 'file(s)')} of dataset '{owner}' cannot be read.", problems)
    return Contents(files, states, hashes)


def state_of(file: str) -> bytes:
    """Size, times of the last modification and change of status, and inode of a file, in 32 bytes; empty if there is none."""
    try:
        return _packed(os.stat(file))  # noqa: PTH116 - a Path for each file costs a second on 170,000 of them
    except OSError:
        return b""


def _packed(found: os.stat_result) -> bytes:
    return _STATE.pack(
        found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino & 0xFFFF_FFFF_FFFF_FFFF
    )


def _batches(
    files: Sequence[str], places: Sequence[int], owner: str
) -> Iterator[tuple[Sequence[int], list[_Read]]]:
    """Read the files at these places in threads, which hashing and the disk leave to each other; batch by batch."""
    if not places:
        return
    threads = ThreadPoolExecutor(_THREADS)
    try:
        with progress.task(Work(Stage.HASH, owner), len(places)) as advance:
            for start in range(0, len(places), _BATCH):
                batch = places[start : start + _BATCH]
                parts = [[files[at] for at in batch[i : i + _PART]] for i in range(0, len(batch), _PART)]
                read: list[_Read] = []
                for part in threads.map(_read_all, parts):
                    read += part
                    advance(len(part))
                yield batch, read
    finally:
        threads.shutdown(cancel_futures=True)  # so that an interruption does not wait for a whole batch


def _read_all(files: Sequence[str]) -> list[_Read]:
    now = time.time_ns()
    return [_read(file, now) for file in files]


def _read(file: str, now: int, *, again: bool = True) -> _Read:
    """Read a file; once more if it changes meanwhile."""
    try:
        opened = os.open(file, _FLAGS)  # without buffers, which cost as much as reading a small file
        try:
            before = os.fstat(opened)
            content = _hash(opened, before.st_size)
            state, after = _packed(before), _packed(os.fstat(opened))
        finally:
            os.close(opened)
    except FileNotFoundError:
        return _GONE
    except OSError as error:
        return _Read(problem=error.strerror or str(error))
    if after == state:
        return _Read(state, content, settled=now - _STATE.unpack(state)[_TIME] >= SETTLED)
    if again:
        return _read(file, now, again=False)
    return _Read(problem="it changed while it was read; wait until it is complete")


def _hash(opened: int, size: int) -> bytes:
    """The hash of the first `size` bytes of an open file."""
    if size <= _PIECE and len(whole := os.read(opened, size)) == size:
        return xxh3_128_digest(whole)
    os.lseek(opened, 0, os.SEEK_SET)
    content = xxh3_128()
    while size > 0 and (piece := os.read(opened, min(size, _PIECE))):
        content.update(piece)
        size -= len(piece)
    return content.digest()
