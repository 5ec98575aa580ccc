"""The side of a store that all machines see, if it is a bucket: entries as one object each, which appears as a whole.

An entry is the object `<kind>/<digest>.zip`, and can only be written if there is none. Beside it are `<digest>.json`, which
says what it was made of, `<digest>.lock` while a process makes it, and `<digest>.pieces/` while several do.
"""

import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cellda.runtime import progress
from cellda.runtime.storage import lease
from cellda.runtime.storage.bucket import Bucket
from cellda.runtime.storage.bucket_lock import ObjectSite
from cellda.runtime.storage.lease import Lock
from cellda.runtime.storage.manifest import KEY, WORKING, damage

ENTRY, SAYS, HELD, PIECES, ASIDE = ".zip", ".json", ".lock", ".pieces", ".damaged.zip"
"""What follows the digest in the names of objects."""
PACKED = "entry.zip"
"""An entry on its way, in the working folder of its stage."""
FETCHED = ".fetched"
"""What follows the digest in the name of the folder of an entry on its way from the bucket."""
RECENT = 2.0
"""Seconds for which a listing is taken for what is there; a long listing, for ten times as long as it took."""


class Remote:
    """Entries in a bucket.

    Args:
        bucket: The bucket.
    """

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self._listings: dict[str, tuple[float, frozenset[str]]] = {}
        self._sent: set[tuple[str, str]] = set()

    def there(self, kind: str, name: str) -> bool:
        """Whether an entry is there now, which costs a request."""
        return self.bucket.changed(f"{kind}/{name}{ENTRY}") is not None

    def has(self, kind: str, name: str) -> bool:
        """Whether an entry is there, or was `RECENT` seconds ago: one listing answers for all entries of a kind."""
        until, names = self._listings.get(kind, (0.0, frozenset()))
        if name in names or (kind, name) in self._sent:
            return True
        begun = time.monotonic()
        if begun > until:
            names = frozenset(self.made(kind))
            now = time.monotonic()
            self._listings[kind] = now + max(RECENT, 10 * (now - begun)), names
        return name in names

    def made(self, kind: str) -> dict[str, float]:
        """The entries of a kind by their digests, and when each was written."""
        return self._with(kind, ENTRY)

    def at_work(self, kind: str) -> set[str]:
        """The digests of the entries of a kind that living processes make."""
        locks = self._with(kind, HELD)
        return {name for name in locks if lease.is_held(ObjectSite(self.bucket, f"{kind}/{name}{HELD}"))}

    def _with(self, kind: str, ending: str) -> dict[str, float]:
        """The digests that an ending follows, and when those objects were written."""
        found = ((one.name.rpartition("/")[2], one.changed) for one in self.bucket.listed(kind))
        return {
            name.removesuffix(ending): changed
            for name, changed in found
            if name.partition(".")[1:] == (".", ending[1:])
        }

    @contextmanager
    def held(self, kind: str, name: str) -> Iterator[Lock]:
        """Hold the lock of an entry against all machines."""

        def waiting(holder: str) -> None:
            progress.note(f"Waiting for {holder}, which builds {kind}/{name}.")

        with lease.held(ObjectSite(self.bucket, f"{kind}/{name}{HELD}"), waiting) as lock:
            yield lock

    def fetch(self, final: Path) -> bool:
        """Copy an entry into its place, which is free, if it is in the bucket; whether it is. The caller holds its lock here.

        One that is not as it was written is named on standard error and renamed in the bucket.

        Raises:
            OSError: If it cannot be written here.
        """
        kind, name = final.parent.name, final.name
        place = final.with_name(name + FETCHED)
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        try:
            problem = self._copy(f"{kind}/{name}{ENTRY}", place)
            if problem is not None:
                self._set_aside(kind, name, problem)
                return False
            place.rename(final)
        except FileNotFoundError:
            return False
        finally:
            shutil.rmtree(place, ignore_errors=True)
        return True

    def damage(self, entry: str) -> str | None:
        """What is wrong with an entry, which is copied to find out; None if it is as it was written.

        Args:
            entry: The name of its object.
        """
        with tempfile.TemporaryDirectory() as folder:
            try:
                return self._copy(entry, Path(folder))
            except FileNotFoundError:
                return "it was removed"

    def _copy(self, entry: str, folder: Path) -> str | None:
        """Copy an entry into an empty folder; what is wrong with it, or None.

        Raises:
            FileNotFoundError: If it is not there.
            OSError: If it cannot be written here.
        """
        packed = folder / PACKED
        self.bucket.fetch(entry, packed)
        try:
            with zipfile.ZipFile(packed) as archive:
                archive.extractall(folder)
        except (zipfile.BadZipFile, EOFError, ValueError) as error:
            return str(error)
        packed.unlink()
        return damage(folder, entry.rpartition("/")[2].removesuffix(ENTRY))

    def send(self, folder: Path, kind: str, name: str) -> bool:
        """Store a sealed folder as an entry, if there is none; whether there was none.

        Raises:
            OSError: If there is no room here to pack it.
        """
        packed = folder / WORKING / PACKED
        packed.parent.mkdir(exist_ok=True)
        try:
            with zipfile.ZipFile(
                packed, "w"
            ) as archive:  # not compressed: pixels and weights hardly become smaller
                for file in sorted(folder.rglob("*")):
                    inside = file.relative_to(folder)
                    if file.is_file() and inside.parts[0] != WORKING:
                        archive.write(file, inside)
            self.bucket.write(f"{kind}/{name}{SAYS}", (folder / KEY).read_bytes())
            sent = self.bucket.send(packed, f"{kind}/{name}{ENTRY}")
        finally:
            packed.unlink(missing_ok=True)
        self._sent.add((kind, name))
        self.bucket.remove_all(f"{kind}/{name}{PIECES}")
        return sent

    def _set_aside(self, kind: str, name: str, problem: str) -> None:
        aside = f"{kind}/{name}{ASIDE}"
        self.bucket.move(f"{kind}/{name}{ENTRY}", aside)
        self._listings.pop(kind, None)
        self._sent.discard((kind, name))
        progress.note(
            f"The stored result {self.bucket.url}/{kind}/{name}{ENTRY} is damaged: {problem}. It is now {aside}, and is "
            "computed again when needed."
        )
