"""Locks between processes: files that are removed when nobody needs them any more."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

PATIENCE = 1.0
"""Seconds after which a process that waits for another one says so."""


class LockedError(Exception):
    """Another process holds the lock."""


@contextmanager
def locked(
    file: Path, waiting: Callable[[], None] | None = None, keep: Callable[[], bool] = lambda: False
) -> Iterator[None]:
    """Hold a lock; the system releases it if the process dies.

    Args:
        file: The file of the lock, in a folder that exists.
        waiting: Called once if another process holds the lock for longer than `PATIENCE`; the lock is then waited for. None
            does not wait.
        keep: Whether the file stays at the end.

    Raises:
        LockedError: If another process holds the lock and is not waited for.
        OSError: If the file cannot be written.
    """
    lock = _acquired(file, waiting)
    try:
        yield
    finally:
        if not keep():
            with suppress(OSError):  # Windows does not remove open files
                file.unlink()  # while it is held: nobody can wait for a file that is gone
        lock.release()


def _acquired(file: Path, waiting: Callable[[], None] | None) -> FileLock:
    patience = 0 if waiting is None else PATIENCE
    while True:
        lock = FileLock(file)
        try:
            lock.acquire(timeout=patience)
        except Timeout:
            if waiting is None:
                raise LockedError from None
            waiting()
            patience = -1
            continue
        if file.exists():
            return lock
        lock.release()  # a process that had finished removed the file: nobody else would see this lock
