"""Locks between processes and machines: a file that only one can create, with a heartbeat. No clocks are compared.

They work wherever a file can be created exclusively: on local disks, and on network file systems (NFS since version 3, SMB).
The holder rewrites a counter in the file every `BEAT` seconds. A lock whose process is gone is taken over, on the same machine
at once, and from another one when the counter has stood still for `LEASE` seconds of the waiter's own time: a clock may be an
hour off.
"""

import json
import os
import secrets
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from cellda.errors import CelldaError
from cellda.runtime import progress

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
    content = _read(file)
    if content is None:
        return False
    holder = _holder(content)
    if holder is not None and _is_here(holder):
        return _lives(holder)
    try:
        with tempfile.NamedTemporaryFile(dir=file.parent, prefix=".cellda-") as probe:
            now = os.fstat(probe.fileno()).st_mtime
        return now - file.stat().st_mtime < LEASE
    except FileNotFoundError:
        return False
    except OSError:  # a folder that can only be read
        return time.time() - file.stat().st_mtime < LEASE


def _acquired(file: Path, waiting: Callable[[str], None] | None) -> Lock:
    began = since = time.monotonic()
    seen, said, guarded = b"", False, 0.0
    while True:
        lock = _created(file)
        if lock is not None:
            return lock
        content, now = _read(file), time.monotonic()
        if content is None:
            continue
        if content != seen:
            if waiting is None and seen:
                raise LockedError(_name_of(_holder(content)))  # its heart beats
            seen, since = content, now
        holder = _holder(content)
        here = holder is not None and _is_here(holder)
        gone = here and holder is not None and not _lives(holder)
        if gone or (not here and now - since > (BEAT if holder is None else LEASE)):
            if not gone:
                progress.note(
                    f"Nothing was heard of {_name_of(holder)} for {now - since:.0f} s: its work on "
                    f"{file.name.partition('.')[0]} is taken over."
                )
            lock = _taken_over(file, content)
            if lock is not None:
                return lock
            guarded = guarded or now
            if now - guarded > LEASE:  # whoever was taking it over has died
                _guard(file).unlink(missing_ok=True)
                guarded = 0.0
        elif waiting is None and here:
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
    try:
        os.write(descriptor, _content())
    finally:
        os.close(descriptor)  # by which other machines see it
    return Lock(file, os.open(file, os.O_RDWR | getattr(os, "O_BINARY", 0)))


def _taken_over(file: Path, stale: bytes) -> Lock | None:
    """The lock of a process that is gone; None if another one has taken it over, or is about to.

    Args:
        file: The lock.
        stale: What its file held.
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
        assert lock is not None
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
    own = {**_here(), "pid": os.getpid(), "started": _started(os.getpid()), "token": secrets.token_hex(8)}
    return json.dumps(own).encode() + b"\n" + b"0" * COUNTER


def _read(file: Path) -> bytes | None:
    """What is in the file of a lock, asked from the server; None if there is none."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
    except PermissionError:
        return b""


def _holder(content: bytes) -> dict[str, Any] | None:
    """Who holds a lock; None if that is not written, which takes a moment after the file was created."""
    try:
        found = json.loads(content.partition(b"\n")[0])
        return {"pid": int(found["pid"]), **{name: str(found[name]) for name in ("host", "boot", "started")}}
    except (ValueError, KeyError, TypeError):
        return None


@cache
def _here() -> dict[str, str]:
    """The machine, since it was started, and the container."""
    boot, processes = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    since = boot.read_text(encoding="ascii").strip() if boot.exists() else str(round(psutil.boot_time()))
    inside = str(processes.readlink()) if processes.is_symlink() else ""
    return {"host": socket.gethostname(), "boot": f"{since} {inside}"}


def _is_here(holder: dict[str, Any]) -> bool:
    return all(holder[name] == value for name, value in _here().items())


def _lives(holder: dict[str, Any]) -> bool:
    """Whether the holder, a process of this machine, is there."""
    return bool(_started(holder["pid"]) == holder["started"])


def _started(pid: int) -> str:
    """When a process was started; empty if there is none. Not in seconds where there is something that no clock changes."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            fields = stat.read_bytes().rpartition(b")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] in {b"Z", b"X"} else fields[19].decode()
    try:
        return str(round(psutil.Process(pid).create_time()))
    except psutil.NoSuchProcess:
        return ""


def _name_of(holder: dict[str, Any] | None) -> str:
    """Who holds a lock, in words."""
    return "another process" if holder is None else f"process {holder['pid']} on {holder['host']}"
