"""The steps that an unfinished stage has done, one line with a hash each: a kill or damage costs steps, not the stage."""

import json
from pathlib import Path
from typing import Any

import xxhash

from cellda.runtime import progress
from cellda.text import counted


class Ledger:
    """A file of entries that is read up to the first line that is not what was written.

    Args:
        file: The file, which need not exist yet.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._count = 0

    def entries(self) -> list[Any]:
        """The entries, oldest first. Those after a damaged line are dropped, which is said (not for half a line of a kill)."""
        if not self.file.exists():
            return []
        *lines, rest = self.file.read_bytes().split(b"\n")
        found: list[Any] = []
        for line in lines:
            stated, _, text = line.partition(b" ")
            if stated != _hash(text, len(found)):
                progress.note(
                    f"{self.file} is damaged after {len(found)} of {counted(len(lines), 'step(s)')}; the others are done "
                    "again."
                )
                break
            found.append(json.loads(text))
        if rest or len(found) < len(lines):
            self.keep(found)
        self._count = len(found)
        return found

    def append(self, entry: Any) -> None:
        """Add an entry; after the return of this call, a killed process cannot lose it."""
        text = json.dumps(entry, separators=(",", ":")).encode()
        with self.file.open("ab") as stream:
            stream.write(_hash(text, self._count) + b" " + text + b"\n")
        self._count += 1

    def keep(self, entries: list[Any]) -> None:
        """Replace all entries by these."""
        self.file.unlink(missing_ok=True)
        self._count = 0
        for entry in entries:
            self.append(entry)


def _hash(text: bytes, number: int) -> bytes:
    """The hash of a line at its place: lines that were lost or swapped are noticed, too."""
    return xxhash.xxh3_64_hexdigest(text, seed=number).encode()
