"""Locks between processes and machines, with a heartbeat. No clocks are compared.

They work wherever something can be created only if it is not there yet (`Site`): files, also on network file systems (`lock`),
and the objects of a bucket (`bucket_lock`). The holder rewrites a counter every `BEAT` seconds. A lock whose process is gone
is taken over, on the same machine at once, and from another one when the counter has stood still for `LEASE` seconds of the
waiter's own time: a clock may be an hour off.
"""

import json
import os
import secrets
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from cellda.errors import CelldaError
from cellda.runtime import progress
from cellda.runtime.storage.holder import here, is_here, lives, started

BEAT = 5.0
"""Seconds between two heartbeats of a holder."""
LEASE = 60.0
"""Seconds without a heartbeat after which the lock of a process on another machine is taken over."""
PATIENCE = 1.0
"""Seconds after which a process that waits for another one says so."""
COUNTER = 20
"""Digits of the counter, which are the last bytes of a lock."""


class LockedError(Exception):
    """Another process holds the lock; the text says which: `process 1234 on HOST`."""


class Found(NamedTuple):
    """What was found of a lock.

    Attributes:
        content: What it holds.
        version: Of two that hold the same because they were just created, the versions differ.
    """

    content: bytes
    version: Hashable


class Mark(ABC):
    """The lock that this process has created."""

    @property
    @abstractmethod
    def stands(self) -> bool:
        """Whether no other process has taken it over."""

    @abstractmethod
    def beat(self, count: int) -> None:
        """Write the counter, if it stands; what goes wrong is passed over, as the next one may arrive."""

    @abstractmethod
    def remove(self) -> None:
        """Let others have it, if it stands."""


class Site(ABC):
    """Where a lock lies, or will lie.

    Attributes:
        name: Of what is locked, in messages.
        poll: Seconds between two looks at a lock that is waited for.
    """

    name: str
    poll: float

    @abstractmethod
    def create(self) -> Mark | None:
        """A new lock; None if there is one.

        Raises:
            OSError: If it cannot be written.
        """

    @abstractmethod
    def read(self) -> Found | None:
        """What lies there now; None if nothing does."""

    @abstractmethod
    def replace(self) -> Mark:
        """Put an own lock in the place of one whose holder is gone; the guard is held."""

    @abstractmethod
    def guard(self) -> bool:
        """Create what keeps two processes from taking over a lock at once; whether it was not there."""

    @abstractmethod
    def unguard(self) -> None:
        """Remove it, whoever has created it."""

    @abstractmethod
    def silence(self) -> float:
        """Seconds since the last heartbeat by the clock of whoever keeps the lock; infinite if there is none."""


class Lock:
    """A lock that this process holds.

    Args:
        mark: What it has created.
        name: Of what is locked, in messages.
    """

    def __init__(self, mark: Mark, name: str) -> None:
        self._mark, self._name = mark, name
        self._released = threading.Event()
        self._beating = threading.Thread(target=self._beat, name=f"heartbeat of {name}", daemon=True)
        self._beating.start()

    @property
    def held(self) -> bool:
        """Whether no other process has taken it over."""
        return self._mark.stands

    def check(self) -> None:
        """Refuse to go on without the lock.

        Raises:
            CelldaError: If another process has taken it over.
        """
        if not self.held:
            raise CelldaError(
                f"Another process has taken over {self._name}, because this one was not heard for {LEASE:.0f} s: was this "
                "machine asleep? Nothing was written; the same command goes on from what is stored."
            )

    def release(self) -> None:
        """Let others have it."""
        self._released.set()
        self._beating.join()
        self._mark.remove()

    def _beat(self) -> None:
        count = 0
        while not self._released.wait(BEAT):
            count += 1
            self._mark.beat(count)


@contextmanager
def held(site: Site, waiting: Callable[[str], None] | None = None) -> Iterator[Lock]:
    """Hold a lock; other processes take it over if this one dies.

    Args:
        site: Where it lies.
        waiting: Called once, with the name of the holder, if another process holds the lock for longer than `PATIENCE`; the
            lock is then waited for. None does not wait, unless to find out whether a holder on another machine is alive.

    Raises:
        LockedError: If another process holds the lock and is not waited for.
        OSError: If it cannot be written.
    """
    lock = Lock(_acquired(site, waiting), site.name)
    try:
        yield lock
    finally:
        lock.release()


def is_held(site: Site) -> bool:
    """Whether a living process holds a lock, told without waiting."""
    found = site.read()
    if found is None:
        return False
    holder = _holder(found)
    if holder is not None and is_here(holder):
        return lives(holder)
    return site.silence() < LEASE


def content(token: str, count: int = 0) -> bytes:
    """What a lock of this process holds: who it is, and the counter of the heartbeats.

    Args:
        token: Tells it apart from all others.
        count: Of the heartbeats.
    """
    own = {**here(), "pid": os.getpid(), "started": started(os.getpid()), "token": token}
    return json.dumps(own).encode() + b"\n" + b"%0*d" % (COUNTER, count)


def new_token() -> str:
    """What tells a lock apart from all others."""
    return secrets.token_hex(8)


def _acquired(site: Site, waiting: Callable[[str], None] | None) -> Mark:
    began = since = guarded = time.monotonic()
    seen: Found | None = None
    said = False
    while True:
        mark = site.create()
        if mark is not None:
            return mark
        found, now = site.read(), time.monotonic()
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
                    f"Nothing was heard of {_name_of(holder)} for {now - since:.0f} s: its work on {site.name} is taken over."
                )
            mark = _taken_over(site, found)
            if mark is not None:
                return mark
            if now - guarded > 2 * LEASE:  # whoever was taking it over has died
                site.unguard()
                guarded = now
        elif waiting is None and local:
            raise LockedError(_name_of(holder))
        elif waiting is not None and not said and now - began > PATIENCE:
            waiting(_name_of(holder))
            said = True
        time.sleep(site.poll)


def _taken_over(site: Site, stale: Found) -> Mark | None:
    """The lock of a process that is gone; None if another one has taken it over, or is about to.

    Args:
        site: Where it lies.
        stale: What was found of it.
    """
    if not site.guard():
        return None
    try:
        return site.replace() if site.read() == stale else None
    finally:
        site.unguard()


def _holder(lock: Found) -> dict[str, Any] | None:
    """Who holds a lock; None if that is not written, which takes a moment after a file was created."""
    try:
        found = json.loads(lock.content.partition(b"\n")[0])
        return {"pid": int(found["pid"]), **{name: str(found[name]) for name in ("host", "boot", "started")}}
    except (ValueError, KeyError, TypeError):
        return None


def _name_of(holder: dict[str, Any] | None) -> str:
    """Who holds a lock, in words."""
    return "another process" if holder is None else f"process {holder['pid']} on {holder['host']}"
