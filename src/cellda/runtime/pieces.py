"""The pieces of an unfinished stage, one file each: whichever process makes one, all others find it."""

from pathlib import Path
from typing import Any

from cellda.runtime.ledger import Ledger
from cellda.runtime.place import written


class Pieces:
    """A folder of pieces, which are plain data. A file that is not what was written counts as missing, which is said.

    Two processes that make the same piece at the same time write the same, so that no lock is needed.

    Args:
        folder: It need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __len__(self) -> int:
        return sum(not file.name.startswith(".") for file in self.folder.glob("*"))

    def get(self, name: str) -> Any:
        """A piece; None if there is none."""
        entries = Ledger(self.folder / name).entries()
        return entries[0] if entries else None

    def put(self, name: str, content: Any) -> None:
        """Keep a piece: it appears whole, or not at all."""
        with written(self.folder / name) as part:
            Ledger(part).append(content)
