"""Object storage as the place of a store: what cellda needs of it, through fsspec, with errors as sentences."""

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import fsspec
from fsspec.callbacks import Callback
from fsspec.spec import AbstractFileSystem

from cellda.errors import ConfigurationError
from cellda.runtime import progress
from cellda.runtime.storage.files import Listed
from cellda.runtime.work import Stage, Work

SHOWN = 2**26
"""From this many bytes on, a transfer shows a bar."""
AT_ONCE = 500
"""Objects that are asked for at once."""


class Bucket:
    """The objects below a URL (`cellda.runtime.storage.files.Files`, and what a store needs beyond).

    Every method raises ConfigurationError, with a sentence, if the bucket cannot be reached or does not permit it.

    Args:
        url: Such as `s3://bucket/prefix`, without a slash at the end; anything that fsspec knows and that can create an object
            only if there is none.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def check(self) -> None:
        """Refuse a bucket in which results cannot be stored, or not by several machines.

        Raises:
            ConfigurationError: If so; the message says why.
        """
        probe = f".cellda-{secrets.token_hex(8)}"
        try:
            exclusive = self.create(probe, b"1") and not self.create(probe, b"2")
        finally:
            with suppress(ConfigurationError):
                self.remove(probe)
        if not exclusive:
            raise ConfigurationError(
                f"The store {self.url} cannot be used: it writes over an object where it was asked to create one only if "
                "there is none (conditional writes), by which machines keep out of each other's way. Choose another server, "
                "or a shared folder."
            )

    def create(self, name: str, content: bytes) -> bool:
        """Write an object if there is none of this name; whether there was none."""
        with self._asked():
            try:
                self._files.pipe_file(self._place(name), content, mode="create")
            except FileExistsError:
                return False
            return True

    def read(self, name: str) -> bytes | None:
        """What an object holds; None if there is none."""
        with self._asked():
            try:
                return bytes(self._files.cat_file(self._place(name)))
            except FileNotFoundError:
                return None

    def read_all(self, names: list[str]) -> Iterator[bytes | None]:
        """What objects hold, in this order; None for those that are not there."""
        for start in range(0, len(names), AT_ONCE):
            places = [self._place(name) for name in names[start : start + AT_ONCE]]
            with self._asked():
                found = self._files.cat(places, on_error="return")
            for place in places:
                content = found[place]
                if isinstance(content, Exception) and not isinstance(content, FileNotFoundError):
                    with self._asked():
                        raise content
                yield content if isinstance(content, bytes) else None

    def write(self, name: str, content: bytes) -> None:
        """Write an object; an older one is replaced."""
        with self._asked():
            self._files.pipe_file(self._place(name), content)

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""
        with self._asked(), suppress(FileNotFoundError):
            self._files.rm_file(self._place(name))

    def remove_all(self, folder: str) -> None:
        """Remove the objects of a folder."""
        places = [self._place(one.name) for one in self.listed(folder)]
        if places:
            with self._asked(), suppress(FileNotFoundError):
                self._files.rm(places)

    def move(self, name: str, new: str) -> None:
        """Rename an object."""
        with self._asked():
            self._files.mv(self._place(name), self._place(new))

    def send(self, file: Path, name: str) -> bool:
        """Copy a file into an object, which appears as a whole, if there is none of this name; whether there was none."""
        with self._asked(), _bar(Stage.SEND, name, file.stat().st_size) as bar:
            try:
                self._files.put_file(str(file), self._place(name), callback=bar, mode="create")
            except FileExistsError:
                return False
            return True

    def fetch(self, name: str, file: Path) -> None:
        """Copy an object into a file.

        Raises:
            FileNotFoundError: If there is none of this name.
            OSError: If the file cannot be written.
        """
        size = self._size(name)
        with self._asked(file), _bar(Stage.FETCH, name, size) as bar:
            self._files.get_file(self._place(name), str(file), callback=bar)

    def changed(self, name: str) -> float | None:
        """When an object was written, in seconds since 1970 by the bucket's clock; None if there is none."""
        with self._asked():
            try:
                return _time(self._files.info(self._place(name), refresh=True))
            except FileNotFoundError:
                return None

    def now(self) -> float:
        """Seconds since 1970 by the bucket's clock; by this machine's, if nothing can be written there."""
        probe = f".cellda-{secrets.token_hex(8)}"
        try:
            self.write(probe, b"")
            return self.changed(probe) or time.time()
        except ConfigurationError:
            return time.time()
        finally:
            with suppress(ConfigurationError):
                self.remove(probe)

    def listed(self, folder: str) -> list[Listed]:
        """The objects of a folder, without those in folders below it."""
        return [
            Listed(f"{folder}/{name}", int(entry["size"] or 0), _time(entry))
            for name, entry in self._entries(folder)
            if entry["type"] == "file"
        ]

    def folders(self) -> list[str]:
        """The folders directly below the URL."""
        return sorted(name for name, entry in self._entries("") if entry["type"] == "directory")

    def _entries(self, folder: str) -> list[tuple[str, Mapping[str, Any]]]:
        with self._asked():
            try:
                found = self._files.ls(self._place(folder), detail=True, refresh=True)
            except FileNotFoundError:
                self._check_there()
                return []
        return [(entry["name"].rstrip("/").rpartition("/")[2], entry) for entry in found]

    def _check_there(self) -> None:
        """Tell a bucket without objects from one that does not exist."""
        name = self._root.partition("/")[0]
        with suppress(PermissionError):  # of who may only see a part of it
            if name and not self._files.exists(name):
                raise FileNotFoundError(name)

    def _size(self, name: str) -> int:
        with self._asked(Path(name)):
            return int(self._files.info(self._place(name), refresh=True)["size"])

    def _place(self, name: str) -> str:
        return f"{self._root}/{name}".rstrip("/")

    @property
    def _files(self) -> AbstractFileSystem:
        return self._opened[0]

    @property
    def _root(self) -> str:
        return self._opened[1]

    @cached_property
    def _opened(self) -> tuple[AbstractFileSystem, str]:
        protocol = self.url.partition("://")[0]
        try:
            # What others write must be seen at once.
            files, root = fsspec.url_to_fs(self.url, use_listings_cache=False)
        except ImportError as error:
            needed = "pip install 'cellda[s3]'" if protocol == "s3" else _brief(error)
            raise ConfigurationError(
                f"The store {self.url} needs a package that is not installed: {needed}."
            ) from None
        except ValueError as error:
            raise ConfigurationError(
                f"The store {self.url} is no address that fsspec knows: {_brief(error)}."
            ) from None
        return files, str(root).rstrip("/")

    @contextmanager
    def _asked(self, file: Path | None = None) -> Iterator[None]:
        """Context of a request.

        Args:
            file: What is written on this machine, if anything is: its errors are passed on.
        """
        try:
            yield
        except ConfigurationError:
            raise
        except (FileExistsError, FileNotFoundError) as error:
            if file is not None:
                raise
            raise self._error("there is no such bucket; create it first", error) from error
        except PermissionError as error:
            told = "access is denied; check the credentials, and what they permit"
            raise self._error(told, error) from error
        except OSError as error:
            if file is not None and error.filename is not None:
                raise
            raise self._error("it cannot be reached", error) from error
        except Exception as error:  # of the library behind fsspec
            if type(error).__name__ in {"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"}:
                told = "there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
                raise self._error(told, error) from error
            if type(error).__module__.partition(".")[0] in {
                "botocore",
                "aiobotocore",
                "aiohttp",
                "gcsfs",
                "azure",
            }:
                raise self._error("it cannot be reached", error) from error
            raise

    def _error(self, told: str, error: Exception) -> ConfigurationError:
        return ConfigurationError(
            f"The store {self.url} cannot be used: {told} ({type(error).__name__}: {_brief(error)})."
        )


class _Bar(Callback):
    """Tells cellda's bar how far a transfer is."""

    def __init__(self, advance: Any) -> None:
        super().__init__()
        self._advance = advance

    def relative_update(self, inc: int = 1) -> None:
        self._advance(inc)


@contextmanager
def _bar(stage: Stage, name: str, size: int) -> Iterator[Callback]:
    if size < SHOWN:
        yield Callback()
        return
    with progress.task(Work(stage, name), size) as advance:
        yield _Bar(advance)


def _time(entry: Mapping[str, Any]) -> float:
    """When an object was written: every library behind fsspec calls it something else."""
    for name in ("LastModified", "last_modified", "mtime", "updated", "created"):
        found = entry.get(name)
        if isinstance(found, str):
            found = datetime.fromisoformat(found)
        if isinstance(found, datetime):
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
        if found is not None:
            return float(found)
    return 0.0


def _brief(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "no reason given").rstrip(".")
