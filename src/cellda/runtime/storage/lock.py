"""Locks that are files, on local disks and on network file systems (NFS since version 3, SMB)."""

import os
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from cellda.runtime.storage import lease
from cellda.runtime.storage.lease import COUNTER, Found, Lock, LockedError, Mark, Site, content, new_token

__all__ = ["LockedError", "is_held", "locked"]

_BINARY = getattr(os, "O_BINARY", 0)


def locked(file: Path, waiting: Callable[[str], None] | None = None) -> AbstractContextManager[Lock]:
    """Hold a lock; other processes take it over if this one dies.

    Args:
        file: The file of the lock, in a folder that exists.
        waiting: As in `cellda.runtime.storage.lease.held`.

    Raises:
        LockedError: If another process holds the lock and is not waited for.
        OSError: If the file cannot be written.
    """
    return lease.held(FileSite(file), waiting)


def is_held(file: Path) -> bool:
    """Whether a living process holds a lock, told without waiting."""
    return lease.is_held(FileSite(file))


class FileSite(Site):
    """A file that only one process can create.

    Args:
        file: In a folder that exists.
    """

    poll = 0.1

    def __init__(self, file: Path) -> None:
        self.file = file
        self.name = file.name.partition(".")[0]
        self._guard = file.with_name(f"{file.name}.taking")

    def create(self) -> "FileMark | None":
        """A new lock; None if there is one."""
        return _created(self.file)

    def read(self) -> Found | None:
        """What lies there now."""
        try:
            with self.file.open("rb") as stream:  # opened anew, by which a file server is asked
                facts = os.fstat(stream.fileno())
                return Found(stream.read(), (facts.st_ino, facts.st_mtime_ns))
        except FileNotFoundError:
            return None
        except PermissionError:  # Windows, while it is removed
            return Found(b"", None)

    def replace(self) -> "FileMark":
        """Put an own lock in the place of the one that lies there."""
        own = self.file.with_name(f"{self.file.name}.{new_token()}")
        mark = _created(own)
        assert mark is not None  # nobody else knows the name
        own.replace(self.file)
        mark.file = self.file
        return mark

    def guard(self) -> bool:
        """Create what keeps two takeovers apart; whether it was not there."""
        try:
            os.close(os.open(self._guard, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except FileExistsError:
            return False
        return True

    def unguard(self) -> None:
        """Remove what keeps two takeovers apart."""
        self._guard.unlink(missing_ok=True)

    def silence(self) -> float:
        """The time of the last heartbeat is compared with that of a file that is written now: both are the file server's."""
        try:
            with tempfile.NamedTemporaryFile(dir=self.file.parent, prefix=".cellda-") as probe:
                now = os.fstat(probe.fileno()).st_mtime
        except OSError:  # a folder that can only be read
            now = time.time()
        try:
            return now - self.file.stat().st_mtime
        except FileNotFoundError:
            return float("inf")


class FileMark(Mark):
    """A lock file of this process.

    Args:
        file: The file.
        descriptor: The open file: a heartbeat after a takeover goes into a file that nobody sees.
    """

    def __init__(self, file: Path, descriptor: int) -> None:
        self.file, self._descriptor = file, descriptor
        self._end = os.fstat(descriptor).st_size

    @property
    def stands(self) -> bool:
        """Whether no other process has taken it over."""
        try:
            return os.path.samestat(self.file.stat(), os.fstat(self._descriptor))
        except OSError:
            return False

    def beat(self, count: int) -> None:
        """Write the counter."""
        with suppress(OSError):  # a server that is away for a moment
            os.lseek(self._descriptor, self._end - COUNTER, os.SEEK_SET)
            os.write(self._descriptor, b"%0*d" % (COUNTER, count))
            os.fsync(self._descriptor)

    def remove(self) -> None:
        """Let others have it, if it stands."""
        stands = self.stands
        os.close(self._descriptor)
        if stands:
            with suppress(OSError):
                self.file.unlink()


def _created(file: Path) -> FileMark | None:
    """A new lock; None if there is one.

    Raises:
        OSError: If it cannot be written.
    """
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | _BINARY, 0o666)
    except FileExistsError:
        return None
    except PermissionError:  # Windows, while another process removes it
        if os.name == "nt" and file.exists():
            return None
        raise
    again = -1
    try:
        os.write(descriptor, content(new_token()))
        again = os.open(file, os.O_RDWR | _BINARY)
        own = os.path.samestat(os.fstat(descriptor), os.fstat(again))
    except FileNotFoundError:
        own = False
    except OSError:  # a full disk
        file.unlink()
        raise
    finally:
        os.close(descriptor)  # by which other machines see what it holds
    if own:
        return FileMark(file, again)
    if again >= 0:
        os.close(again)  # of another process, which took this one for dead before it had written who it is
    return None
