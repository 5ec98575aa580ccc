"""Locks between processes and machines: a file that only one can create, with a heartbeat. No clocks are compared.

They work wherever a file can be created exclusively: on local disks, and on network file systems (NFS since version 3, SMB).
The holder rewrites a counter in the file every `BEAT` seconds. A lock whose process is gone is taken over, on the same machine
at once, and from another one when the counter has stood still for `LEASE` seconds of the waiter's own time: a clock may be an
hour off.
"""

import json
import os
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from cellda.errors import CelldaError
from cellda.runtime import progress
from cellda.runtime.holder import here, is_here, lives, started

BEAT = 5.0
"""Seconds between two heartbeats of a holder."""
LEASE = 60.0
"""Seconds without a heartbeat after which the lock of a process on another machine is taken over."""
PATIENCE = 1.0
"""Seconds after which a process that waits for another one says so."""
POLL = 0.1
"""Seconds between two looks at a lock that is waited for."""
COUNTER = 20
"""Digits of the counter, which are the last bytes of the file."""


class LockedError(Exception):
    """Another process holds the lock; the text says which: `process 1234 on HOST`."""


class Lock:
    """A lock that this process holds.

    Args:
        file: Its file.
        descriptor: The open file: a heartbeat after a takeover goes into a file that nobody sees.
    """

    def __init__(self, file: Path, descriptor: int) -> None:
        self.file, self._descriptor = file, descriptor
        self._end = os.fstat(descriptor).st_size
        self._released = threading.Event()
        self._beating = threading.Thread(target=self._beat, name=f"heartbeat of {file.name}", daemon=True)
        self._beating.start()

    @property
    def held(self) -> bool:
        """Whether no other process has taken it over."""
        try:
            return os.path.samestat(self.file.stat(), os.fstat(self._descriptor))
        except OSError:
            return False

    def check(self) -> None:
        """Refuse to go on without the lock.

        Raises:
            CelldaError: If another process has taken it over.
        """
        if not self.held:
            raise CelldaError(
                f"Another process has taken over {self.file.name.partition('.')[0]}, because this one was not heard for "
                f"{LEASE:.0f} s: was this machine asleep? Nothing was written; the same command goes on from what is stored."
            )

    def release(self) -> None:
        """Let others have it."""
        self._released.set()
        self._beating.join()
        held = self.held
        os.close(self._descriptor)
        if held:
            with suppress(OSError):
                self.file.unlink()

    def _beat(self) -> None:
        count = 0
        while not self._released.wait(BEAT):
            count += 1
            with suppress(OSError):  # a server that is away for a moment; the next one may arrive
                os.lseek(self._descriptor, self._end - COUNTER, os.SEEK_SET)
                os.write(self._descriptor, b"%0*d" % (COUNTER, count))
                os.fsync(self._descriptor)


@contextmanager
def locked(file: Path, waiting: Callable[[str], None] | None = None) -> Iterator[Lock]:
    """Hold a lock; other processes take it over if this one dies.

    Args:
        file: The file of the lock, in a folder that exists.
        waiting: Called once, with the name of the holder, if another process holds the lock for longer than `PATIENCE`; the
            lock is then waited for. None does not wait, unless to find out whether a holder on another machine is alive.

    Raises:
        LockedError: If another process holds the lock and is not waited for.
        OSError: If the file cannot be written.
    """
    lock = _acquired(file, waiting)
    try:
        yield lock
    finally:
        lock.release()


def is_held(file: Path) -> bool:
    """Whether a living process holds a lock, told without waiting.

    For a holder on another machine, the time of its last heartbeat is compared with that of a file that is written now: both
    are the file server's.
    """
    found = _read(file)
    if found is None:
        return False
    holder = _holder(found)
    if holder is not None and is_here(holder):
        return lives(holder)
    try:
        with tempfile.NamedTemporaryFile(dir=file.parent, prefix=".cellda-") as probe:
            now = os.fstat(probe.fileno()).st_mtime
    except OSError:  # a folder that can only be read
        now = time.time()
    try:
        return now - file.stat().st_mtime < LEASE
    except FileNotFoundError:
        return False


