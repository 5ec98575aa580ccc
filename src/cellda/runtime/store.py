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

from cellda.errors import ConfigurationError
from cellda.runtime import progress
from cellda.runtime.given import path_of
from cellda.runtime.lock import Lock, locked
from cellda.runtime.manifest import WORKING, damage, seal
from cellda.runtime.place import check_name, try_folder
from cellda.runtime.room import ELSEWHERE, full_disk, is_full, no_room

KEY = "key.json"
KEYS = 2
"""Part of every stage's digest: increase it by one to invalidate all stored results."""

DIGITS = 16
"""Hex digits of a digest."""

PARTIAL, DAMAGED, LOCK = ".partial", ".damaged", ".lock"
"""What follows the digest in the names of an unfinished entry, of one that was set aside, and of the lock of one."""


def digest(content: Mapping[str, Any]) -> str:
    """`DIGITS` hex digits of the SHA-256 of `content` as canonical JSON."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def stage_digest(key: Mapping[str, Any]) -> str:
    """The digest of a stage, computed from its key and `KEYS`."""
    return digest({**key, "keys": KEYS})


class Store:
    """A folder of finished stages, `<root>/<kind>/<digest>/`.

    A finished stage is called an entry. Its manifest is checked before it is used: an entry that is not as it was written is
    named on standard error, renamed to `<digest>.damaged` and built again.

    Args:
        root: The folder; by default `$CELLDA_STORE`, else the user's cache folder.
    """

    def __init__(self, root: str | Path | None = None) -> None:
        chosen = root or os.environ.get("CELLDA_STORE") or user_cache_path("cellda")
        self.root = path_of(chosen)

    def path(self, kind: str, key: Mapping[str, Any]) -> Path:
        """Where the stage with this key lies, whether or not it exists; to use what lies there, call `find` or `build`."""
        return self.root / kind / stage_digest(key)

    def partial(self, kind: str, key: Mapping[str, Any]) -> Path:
        """Where the stage with this key is built."""
        final = self.path(kind, key)
        return final.with_name(final.name + PARTIAL)

    def find(self, kind: str, key: Mapping[str, Any]) -> Path | None:
        """The folder of a finished stage whose files are as they were written; None if there is none.

        Raises:
            ConfigurationError: If the entry may not be read, or is damaged and cannot be set aside.
        """
        final = self.path(kind, key)
        if not os.path.lexists(final):
            return None
        if _damage(final) is not None:
            with self._locked(final):
                return final if self._kept(final) else None
        if (
            _lock(final).exists() or (final / WORKING).exists()
        ):  # of a process that was killed in its last step
            with suppress(ConfigurationError), self._locked(final):
                shutil.rmtree(final / WORKING, ignore_errors=True)
        return final

    def build(self, kind: str, key: Mapping[str, Any], make: Callable[[Path], None]) -> Path:
        """The folder of a finished stage, built by `make` if it does not exist yet.

        `make` receives a partial folder that survives an interruption. What it needs only to resume, such as checkpoints, it
        keeps in the subfolder `WORKING`, which is removed at the end. When `make` has returned, the manifest is written and
        the folder renamed. Two processes never build the same stage at the same time: the second one waits, and says so.

        Args:
            kind: Name of the stage.
            key: Everything that the stage depends on.
            make: Writes the results into the folder that it receives.

        Raises:
            ConfigurationError: If the store cannot be written.
        """
        found = self.find(kind, key)
        if found is not None:
            return found
        final = self.path(kind, key)
        self._create(final.parent)
        with self._locked(final) as lock:
            if not self._kept(final):
                partial = self.partial(kind, key)
                if misplaced(partial) is not None:
                    partial.unlink()
                self._create(partial / WORKING)
                # A process that was killed between its last two steps leaves a finished folder without its name.
                if damage(partial, final.name) is not None:
                    _make(partial, {**key, "keys": KEYS}, final.name, make)
                lock.check()
                partial.rename(final)
                shutil.rmtree(final / WORKING, ignore_errors=True)
        return final

    def check_writable(self) -> None:
        """Refuse a store that results cannot be written to, before any of them is computed.

        Raises:
            ConfigurationError: If it cannot be written.
        """
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
        problem = _damage(final)
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
                lock = held.enter_context(locked(_lock(final), lambda holder: _say_waiting(final, holder)))
            except OSError as error:
                raise self._unwritable(error) from error
            yield lock

    def _create(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            blocks = next(place for place in (folder, *folder.parents) if misplaced(place) is not None)
            raise ConfigurationError(
                f"Results cannot be stored in {self.root}: {blocks} is not a folder; remove it, or {ELSEWHERE}."
            ) from error
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> ConfigurationError:
        return ConfigurationError(f"Results cannot be stored in {self.root} ({error.strerror}); {ELSEWHERE}.")


def _make(partial: Path, key: Mapping[str, Any], name: str, make: Callable[[Path], None]) -> None:
    """Build an entry in its partial folder and seal it; a partial folder that holds nothing to resume from is removed."""
    try:
        make(partial)
    except BaseException as error:
        with suppress(OSError):
            (partial / WORKING).rmdir()
            partial.rmdir()
        if isinstance(error, Exception) and is_full(error):
            said = str(full_disk(error).strerror)
            raise no_room(f"{partial.parent.name}/{name}", partial.parent, said) from error
        raise
    (partial / KEY).write_text(
        json.dumps(key, indent=2, sort_keys=True, default=str) + "\n", encoding="utf-8"
    )
    seal(partial, name)


def _say_waiting(final: Path, holder: str) -> None:
    does = "builds" if final.with_name(final.name + PARTIAL).exists() else "uses"
    progress.note(f"Waiting for {holder}, which {does} {final.parent.name}/{final.name}.")


def misplaced(place: Path) -> str | None:
    """What lies in the place of an entry and is not a folder, in words; None if it is one, or nothing lies there."""
    if place.is_dir() or not os.path.lexists(place):
        return None
    return "it is a link that leads nowhere" if place.is_symlink() and not place.exists() else "it is a file"


def _damage(final: Path) -> str | None:
    try:
        return misplaced(final) or damage(final)
    except PermissionError as error:
        raise ConfigurationError(
            f"The stored result {final} cannot be read ({error.strerror}); make it readable, or {ELSEWHERE}."
        ) from error


def _lock(final: Path) -> Path:
    return final.with_name(final.name + LOCK)
