"""Boxes around the cells of smear fields, as annotation tools write them: Pascal VOC XML or YOLO text."""

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from cellda.datasets.reading.decode import Box, frame_size
from cellda.datasets.reading.layout import files_below, images_below
from cellda.datasets.reading.text import read_text
from cellda.errors import DataError
from cellda.text import counted

SIBLINGS = {"Annotations": "JPEGImages", "labels": "images"}
"""Folders of annotations, and the sibling folder that holds the images if they are kept apart."""
_SIBLINGS = " or ".join(f"`{images}` for `{annotations}`" for annotations, images in SIBLINGS.items())


@dataclass(frozen=True)
class Marked:
    """One marked cell.

    Attributes:
        field: Path of its image, relative to the root.
        frame: `(width, height)` of that image.
        label: Name of its class, as annotated.
        box: Around the cell, whole pixels, inside the frame.
    """

    field: str
    frame: tuple[int, int]
    label: str
    box: Box

    @property
    def centre(self) -> tuple[float, float]:
        """`(x, y)` of the middle of the box."""
        x, y, width, height = self.box
        return x + width / 2, y + height / 2


def marked_cells(root: Path) -> list[Marked]:
    """All cells that annotation files under `root` mark, in their order; image sizes are read, but no image is decoded.

    VOC files are read if there are any, else YOLO files. A box that occurs twice with one class is one cell.

    Returns:
        The cells; an empty list if there are no annotations.

    Raises:
        DataError: If an annotation has no image, is malformed, or marks boxes outside its image, or if YOLO
            annotations lack a list of classes; the message lists all problems.
    """
    images = {posixpath.splitext(path)[0]: path for path in images_below(root)}
    files = files_below(root, lambda name: name.lower().endswith((".xml", ".txt", ".names")))
    annotations = [path for path in files if path.lower().endswith(".xml")] or _yolo_files(files, images)
    yolo = bool(annotations) and annotations[0].lower().endswith(".txt")
    names = _class_list(root, files) if yolo else []
    cells: dict[Marked, None] = {}
    problems = []
    for path in annotations:
        field = _field(path, images)
        if field is None:
            problems.append(f"{path}: its image is missing; it is expected next to it or in {_SIBLINGS}")
            continue
        try:
            frame = frame_size(root / field)
            marks = _yolo(root / path, names, frame) if yolo else _voc(root / path)
            cells |= {Marked(field, frame, label, _inside(mark, frame)): None for label, mark in marks}
        except (
            DataError,
            LookupError,
            OSError,
            ValueError,
            ElementTree.ParseError,
            _MalformedError,
        ) as error:
            problems.append(f"{path}: {error}")
    if problems:
        raise DataError(f"{counted(len(problems), 'annotation file(s)')} in {root} cannot be used.", problems)
    return list(cells)


class _MalformedError(Exception):
    """What is wrong with an annotation file."""


Corners = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""


def _voc(file: Path) -> list[tuple[str, Corners]]:
    marks = []
    for number, cell in enumerate(ElementTree.parse(file).getroot().iter("object"), start=1):
        label = (cell.findtext("name") or "").strip()
        sides = [cell.findtext(f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")]
        try:
            left, top, right, bottom = (float(side or "") for side in sides)
        except ValueError:
            raise _MalformedError(f"object {number} has no bndbox of four numbers") from None
        if not label:
            raise _MalformedError(f"object {number} has no name")
        marks.append((label, (left, top, right, bottom)))
    return marks


def _yolo(file: Path, names: list[str], frame: tuple[int, int]) -> list[tuple[str, Corners]]:
    marks = []
    for number, line in enumerate(read_text(file)[0].splitlines(), start=1):
        if not line.strip():
            continue
        try:
            code, x, y, width, height = line.split()
            left, right = ((float(x) + sign * float(width) / 2) * frame[0] for sign in (-1, 1))
            top, bottom = ((float(y) + sign * float(height) / 2) * frame[1] for sign in (-1, 1))
            known = 0 <= int(code) < len(names)
        except ValueError:
            raise _MalformedError(f"line {number}: '{line}' is not `class x y width height`") from None
        if not known:
            raise _MalformedError(
                f"line {number}: class {code} is not one of the {len(names)} of the class list"
            )
        marks.append((names[int(code)], (left, top, right, bottom)))
    return marks


def _inside(mark: Corners, frame: tuple[int, int]) -> Box:
    """The part of a mark that lies in the frame, in whole pixels."""
    try:
        left, top, right, bottom = (round(side) for side in mark)
    except (ValueError, OverflowError):
        raise _MalformedError(f"the box {mark} is not made of numbers") from None
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, frame[0]), min(bottom, frame[1])
    if right <= left or bottom <= top:
        raise _MalformedError(
            f"the box {mark} (left, top, right, bottom) has no pixel in the image of {frame}"
        )
    return left, top, right - left, bottom - top


def _field(annotation: str, images: Mapping[str, str]) -> str | None:
    """The image of an annotation file: of the same stem, next to it or in the sibling folder."""
    stem = posixpath.splitext(annotation)[0]
    parts = stem.split("/")
    moved = ["/".join(image if part == name else part for part in parts) for name, image in SIBLINGS.items()]
    return next((images[place] for place in (stem, *moved) if place in images), None)


def _yolo_files(files: Sequence[str], images: Mapping[str, str]) -> list[str]:
    """Text files that belong to an image, and all others in their folders except lists of classes."""
    texts = [path for path in files if path.lower().endswith(".txt") and not _lists_classes(path)]
    folders = {posixpath.dirname(path) for path in texts if _field(path, images) is not None}
    return [path for path in texts if posixpath.dirname(path) in folders]


def _lists_classes(path: str) -> bool:
    return posixpath.basename(path) == "classes.txt" or path.endswith(".names")


def _class_list(root: Path, files: Sequence[str]) -> list[str]:
    lists = [path for path in files if _lists_classes(path)]
    read = [[line.strip() for line in read_text(root / path)[0].splitlines()] for path in lists]
    names = [[name for name in lines if name] for lines in read]
    if not names or any(other != names[0] for other in names):
        found = f"{', '.join(lists)} were found, which differ" if names else "none was found"
        raise DataError(
            f"YOLO annotations in {root} need one list of their classes, `classes.txt` or `obj.names`, one name per line; "
            f"{found}."
        )
    return names[0]
