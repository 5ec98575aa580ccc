"""Places that are written to: tried before the work, and written whole or not at all."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cellda.errors import ConfigurationError
from cellda.runtime.given import path_of
from cellda.runtime.os_errors import reason
from cellda.runtime.room import full_disk, is_full

_PROBE = b"\0" * 4096
"""A block: what a full disk refuses."""


def check_writable(path: str | Path, *, folder: bool = False, what: str = "") -> Path:
    """Refuse a place that cannot be written, before the work whose results belong there; nothing is left behind.

    Folders above the place that do not exist are created only when it is written.

    Args:
        path: Where results will be written.
        folder: Whether it is a folder, into which files will be written.
        what: Who wants to write there, in messages (`"--save"`).

    Returns:
        The path, with `~` expanded.

    Raises:
        ConfigurationError: If it cannot be written; the message says why, and what to do.
    """
    place = path_of(path)
    owner = f"{what}: " if what else ""
    check_name(place, what)
    try:
        kind = _kind(place)
        if folder and kind is not None and not stat.S_ISDIR(kind):
            raise ConfigurationError(f"{owner}{place} is a file; give a folder.")
        if not folder and kind is not None and stat.S_ISDIR(kind):
            raise ConfigurationError(f"{owner}{place} is a folder; give a file in it.")
        if kind is None or stat.S_ISDIR(kind):
            try_folder(place if kind is not None else _existing_above(place))
        elif stat.S_ISREG(kind):
            with place.open("ab"):
                pass
            try_folder(place.resolve().parent)  # the file is replaced as a whole
        elif stat.S_ISCHR(kind):
            _try_device(place)
    except OSError as error:
        raise ConfigurationError(f"{owner}{place} cannot be written: {reason(error)}.") from error
    return place


def check_name(place: Path, what: str = "") -> None:
    """Refuse a place for results whose path is not UTF-8: safetensors and Arrow could not read, or not write, what is there.

    Args:
        place: Where results will be written.
        what: Who wants to write there, in messages.

    Raises:
        ConfigurationError: If it is not.
    """
    try:
        str(place.absolute()).encode()
    except UnicodeEncodeError:
        owner = f"{what}: " if what else ""
        raise ConfigurationError(
            f"{owner}{place} cannot be used for results: its path is not valid UTF-8; choose another place or name."
        ) from None


def check_apart(place: Path, images: Path, what: str = "") -> None:
    """Refuse a folder for results that is, or lies in, a folder of images, where a dataset would find them.

    Args:
        place: Where results will be written.
        images: The folder of images; a file is not one.
        what: Who wants to write there, in messages.

    Raises:
        ConfigurationError: If it does.
    """
    inner, outer = path_of(place).resolve(), path_of(images).resolve()
    if outer.is_dir() and inner.is_relative_to(outer):
        owner = f"{what}: " if what else ""
        raise ConfigurationError(
            f"{owner}{place} lies in the folder of images {images}, where results would be taken for part of the dataset; "
            "choose a folder outside it."
        )


def try_folder(folder: Path) -> None:
    """Write a file with a block in it into a folder, and remove it.

    Raises:
        OSError: If that is not possible.
    """
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".cellda-") as probe:
        probe.write(_PROBE)


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """Yield where to write a file: next to its place, with its suffix; afterwards it takes the place in one step.

    If anything is raised, nothing is left and an older file stays as it was. Folders above the place are created. What is not
    an ordinary file (`/dev/stdout`, a pipe) is written directly.
    """
    target = path_of(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    kind = _kind(target)
    if kind is not None and not stat.S_ISREG(kind):
        yield target
        return
    target = target.resolve()  # a link stays a link
    check_name(target)
    partial = target.with_name(f".{target.stem[:100]}.{os.getpid()}.partial{target.suffix}")
    try:
        yield partial
        partial.replace(target)
    except BaseException as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        if isinstance(error, Exception) and is_full(error):
            full = full_disk(error)
            raise OSError(full.errno, full.strerror, str(target)) from error  # libraries do not name the file
        raise


@contextmanager
def saving(place: Path, kept: str) -> Iterator[None]:
    """Context in which results are written: errors of the system become a sentence, and no new folder is left half filled.

    Args:
        place: The folder or file that is written.
        kept: A sentence that says what is not lost.

    Raises:
        ConfigurationError: If it cannot be written.
    """
    new = not place.exists()
    try:
        yield
    except BaseException as error:
        if new and place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
        full = isinstance(error, Exception) and is_full(error)
        if full or isinstance(error, OSError):
            why = reason(full_disk(error) if full and isinstance(error, Exception) else error)
            raise ConfigurationError(f"{place} cannot be written: {why}. {kept}") from error
        raise


def _kind(place: Path) -> int | None:
    """The mode of what lies at a place; None if nothing does."""
    try:
        return place.stat().st_mode
    except FileNotFoundError:
        return None


def _existing_above(place: Path) -> Path:
    """The nearest folder above that exists.

    Raises:
        NotADirectoryError: If it is not a folder.
    """
    return next(above for above in place.absolute().parents if _kind(above) is not None)


def _try_device(device: Path) -> None:
    """A device such as `/dev/full` says only when it is written to; a terminal is left in peace."""
    with device.open("wb", buffering=0) as stream:
        if not os.isatty(stream.fileno()):
            stream.write(b"\n")
