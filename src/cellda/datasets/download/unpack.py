"""Unpack untrusted archives: no file outside the folder, no links, no full disk."""

import lzma
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import IO, Any, cast

from cellda.errors import ConfigurationError, DataError
from cellda.runtime import progress
from cellda.runtime.work import Stage, Work
from cellda.text import agreeing, counted

_DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, NotImplementedError,
)  # fmt: skip
_BLOCK = 1 << 18


@dataclass(frozen=True)
class Entry:
    """What an archive says about one of its entries.

    Attributes:
        name: Its path.
        kind: `"file"`, `"folder"`, or another kind (`"link"`, `"device"`, ...).
        size: Its bytes on disk.
        member: The archive's own record of it.
    """

    name: str
    kind: str
    size: int
    member: Any

    @property
    def parts(self) -> tuple[str, ...]:
        """The names on its path, separated by either slash, as on Windows."""
        return tuple(part for part in re.split(r"[\\/]", self.name) if part not in ("", "."))


Contents = tuple[list[Entry], Callable[[Entry], IO[bytes]]]
"""The entries of an archive, and a function that opens one of them."""


def unpack(archive: Path, folder: Path, inner: str | None = None) -> None:
    """Write the files of a zip or tar archive into `folder`.

    Only plain files and folders are accepted, each once, at relative paths that stay inside. If the archive holds anything
    else, nothing of it is written: an archive with one trap cannot be trusted.

    Args:
        archive: A zip file, or a tar file, compressed or not.
        folder: An existing folder without files of these names.
        inner: Name of an archive that this one may contain; it is unpacked into `folder` too, and removed.

    Raises:
        DataError: If the file is not an archive, is damaged, or holds unsafe entries; the message lists them all.
        ConfigurationError: If the disk lacks room for its content.
        OSError: If it cannot be written.
    """
    try:
        with _opened(archive) as (entries, reader):
            problems = _problems(entries)
            if problems:
                raise DataError(
                    f"{archive.name} is not unpacked: {len(problems)} of its {counted(len(entries), '(entry|entries)')} "
                    f"{agreeing(len(problems), '(is|are)')} unsafe.",
                    problems,
                )
            files = [entry for entry in entries if entry.kind == "file"]
            _check_room(archive, folder, sum(entry.size for entry in files))
            _write(files, reader, folder, Work(Stage.UNPACK, archive.name))
    except _DAMAGED as error:
        raise DataError(f"{archive.name} is damaged and cannot be unpacked: {error}.") from error
    if inner is not None:
        for nested in [path for path in folder.rglob(inner) if path.is_file()]:
            unpack(nested, folder)
            nested.unlink()


def _write(files: list[Entry], reader: Callable[[Entry], IO[bytes]], folder: Path, work: Work) -> None:
    with progress.task(work, sum(entry.size for entry in files)) as advance:
        for entry in files:
            path = folder.joinpath(*entry.parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            with reader(entry) as source, path.open("xb") as target:
                shutil.copyfileobj(source, target, _BLOCK)
            advance(entry.size)


def _problems(entries: list[Entry]) -> list[str]:
    """One line for each entry that must not be written."""
    problems = []
    files: dict[tuple[str, ...], str] = {}
    for entry in entries:
        # Some file systems ignore case: one file would overwrite the other.
        folded = tuple(part.casefold() for part in entry.parts)
        windows = PureWindowsPath(entry.name)
        if entry.kind not in ("file", "folder"):
            problems.append(f"{entry.name!r} is a {entry.kind}")
        elif windows.drive or windows.root:
            problems.append(f"{entry.name!r} has an absolute path")
        elif ".." in entry.parts:
            problems.append(f"{entry.name!r} leads out of the folder")
        elif "\0" in entry.name or (entry.kind == "file" and not entry.parts):
            problems.append(f"{entry.name!r} is not a file name")
        elif entry.kind == "file" and folded in files:
            problems.append(f"{entry.name!r} would overwrite {files[folded]!r}")
        elif entry.kind == "file":
            files[folded] = entry.name
    for folded, name in files.items():
        inside = [files[folded[:depth]] for depth in range(1, len(folded)) if folded[:depth] in files]
        problems += [f"{name!r} lies in the file {file!r}" for file in inside]
    return problems


def _check_room(archive: Path, folder: Path, size: int) -> None:
    """Refuse what the disk cannot hold before it is full: a few kilobytes can unpack to terabytes."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise ConfigurationError(
            f"{archive.name} unpacks to {size:,} bytes, but {folder} has room for {free:,}; make room or name "
            "another folder. If its publisher states a smaller size, do not trust the archive."
        )


@contextmanager
def _opened(archive: Path) -> Iterator[Contents]:
    # A zip file may be appended to any file; only a tar file begins like one.
    if tarfile.is_tarfile(archive):
        with tarfile.open(archive) as tar:
            members = [Entry(info.name, _tar_kind(info), info.size, info) for info in tar.getmembers()]
            yield members, lambda entry: cast(IO[bytes], tar.extractfile(entry.member))
    elif zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            infos = [
                Entry(info.filename, _zip_kind(info), info.file_size, info) for info in zipped.infolist()
            ]
            yield infos, lambda entry: zipped.open(entry.member)
    else:
        with archive.open("rb") as stream:
            start = stream.read(40)
        raise DataError(f"{archive.name} is neither a zip nor a tar file; it begins with {start!r}.")


def _tar_kind(info: tarfile.TarInfo) -> str:
    if info.issym() or info.islnk():
        return "link"
    if info.isdir():
        return "folder"
    return "file" if info.isreg() else "device"


def _zip_kind(info: zipfile.ZipInfo) -> str:
    mode = stat.S_IFMT(info.external_attr >> 16)
    if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "link" if mode == stat.S_IFLNK else "device"
    if info.flag_bits & 1:
        return "encrypted file"
    return "folder" if info.is_dir() else "file"
