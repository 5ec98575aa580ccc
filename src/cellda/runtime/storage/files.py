"""Small files by their names, in a folder or in a bucket: plans, logs and signs that machines leave for each other."""

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol

from cellda.runtime.place import written


class Listed(NamedTuple):
    """A file in a listing.

    Attributes:
        name: Below the root, with `/`.
        size: Bytes.
        changed: When it was written, in seconds since 1970 by the clock of whoever keeps it.
    """

    name: str
    size: int
    changed: float


class Files(Protocol):
    """Files below a root."""

    def read(self, name: str) -> bytes | None:
        """What a file holds; None if there is none."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file, which appears as a whole; an older one is replaced."""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""

    def listed(self, folder: str) -> list[Listed]:
        """The files of a folder, which need not exist, without those in folders below it."""


class Folder:
    """Files in a folder (`Files`).

    Args:
        root: It need not exist yet.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, name: str) -> bytes | None:
        """What a file holds; None if there is none.

        Raises:
            OSError: If it cannot be read.
        """
        try:
            return (self._root / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Write a file, which appears as a whole; an older one is replaced.

        Raises:
            OSError: If it cannot be written.
        """
        with written(self._root / name) as part:
            part.write_bytes(content)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        (self._root / name).unlink(missing_ok=True)

    def listed(self, folder: str) -> list[Listed]:
        """The files of a folder, which need not exist, without those in folders below it."""
        found = []
        for file in (self._root / folder).glob("*"):
            with suppress(FileNotFoundError):  # of a process that replaces it
                facts = file.stat()
                if not file.is_dir() and not file.name.startswith("."):
                    found.append(Listed(f"{folder}/{file.name}", facts.st_size, facts.st_mtime))
        return found
