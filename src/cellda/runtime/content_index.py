"""The hashes of files that were read before, in one SQLite file for all processes of a user."""

import os
import sqlite3
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal

from xxhash import xxh3_64_digest

NAME = "contents.sqlite"
WAIT = 30.0
"""Seconds for which a process waits for another that is writing."""

_STATE, _HASH = 32, 16
_SURROUNDINGS = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}
"""Errors for which the disk, or another process, is to blame; all others mean that the file is damaged."""
_CREATE = """
CREATE TABLE IF NOT EXISTS contents (folder BLOB, name BLOB, entry BLOB, PRIMARY KEY (folder, name)) WITHOUT ROWID
"""
_FIND = "SELECT name, entry FROM contents WHERE folder = ? AND name BETWEEN ? AND ?"
_ADD = "INSERT OR REPLACE INTO contents VALUES (?, ?, ?)"


class _DamagedEntryError(Exception):
    """An entry is not as it was written."""


class ContentIndex:
    """Path -> state and hash of files.

    The index only saves time. Where it cannot be read or written, a warning says so, and files are read again. A damaged
    one is moved to `contents.sqlite.damaged`, with a warning, and a new one begins empty. SQLite itself does not notice a
    changed byte in a value, so every entry has a checksum.

    Args:
        folder: The folder of `contents.sqlite`; it is created with the first entry.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder.absolute() / NAME
        self._checked = False

    def find(self, files: Sequence[str]) -> dict[str, tuple[bytes, bytes]]:
        """State and hash of those files that are known."""
        if not self.file.exists():
            return {}
        folders: dict[str, dict[bytes, str]] = defaultdict(dict)
        for file in files:
            folder, _, name = file.rpartition(os.sep)
            folders[folder][os.fsencode(name)] = file
        found: dict[str, tuple[bytes, bytes]] = {}

        def find(opened: sqlite3.Connection) -> None:
            found.clear()  # what was found in a damaged index is not in the new one
            for folder, names in folders.items():
                there = os.fsencode(folder)
                # One scan of a folder is faster than one query for each of its files.
                for name, entry in opened.execute(_FIND, (there, min(names), max(names))):
                    if name in names:
                        found[names[name]] = _checked(there, name, entry)

        return found if self._try(find) else {}

    def add(self, read: Iterable[tuple[str, bytes, bytes]]) -> None:
        """Remember path, state and hash of files."""
        rows = []
        for file, state, content in read:
            folder, _, name = file.rpartition(os.sep)
            key = os.fsencode(folder), os.fsencode(name)
            rows.append((*key, _entry(*key, state, content)))
        if not rows:
            return

        def write(opened: sqlite3.Connection) -> None:
            # Where an index was cut off, entries may be missing without an error.
            if not self._checked and opened.execute("PRAGMA quick_check(1)").fetchone() != (b"ok",):
                raise _DamagedEntryError
            self._checked = True
            opened.execute("BEGIN IMMEDIATE")
            opened.executemany(_ADD, rows)
            opened.execute("COMMIT")

        self._try(write)

    def _try(self, work: Callable[[sqlite3.Connection], None], *, again: bool = True) -> bool:
        """Do something with the database, with a new one if it is damaged; a warning says if that was not possible."""
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            if not self.file.exists():
                self.file.touch()  # SQLite would not let the user's group write, whatever the umask is
            with closing(sqlite3.connect(self.file, timeout=WAIT, isolation_level=None)) as opened:
                opened.text_factory = bytes  # a damaged value may be any text
                # Nothing is waited for: an index that a power cut damages is noticed, and made again.
                opened.execute("PRAGMA synchronous = OFF")
                opened.execute(_CREATE)
                work(opened)
        except (_DamagedEntryError, UnicodeDecodeError):
            return (
                self._set_aside("an entry has changed or is missing")
                and again
                and self._try(work, again=False)
            )
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF not in _SURROUNDINGS:
                return self._set_aside(str(error)) and again and self._try(work, again=False)
            return self._warn(str(error))
        except OSError as error:
            return self._warn(error.strerror or str(error))
        return True

    def _set_aside(self, reason: str) -> bool:
        """Move a damaged index out of the way and say so; whether that was possible."""
        aside = self.file.with_name(f"{NAME}.damaged")
        try:
            # The journal first: a new index must not find the journal of the old one.
            self.file.with_name(f"{NAME}-journal").unlink(missing_ok=True)
            self.file.replace(aside)
        except FileNotFoundError:
            return True  # another process was faster
        except OSError as error:
            return self._warn(f"it is damaged, and cannot be moved: {error.strerror or error}")
        warnings.warn(
            f"The index of file contents {self.file} is damaged ({reason}). It was moved to {aside.name}, and the files of "
            "your datasets are read again.",
            stacklevel=2,
        )
        return True

    def _warn(self, reason: str) -> Literal[False]:
        warnings.warn(
            f"What files hold cannot be remembered in {self.file} ({reason}), so every command reads all files of a dataset "
            "again. Make that folder writable, or choose another with the environment variable CELLDA_STORE.",
            stacklevel=2,
        )
        return False


def _checked(folder: bytes, name: bytes, entry: object) -> tuple[bytes, bytes]:
    """State and hash of an entry.

    Raises:
        _DamagedEntryError: If it is not as it was written.
    """
    if isinstance(entry, bytes):
        state, content = entry[:_STATE], entry[_STATE : _STATE + _HASH]
        if entry == _entry(folder, name, state, content):
            return state, content
    raise _DamagedEntryError


def _entry(folder: bytes, name: bytes, state: bytes, content: bytes) -> bytes:
    """State, hash and a checksum of them and of the path."""
    return state + content + xxh3_64_digest(b"/".join((folder, name, state + content)))
