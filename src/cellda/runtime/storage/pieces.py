"""The pieces of an unfinished stage, one file each: whichever process makes one, all others find it."""

from pathlib import Path
from typing import Any

from cellda.runtime.ledger import Ledger
from cellda.runtime.place import written
from cellda.runtime.storage.bucket import Bucket


class Pieces:
    """A folder of pieces, which are plain data. A file that is not what was written counts as missing, which is said.

    Two processes that make the same piece at the same time write the same, so that no lock is needed.

    Args:
        folder: It need not exist yet.
        bucket: Where they lie for other machines, if these do not see the folder.
        below: The folder there.
    """

    def __init__(self, folder: Path, bucket: Bucket | None = None, below: str = "") -> None:
        self.folder, self._bucket, self._below = folder, bucket, below

    @property
    def address(self) -> str:
        """What the folder is called on all machines."""
        return str(self.folder.resolve()) if self._bucket is None else f"{self._bucket.url}/{self._below}"

    def __len__(self) -> int:
        if self._bucket is not None:
            return len(self._bucket.listed(self._below))
        return sum(not file.name.startswith(".") for file in self.folder.glob("*"))

    def get(self, name: str) -> Any:
        """A piece; None if there is none."""
        file = self.folder / name
        if self._bucket is not None and not file.exists():
            content = self._bucket.read(f"{self._below}/{name}")
            if content is None:
                return None
            with written(file) as part:
                part.write_bytes(content)
        entries = Ledger(file).entries()
        return entries[0] if entries else None

    def put(self, name: str, content: Any) -> None:
        """Keep a piece: it appears whole, or not at all."""
        file = self.folder / name
        with written(file) as part:
            Ledger(part).append(content)
        if self._bucket is not None:
            self._bucket.write(f"{self._below}/{name}", file.read_bytes())
