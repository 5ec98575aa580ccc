"""Boxes of cells in images, listed in a CSV file, without labels: `path,x,y,w,h`."""

import csv
from pathlib import Path

from cellda.datasets.reading.decode import Box, frame_size, outside
from cellda.errors import DataError
from cellda.text import original

COLUMNS = ("path", "x", "y", "w", "h")


def read_boxes(file: Path, folder: Path | None = None) -> list[tuple[Path, Box]]:
    """The image and box of each row; other columns are not read.

    Args:
        file: CSV in UTF-8, separated by commas, semicolons or tabs; boxes are pixels from the top left of the upright image.
        folder: What paths are relative to; by default the folder of the file.

    Raises:
        DataError: If columns are missing, or rows name missing images or boxes outside them; the message lists all of them.
    """
    place = folder or file.parent
    try:
        with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
            header = stream.readline()
            stream.seek(0)
            reader = csv.reader(stream, delimiter=max(",;\t", key=header.count))
            names = [name.strip().lower() for name in next(reader, [])]
            rows = [(reader.line_num, cells) for cells in reader if any(map(str.strip, cells))]
    except csv.Error as error:
        raise DataError(f"The boxes in {file} are not CSV: {error}.") from None
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise DataError(
            f"The boxes in {file} lack the column(s) {', '.join(missing)}; it needs {', '.join(COLUMNS)}, one row per cell."
        )
    if not rows:
        raise DataError(f"The boxes in {file} have no rows.")
    columns = [names.index(name) for name in COLUMNS]
    found: list[tuple[Path, Box]] = []
    problems: list[str] = []
    sizes: dict[Path, tuple[int, int] | str] = {}
    for line, cells in rows:
        try:
            path, *sides = (cells[column].strip() for column in columns)
            box = _box(sides)
            image = _image(place, path)
            if image not in sizes:
                sizes[image] = _size(image)
            size = sizes[image]
            if isinstance(size, str):
                raise ValueError(size)
            if outside(box, size):
                raise ValueError(f"the box {box} lies outside {path} of {size[0]} x {size[1]}")
            found.append((image, box))
        except IndexError:
            problems.append(f"line {line}: it has {len(cells)} entries under {len(names)} columns")
        except ValueError as error:
            problems.append(f"line {line}: {error}")
    if problems:
        raise DataError(
            f"{len(problems)} of {len(rows)} rows of the boxes in {file} cannot be used.", problems
        )
    return found


def _image(folder: Path, path: str) -> Path:
    """The image that a cell names, as it is or as a table of predictions writes it."""
    if not path:
        raise ValueError("the path is empty")
    named = folder / path
    return named if named.exists() else folder / original(path, csv=True)


def _size(image: Path) -> tuple[int, int] | str:
    try:
        return frame_size(image)
    except DataError as error:
        return error.summary


def _box(sides: list[str]) -> Box:
    try:
        x, y, width, height = (round(float(side)) for side in sides)
    except (ValueError, OverflowError):
        raise ValueError(f"the box ({', '.join(sides)}) is not made of four numbers") from None
    if width < 1 or height < 1:
        raise ValueError(f"the box ({', '.join(sides)}) has no width or height")
    return x, y, width, height