def _acquired(file: Path, waiting: Callable[[str], None] | None) -> Lock:
    began = since = guarded = time.monotonic()
    seen: _Found | None = None
    said = False
    while True:
        lock = _created(file)
        if lock is not None:
            return lock
        found, now = _read(file), time.monotonic()
        if found is None:
            continue
        holder = _holder(found)
        if found != seen:
            if waiting is None and seen is not None:
                raise LockedError(_name_of(holder))  # its heart beats
            seen, since, guarded = found, now, now
        local = holder is not None and is_here(holder)
        gone = local and holder is not None and not lives(holder)
        if gone or (not local and now - since > (BEAT if holder is None else LEASE)):
            if not gone:
                progress.note(
                    f"Nothing was heard of {_name_of(holder)} for {now - since:.0f} s: its work on "
                    f"{file.name.partition('.')[0]} is taken over."
                )
            lock = _taken_over(file, found)
            if lock is not None:
                return lock
            if now - guarded > 2 * LEASE:  # whoever was taking it over has died
                _guard(file).unlink(missing_ok=True)
                guarded = now
        elif waiting is None and local:
            raise LockedError(_name_of(holder))
        elif waiting is not None and not said and now - began > PATIENCE:
            waiting(_name_of(holder))
            said = True
        time.sleep(POLL)


def _created(file: Path) -> Lock | None:
    """A new lock; None if there is one.

    Raises:
        OSError: If it cannot be written.
    """
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o666)
    except FileExistsError:
        return None
    except PermissionError:  # Windows, while another process removes it
        if os.name == "nt" and file.exists():
            return None
        raise
    again = -1
    try:
        os.write(descriptor, _content())
        again = os.open(file, os.O_RDWR | getattr(os, "O_BINARY", 0))
        own = os.path.samestat(os.fstat(descriptor), os.fstat(again))
    except FileNotFoundError:
        own = False
    except OSError:  # a full disk
        file.unlink()
        raise
    finally:
        os.close(descriptor)  # by which other machines see what it holds
    if own:
        return Lock(file, again)
    if again >= 0:
        os.close(again)  # of another process, which took this one for dead before it had written who it is
    return None


def _taken_over(file: Path, stale: "_Found") -> Lock | None:
    """The lock of a process that is gone; None if another one has taken it over, or is about to.

    Args:
        file: The lock.
        stale: What was found of its file.
    """
    guard = _guard(file)
    try:
        os.close(os.open(guard, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except FileExistsError:
        return None
    try:
        if _read(file) != stale:
            return None
        own = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
        lock = _created(own)
        assert lock is not None  # nobody else knows the name
        own.replace(file)
        lock.file = file
        return lock
    finally:
        guard.unlink(missing_ok=True)


def _guard(file: Path) -> Path:
    """The file that keeps two processes from taking over a lock at once."""
    return file.with_name(f"{file.name}.taking")


def _content() -> bytes:
    """Who holds a lock, and the counter of the heartbeats."""
    own = {**here(), "pid": os.getpid(), "started": started(os.getpid()), "token": secrets.token_hex(8)}
    return json.dumps(own).encode() + b"\n" + b"0" * COUNTER


class _Found(NamedTuple):
    """What was found of the file of a lock. Two that were just created hold the same, and are not the same.

    Attributes:
        content: What it held.
        inode, changed: Of the file; times are only compared with themselves.
    """

    content: bytes
    inode: int
    changed: int


def _read(file: Path) -> _Found | None:
    """The file of a lock, asked from the server; None if there is none."""
    try:
        with file.open("rb") as stream:
            facts = os.fstat(stream.fileno())
            return _Found(stream.read(), facts.st_ino, facts.st_mtime_ns)
    except FileNotFoundError:
        return None
    except PermissionError:  # Windows, while it is removed
        return _Found(b"", 0, 0)


def _holder(lock: _Found) -> dict[str, Any] | None:
    """Who holds a lock; None if that is not written, which takes a moment after the file was created."""
    try:
        found = json.loads(lock.content.partition(b"\n")[0])
        return {"pid": int(found["pid"]), **{name: str(found[name]) for name in ("host", "boot", "started")}}
    except (ValueError, KeyError, TypeError):
        return None


def _name_of(holder: dict[str, Any] | None) -> str:
    """Who holds a lock, in words."""
    return "another process" if holder is None else f"process {holder['pid']} on {holder['host']}"
