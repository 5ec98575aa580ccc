"""Locks between processes: files that are removed when nobody needs them any more."""

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

PATIENCE = 1.0
"""Seconds after which a process that waits for another one says so."""


class LockedError(Exception):
    """Another process holds the lock; the text says which: `process 1234 on HOST`."""


@contextmanager
def locked(
    file: Path, waiting: Callable[[str], None] | None = None, keep: Callable[[], bool] = lambda: False
) -> Iterator[None]:
    """Hold a lock; the system releases it if the process dies.

    Args:
        file: The file of the lock, in a folder that exists.
        waiting: Called once, with the name of the holder, if another process holds the lock for longer than `PATIENCE`; the
            lock is then waited for. None does not wait.
        keep: Whether the file stays at the end.

    Raises:
        LockedError: If another process holds the lock and is not waited for.
        OSError: If the file cannot be written.
    """
    lock = _acquired(file, waiting)
    holder = _holder_of(file)
    try:
        with suppress(OSError):  # who holds it is only said
            content = {"pid": os.getpid(), "host": socket.gethostname()}
            holder.write_text(json.dumps(content), encoding="utf-8")
        yield
    finally:
        with suppress(OSError):
            holder.unlink()
        if not keep():
            with suppress(OSError):  # Windows does not remove open files
                file.unlink()  # while it is held: nobody can wait for a file that is gone
        lock.release()


def _acquired(file: Path, waiting: Callable[[str], None] | None) -> FileLock:
    patience = 0 if waiting is None else PATIENCE
    while True:
        lock = FileLock(file)
        try:
            lock.acquire(timeout=patience)
        except Timeout:
            if waiting is None:
                raise LockedError(_name_of(_holder_of(file))) from None
            waiting(_name_of(_holder_of(file)))
            patience = -1
            continue
        if file.exists():
            return lock
        lock.release()  # a process that had finished removed the file: nobody else would see this lock


def _holder_of(file: Path) -> Path:
    """Where the holder of a lock says who it is: some systems do not let others read the file that is locked."""
    return file.with_name(f"{file.name}.holder")


def _name_of(holder: Path) -> str:
    """Who holds a lock, in words."""
    try:
        content = json.loads(holder.read_text(encoding="utf-8"))
        return f"process {int(content['pid'])} on {content['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
