"""Read published folder layouts: where they begin and which images they hold, in a fixed order."""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from cellda.errors import DataError
from cellda.taxonomy import names_a_class

IMAGE_SUFFIXES = frozenset(
    {".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
"""Suffixes of file names that count as images, in lower case."""

_DIGITS = re.compile(r"(\d+)")


def natural(name: str) -> tuple[list[int | str], str]:
    """Sort key that compares numbers: `2.jpg` before `10.jpg`."""
    # Odd parts of the split are the digits, so numbers are compared only with numbers.
    parts: list[int | str] = [*_DIGITS.split(name.lower())]
    parts[1::2] = map(int, parts[1::2])
    return parts, name


def is_image(name: str) -> bool:
    """Whether a file name denotes a visible image; `.DS_169665.jpg` does not."""
    # os.path, because a Path for each name costs a second on 170,000 files.
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122


def images(folder: Path) -> list[str]:
    """Names of the visible image files in `folder`, in natural order."""
    return _files(folder, is_image)


def images_below(folder: Path) -> list[str]:
    """Paths relative to `folder` of the visible image files in it and its visible sub-folders."""
    return files_below(folder, is_image)


def files_below(folder: Path, wanted: Callable[[str], bool]) -> list[str]:
    """Paths relative to `folder` of the visible files with a wanted name in it and its visible sub-folders."""
    found = _files(folder, wanted)
    for name in subfolders(folder):
        found += [f"{name}/{path}" for path in files_below(folder / name, wanted)]
    return found


def _files(folder: Path, wanted: Callable[[str], bool]) -> list[str]:
    with os.scandir(folder) as entries:
        names = (e.name for e in entries if not e.name.startswith(".") and wanted(e.name) and e.is_file())
        return sorted(names, key=natural)


def subfolders(folder: Path) -> list[str]:
    """Names of the visible folders in `folder`, in natural order; `__MACOSX` is not one."""
    with os.scandir(folder) as entries:
        names = [e.name for e in entries if not e.name.startswith((".", "__MACOSX")) and e.is_dir()]
    return sorted(names, key=natural)


def locate(root: Path, wrappers: Sequence[str], wanted: Iterable[str], owner: str) -> Path:
    """The folder in which a published layout begins: `root` itself, or one of the folders in which a download wraps it.

    Args:
        root: The folder that the user gave.
        wrappers: Paths under `root`, tried after `root` itself.
        wanted: Names of the layout's folders or files; one of them is enough to recognise it.
        owner: The name of the dataset in messages.

    Raises:
        DataError: If no place holds any of `wanted`; the message says what was expected and what was found.
    """
    wanted = list(wanted)
    existing_folder(root, owner)
    places = [root, *(named(root, wrapper) for wrapper in wrappers)]
    for place in places:
        if place.is_dir() and any(named(place, name).exists() for name in wanted):
            return place
    raise not_published(root, owner, wanted, places)


def named(root: Path, path: str) -> Path:
    """`root / path`, spelled as on disk: if a folder does not exist, one whose name differs only in case is used."""
    place = root
    for name in path.split("/"):
        found = place / name
        if not found.exists() and place.is_dir():
            alike = [other for other in subfolders(place) if other.casefold() == name.casefold()]
            found = place / (alike or [name])[0]
        place = found
    return place


def existing_folder(root: Path, owner: str) -> Path:
    """`root`, if it is a folder.

    Raises:
        DataError: If it is not.
    """
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise DataError(f"The folder {root} of {owner} {what}.")
    return root


def not_published(root: Path, owner: str, wanted: Sequence[str], places: Sequence[Path]) -> DataError:
    """The error that a folder does not hold a published layout: what was expected, where, and what was found."""
    return DataError(
        f"{root} does not hold {owner} as published.",
        [
            f"looked for {', '.join(wanted)}",
            f"in {', '.join(map(str, places))}",
            f"found in {root}: {_contents(root)}",
        ],
    )


def class_images(root: Path, folders: Iterable[str]) -> tuple[list[str], list[str]]:
    """The images of a layout with one folder per class.

    Args:
        root: The folder of the class folders; missing ones are skipped. Case does not matter.
        folders: Their names, or paths such as `Train/Basophil`.

    Returns:
        The images' paths relative to `root`, and for each the name of its folder, as in `folders`.

    Raises:
        DataError: If existing folders hold no image, or none of the class folders, or if another folder
            has the name of a class that the layout spells differently; the message lists them all.
    """
    folders = list(folders)
    paths: list[str] = []
    raw_labels: list[str] = []
    problems = _astray(root, folders)
    for folder in folders:
        place = named(root, folder)
        if not place.is_dir():
            continue
        names = images(place)
        if not names:
            problems.append(f"{place} holds no image; in it: {_contents(place)}")
        there = place.relative_to(root).as_posix()
        paths += [f"{there}/{name}" for name in names]
        raw_labels += [folder] * len(names)
    if problems:
        raise DataError(
            "These folders are not as in the published layout; complete or remove them.", problems
        )
    return paths, raw_labels


def _astray(root: Path, folders: Sequence[str]) -> list[str]:
    """Problems of the folders next to the class folders: cells in them would be ignored silently."""
    expected: dict[str, dict[str, None]] = {}
    for folder in folders:
        parts = folder.split("/")
        for depth, name in enumerate(parts):
            expected.setdefault("/".join(parts[:depth]), {})[name] = None
    problems = []
    for above, names in expected.items():
        place = named(root, above) if above else root
        found = subfolders(place) if place.is_dir() else []
        known = {name.casefold() for name in names}
        if above and place.is_dir() and not known & {name.casefold() for name in found}:
            problems.append(f"{place} holds none of {', '.join(names)}; in it: {_contents(place)}")
        others = [name for name in found if name.casefold() not in known and names_a_class(name)]
        problems += [f"{place / name} is not one of {', '.join(names)}" for name in others]
    return problems


def _contents(folder: Path, most: int = 12) -> str:
    names = sorted(entry.name for entry in folder.iterdir())
    if not names:
        return "nothing"
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
