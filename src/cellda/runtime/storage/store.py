"""Content-addressed results: a stage is built once, appears by atomic rename, and is found by the digest of its key."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from cellda.errors import CelldaError, ConfigurationError
from cellda.runtime import progress
from cellda.runtime.given import path_of, url_of
from cellda.runtime.place import check_name, try_folder
from cellda.runtime.room import ELSEWHERE
from cellda.runtime.storage.bucket import Bucket
from cellda.runtime.storage.entry import (
    DAMAGED,
    damage_of,
    lock_of,
    make_in,
    misplaced,
    partial_of,
    room_for,
    say_waiting,
)
from cellda.runtime.storage.files import Files, Folder
from cellda.runtime.storage.lease import Lock
from cellda.runtime.storage.lock import locked
from cellda.runtime.storage.manifest import WORKING, damage
from cellda.runtime.storage.pieces import Pieces
from cellda.runtime.storage.remote import PIECES, Remote

KEYS = 2
"""Part of every stage's digest: increase it by one to invalidate all stored results."""

DIGITS = 16
"""Hex digits of a digest."""


def digest(content: Mapping[str, Any]) -> str:
    """`DIGITS` hex digits of the SHA-256 of `content` as canonical JSON."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def stage_digest(key: Mapping[str, Any]) -> str:
    """The digest of a stage, computed from its key and `KEYS`."""
    return digest({**key, "keys": KEYS})


class Store:
    """Finished stages, `<root>/<kind>/<digest>/`: in a folder, or in a bucket, of which this machine copies what it uses.

    A finished stage is called an entry. Its manifest is checked before it is used: an entry that is not as it was written is
    named on standard error, renamed to `<digest>.damaged` and built again.

    Args:
        root: The folder, or the URL of a bucket (`s3://bucket/prefix`); by default `$CELLDA_STORE`, else the user's cache
            folder.

    Attributes:
        root: The folder; of a bucket, the one with the copies, in `$CELLDA_COPIES` or the user's cache folder.
        remote: The bucket; None for a folder.
    """

    def __init__(self, root: str | Path | None = None) -> None:
        chosen = root or os.environ.get("CELLDA_STORE") or user_cache_path("cellda")
        self.remote: Remote | None = None
        url = url_of(chosen)
        if url is not None:
            self.remote = Remote(Bucket(url))
            copies = os.environ.get("CELLDA_COPIES") or user_cache_path("cellda") / "buckets"
            chosen = Path(copies) / digest({"url": url})
        self.root = path_of(chosen)

    def __str__(self) -> str:
        return str(self.root) if self.remote is None else self.remote.bucket.url

    @property
    def address(self) -> str:
        """By which other processes open the same store."""
        return str(self.root.resolve()) if self.remote is None else self.remote.bucket.url

    @property
    def files(self) -> Files:
        """Small files that all who use the store see."""
        return Folder(self.root) if self.remote is None else self.remote.bucket

    def path(self, kind: str, key: Mapping[str, Any]) -> Path:
        """Where the stage with this key lies, whether or not it exists; to use what lies there, call `find` or `build`."""
        return self.root / kind / stage_digest(key)

    def partial(self, kind: str, key: Mapping[str, Any]) -> Path:
        """Where the stage with this key is built."""
        return partial_of(self.path(kind, key))

    def pieces(self, kind: str, key: Mapping[str, Any]) -> Pieces:
        """The pieces of the stage with this key, while it is built."""
        folder = self.partial(kind, key) / WORKING
        if self.remote is None:
            return Pieces(folder)
        return Pieces(folder, self.remote.bucket, f"{kind}/{stage_digest(key)}{PIECES}")

    def has(self, kind: str, key: Mapping[str, Any]) -> bool:
        """Whether a stage is finished, without copying it; in a bucket, a moment ago (`Remote.has`).

        Raises:
            ConfigurationError: If the entry may not be read, or is damaged and cannot be set aside.
        """
        if self.remote is None:
            return self.find_here(kind, key) is not None
        return self.remote.has(kind, stage_digest(key))

    def find(self, kind: str, key: Mapping[str, Any]) -> Path | None:
        """The folder of a finished stage whose files are as they were written; None if there is none.

        Raises:
            ConfigurationError: If the entry may not be read, or is damaged and cannot be set aside, or copied from a bucket.
        """
        here = self.find_here(kind, key)
        if here is not None or self.remote is None:
            return here
        final = self.path(kind, key)
        if not self.remote.there(kind, final.name):
            return None
        self._create(final.parent)
        with self._locked(final):
            return final if self._kept(final) or self._fetched(final) else None

    def find_here(self, kind: str, key: Mapping[str, Any]) -> Path | None:
        """`find` without looking into a bucket."""
        final = self.path(kind, key)
        if not os.path.lexists(final):
            return None
        if damage_of(final) is not None:
            with self._locked(final):
                return final if self._kept(final) else None
        if (
            lock_of(final).exists() or (final / WORKING).exists()
        ):  # of a process that was killed in its last step
            with suppress(ConfigurationError), self._locked(final):
                shutil.rmtree(final / WORKING, ignore_errors=True)
        return final

    def build(self, kind: str, key: Mapping[str, Any], make: Callable[[Path], None]) -> Path:
        """The folder of a finished stage, built by `make` if it does not exist yet.

        `make` receives a partial folder that survives an interruption. What it needs only to resume, such as checkpoints, it
        keeps in the subfolder `WORKING`, which is removed at the end. When `make` has returned, the manifest is written and
        the folder renamed; in a bucket, it is stored before. Two processes never build the same stage at the same time: the
        second one waits, and says so.

        Args:
            kind: Name of the stage.
            key: Everything that the stage depends on.
            make: Writes the results into the folder that it receives.

        Raises:
            ConfigurationError: If the store cannot be written.
        """
        found = self.find(kind, key)
        if found is not None and (self.remote is None or self.remote.has(kind, found.name)):
            return found
        final = self.path(kind, key)
        self._create(final.parent)
        with self._locked(final) as lock:
            if not self._kept(final):
                self._build(final, {**key, "keys": KEYS}, make, lock)
            elif self.remote is not None:  # it was removed from the bucket
                self._send(final, final)
            shutil.rmtree(final / WORKING, ignore_errors=True)
        return final

    def _build(self, final: Path, key: Mapping[str, Any], make: Callable[[Path], None], lock: Lock) -> None:
        """Build an entry whose lock is held here; in a bucket, its lock there is held meanwhile."""
        if self.remote is None:
            self._make(final, key, make)
            lock.check()
            partial_of(final).rename(final)
            return
        with self.remote.held(final.parent.name, final.name) as theirs:
            if self._fetched(final):
                return
            self._make(final, key, make)
            lock.check()
            theirs.check()
            if self._send(partial_of(final), final):
                partial_of(final).rename(final)
                return
        if not self._fetched(final):
            shutil.rmtree(partial_of(final))
            raise CelldaError(  # this one was taken for dead
                f"Another machine has stored {final.parent.name}/{final.name} in {self}, and it cannot be read; the same "
                "command makes it again."
            )

    def _make(self, final: Path, key: Mapping[str, Any], make: Callable[[Path], None]) -> None:
        """Build an entry in its partial folder, and seal it."""
        partial = partial_of(final)
        if misplaced(partial) is not None:
            partial.unlink()
        self._create(partial / WORKING)
        # A process that was killed between its last two steps leaves a finished folder without its name.
        if damage(partial, final.name) is not None:
            make_in(partial, key, final.name, make)

    def _send(self, folder: Path, final: Path) -> bool:
        """Store a sealed folder in the bucket; whether there was no such entry."""
        assert self.remote is not None
        with room_for(folder, final):
            return self.remote.send(folder, final.parent.name, final.name)

    def _fetched(self, final: Path) -> bool:
        """Copy an entry from the bucket, if it is there; whether it is."""
        if self.remote is None:
            return False
        try:
            with room_for(final.parent, final):
                fetched = self.remote.fetch(final)
        except OSError as error:
            raise self._unwritable(error) from error
        if fetched:  # what was begun here is not needed any more
            shutil.rmtree(partial_of(final), ignore_errors=True)
        return fetched

    def check_writable(self) -> None:
        """Refuse a store that results cannot be written to, before any of them is computed.

        Raises:
            ConfigurationError: If it cannot be written.
        """
        if self.remote is not None:
            self.remote.bucket.check()
        check_name(self.root)
        self._create(self.root)
        try:
            try_folder(self.root)
        except OSError as error:
            raise self._unwritable(error) from error

    def _kept(self, final: Path) -> bool:
        """Whether a sound entry is there; a damaged one is named and set aside. The caller holds the lock."""
        if not os.path.lexists(final):
            return False
        problem = damage_of(final)
        if problem is None:
            return True
        names = (f"{final.name}{DAMAGED}{f'.{number}' if number > 1 else ''}" for number in count(1))
        aside = next(place for name in names if not os.path.lexists(place := final.with_name(name)))
        try:
            final.rename(aside)
        except OSError as error:
            raise ConfigurationError(
                f"The stored result {final} is damaged ({problem}) and cannot be set aside ({error.strerror}); remove it, or "
                f"{ELSEWHERE}."
            ) from error
        progress.note(
            f"The stored result {final} is damaged: {problem}. It is now {aside.name}, and is computed again when needed."
        )
        return False

    @contextmanager
    def _locked(self, final: Path) -> Iterator[Lock]:
        """Hold the lock of an entry."""
        with ExitStack() as held:
            try:
                lock = held.enter_context(locked(lock_of(final), lambda holder: say_waiting(final, holder)))
            except OSError as error:
                raise self._unwritable(error) from error
            yield lock

    def _create(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            blocks = next(place for place in (folder, *folder.parents) if misplaced(place) is not None)
            raise ConfigurationError(
                f"Results cannot be stored in {self}: {blocks} is not a folder; remove it, or {ELSEWHERE}."
            ) from error
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> ConfigurationError:
        return ConfigurationError(f"Results cannot be stored in {self.root} ({error.strerror}); {ELSEWHERE}.")
