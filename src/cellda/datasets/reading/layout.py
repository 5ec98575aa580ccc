"""Read published folder layouts: where they begin and which images they hold, in a fixed order."""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from cellda.datasets.reading.names import is_archive, is_image, is_system_folder, natural
from cellda.errors import DataError
from cellda.taxonomies import DEFAULT, create
from cellda.text import shown

NESTING = 32
"""Folders inside each other that are read; a dataset needs a few, a mistake or a trap has thousands."""


Identity = tuple[int, int]


def images(folder: Path) -> list[str]:
    """Names of the visible image files in `folder`, in natural order."""
    return _files(folder, is_image)


def images_below(folder: Path) -> list[str]:
    """Paths relative to `folder` of the visible image files in it and its visible sub-folders."""
    return files_below(folder, is_image)


def files_below(folder: Path, wanted: Callable[[str], bool]) -> list[str]:
    """Paths relative to `folder` of the visible files with a wanted name in it and its visible sub-folders.

    A link to a folder above itself is not followed.

    Raises:
        DataError: If a folder cannot be read.
    """
    return _files_below(folder, wanted, ancestry(folder), 0)


def _files_below(
    folder: Path, wanted: Callable[[str], bool], above: frozenset[Identity], depth: int
) -> list[str]:
    found = _files(folder, wanted)
    for name in subfolders(folder):
        here = identity(folder / name)
        if here not in above and depth < NESTING:
            inside = _files_below(folder / name, wanted, above | {here}, depth + 1)
            found += [f"{name}/{path}" for path in inside]
    return found


def identity(folder: Path) -> Identity:
    """Device and inode of a folder, by whatever links it is reached."""
    state = folder.stat()
    return state.st_dev, state.st_ino


def ancestry(folder: Path) -> frozenset[Identity]:
    """The identities of a folder and of all folders above it: a link to one of them makes a loop."""
    real = folder.resolve()
    return frozenset(map(identity, (real, *real.parents)))


def _files(folder: Path, wanted: Callable[[str], bool]) -> list[str]:
    return _entries(folder, lambda entry: wanted(entry.name) and entry.is_file())


def subfolders(folder: Path) -> list[str]:
    """Names of the visible folders in `folder`, in natural order, without those that systems keep for themselves."""
    return _entries(folder, lambda entry: entry.is_dir() and not is_system_folder(entry.name))


def _entries(folder: Path, wanted: "Callable[[os.DirEntry[str]], bool]") -> list[str]:
    """Names of the visible, wanted entries of a folder in natural order; a link that leads nowhere is not one.

    Raises:
        DataError: If the folder cannot be read.
    """

    def is_wanted(entry: "os.DirEntry[str]") -> bool:
        try:
            return wanted(entry)
        except OSError:  # a link to itself
            return False

    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if not entry.name.startswith(".") and is_wanted(entry)]
    except OSError as error:
        raise DataError(
            f"The folder {folder} cannot be read ({error.strerror}); give yourself permission to read it, or move it out of "
            "the dataset."
        ) from None
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
        raise DataError(f"The folder {root} of {owner} {why_not_folder(root)}.")
    return root


def why_not_folder(root: Path) -> str:
    """Why a path is not a folder, and what to give instead, as the end of a sentence."""
    if not root.exists():
        return "is a link that leads nowhere" if root.is_symlink() else "does not exist"
    if is_archive(root.name):
        return "is an archive: unpack it and give the folder"
    return "is a file, not a folder"


def not_published(root: Path, owner: str, wanted: Sequence[str], places: Sequence[Path]) -> DataError:
    """The error that a folder does not hold a published layout: what was expected, where, and what was found."""
    return DataError(
        f"{root} does not hold {owner} as published.",
        [
            f"looked for {', '.join(wanted)}",
            f"in {', '.join(map(str, places))}",
            f"found in {root}: {contents(root)}",
            *(f"{inside} holds them: give this folder" for inside in _one_level_down(root, wanted)),
        ],
    )


def _one_level_down(root: Path, wanted: Sequence[str]) -> list[Path]:
    """Folders in `root` that hold what was wanted in `root` itself."""
    folders = [root / name for name in subfolders(root)]
    return [folder for folder in folders if any(named(folder, name).exists() for name in wanted)]


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
            problems.append(f"{place} holds no image; in it: {contents(place)}")
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
    usual = create(DEFAULT)
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
            problems.append(f"{place} holds none of {', '.join(names)}; in it: {contents(place)}")
        others = [name for name in found if name.casefold() not in known and usual.names_a_class(name)]
        problems += [f"{place / name} is not one of {', '.join(names)}" for name in others]
    return problems


def contents(folder: Path, most: int = 12) -> str:
    """Names of the entries of a folder, for messages."""
    names = sorted(shown(name) for name in os.listdir(folder))  # noqa: PTH208
    if not names:
        return "nothing"
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
