"""Find what lies in a dataset's folders and is none of its cells."""

import os
import stat
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path

from cellda.datasets.reading.account import Tally
from cellda.datasets.reading.layout import NESTING, Identity, ancestry
from cellda.datasets.reading.names import is_image, is_system_folder, natural, why_left_out


def survey(
    tally: Tally, root: Path, below: Sequence[str], cells: Iterable[str], also_read: Sequence[str] = ()
) -> None:
    """Enter everything in and below folders that is neither a cell nor read to find cells.

    Args:
        tally: Where it is entered.
        root: The folder that paths are relative to.
        below: The folders, "" for `root` itself.
        cells: Paths of the cells' files.
        also_read: Patterns of paths of further files that the loader reads (masks, annotations).
    """
    known = _by_folder(cells)
    entries: dict[tuple[str, str], list[str]] = defaultdict(list)
    for folder in below:
        for reason, path in _others(root, folder, known, ancestry(root / folder)):
            if not any(fnmatch(path, pattern) for pattern in also_read):
                entries[reason].append(path)
    for (what, kind), paths in entries.items():
        tally.leave(what, kind, paths)


def unnamed_images(root: Path, cells: Iterable[str]) -> int:
    """Number of images in the folders of cells that are not among the cells."""
    return sum(
        sum(map(is_image, set(_listed(root, folder)) - names)) for folder, names in _by_folder(cells).items()
    )


def _by_folder(paths: Iterable[str]) -> Mapping[str, set[str]]:
    known: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        folder, _, name = path.rpartition("/")
        known[folder].add(name)
    return known


def _listed(root: Path, folder: str) -> Collection[str]:
    try:
        return os.listdir(os.path.join(root, folder))  # noqa: PTH118, PTH208 - entries cost more, and most are cells
    except OSError:
        return ()


def _others(
    root: Path, folder: str, known: Mapping[str, set[str]], above: frozenset[Identity], depth: int = 0
) -> Iterator[tuple[tuple[str, str], str]]:
    """Reason and path of everything in and below a folder that is not known."""
    nothing: set[str] = set()
    for name in sorted(set(_listed(root, folder)) - known.get(folder, nothing), key=natural):
        path = f"{folder}/{name}" if folder else name
        place = root / path
        try:
            state = place.stat()
        except OSError as error:
            yield (_broken(place, error), ""), path
            continue
        here = (state.st_dev, state.st_ino)
        if not stat.S_ISDIR(state.st_mode):
            yield (
                (
                    why_left_out(name)
                    if stat.S_ISREG(state.st_mode)
                    else ("pipe(s), socket(s) or device(s)", "")
                ),
                path,
            )
        elif is_system_folder(name):
            yield ("folder(s) of thumbnails, backups or deleted files", ""), path
        elif name.startswith("."):
            yield ("hidden folder(s)", ""), path
        elif here in above:
            yield ("link(s) to a folder above", ""), path
        elif depth >= NESTING:
            yield (f"folder(s) nested more than {NESTING} deep", ""), path
        elif not os.access(place, os.R_OK | os.X_OK):
            yield ("folder(s) that may not be read", ""), path
        else:
            yield from _others(root, path, known, above | {here}, depth + 1)


def _broken(place: Path, error: OSError) -> str:
    return "broken link(s)" if place.is_symlink() else f"file(s) that cannot be examined ({error.strerror})"
