"""Rows of a user's table of images: read them and find every problem in them."""

import csv
import os
import posixpath
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pandas as pd

from cellda.datasets.reading.decode import Box, frame_size, outside
from cellda.errors import DataError, nearest
from cellda.taxonomy import unknown_names

SIDES = ("x", "y", "w", "h")
COLUMNS = ("path", "label", "group", *SIDES)
REQUIRED = ("path", "label")


Row = dict[str, str]
"""Entries of a row in `COLUMNS`, as stripped text, "" if empty."""


def read_rows(file: Path) -> Iterator[tuple[str, Row | str]]:
    """Each row of a CSV or Parquet file: its position, and its entries or why they cannot be separated.

    Raises:
        DataError: If the file cannot be read, or lacks columns.
    """
    if file.suffix.lower() in (".parquet", ".pq"):
        yield from _parquet_rows(file)
    elif file.suffix.lower() in (".csv", ".tsv", ".txt"):
        yield from _csv_rows(file)
    else:
        raise DataError(
            f"The table {file} is neither CSV nor Parquet by its name; end it in .csv or .parquet."
        )


class Listing:
    """The cells that the rows of a table name, and the problems of those rows.

    Args:
        folder: The folder that paths are relative to.
    """

    def __init__(self, folder: Path) -> None:
        self.paths: list[str] = []
        self.raw_labels: list[str] = []
        self.groups: list[str | None] = []
        self.boxes: list[Box | None] = []
        self._folder = folder
        self._where: list[str] = []
        self._found: list[str] = []
        self._first: dict[tuple[str, Box | None], int] = {}
        self._exists: dict[str, bool] = {}

    def add(self, where: str, row: Row | str) -> None:
        """Add one row; its problems are kept for `problems`."""
        if isinstance(row, str):
            self._found.append(f"{where}: {row}")
            return
        path, label = self._relative(row["path"]), row["label"]
        box, complaint = _box(row)
        if not path:
            self._found.append(f"{where}: the path is empty")
        if not label:
            self._found.append(f"{where}: the label is empty")
        if complaint:
            self._found.append(f"{where}: {complaint}")
        first = self._first.setdefault((path, box), len(self.paths))
        if path and not complaint and first < len(self.paths):
            differs = (
                "" if self.raw_labels[first] == label else f", there labelled '{self.raw_labels[first]}'"
            )
            self._found.append(f"{where}: repeats the cell of {self._where[first]}, {path}{differs}")
        self.paths.append(path)
        self.raw_labels.append(label)
        self.groups.append(row["group"] or None)
        self.boxes.append(box)
        self._where.append(where)

    def problems(self) -> list[str]:
        """All problems of the rows, and of the images they name."""
        if not self.paths and not self._found:
            return ["the table has no rows"]
        return [*self._found, *self._missing_images(), *self._boxes_outside(), *self._unknown_labels()]

    def _relative(self, path: str) -> str:
        """The path relative to the folder, with "/" as separator, even if it was given as absolute."""
        slashed = path.replace("\\", "/")
        # os.path here and below, because a Path for each row costs a second on 100,000 of them.
        if os.path.isabs(slashed):  # noqa: PTH117
            with suppress(ValueError):
                return Path(slashed).relative_to(self._folder.absolute()).as_posix()
        return posixpath.normpath(slashed) if slashed else ""

    def _is_file(self, path: str) -> bool:
        if path not in self._exists:
            self._exists[path] = os.path.isfile(os.path.join(self._folder, path))  # noqa: PTH113, PTH118
        return self._exists[path]

    def _missing_images(self) -> list[str]:
        rows = zip(self._where, self.paths, strict=True)
        missing = [(where, path) for where, path in rows if path and not self._is_file(path)]
        if len(missing) == len(self.paths) > 1:
            return [
                f"none of the images of the {len(missing)} rows exists; the first is expected at "
                f"{self._folder / missing[0][1]}; paths are relative to the table's folder "
                "or to the option 'images'"
            ]
        return [f"{where}: the image {path} does not exist" for where, path in missing]

    def _boxes_outside(self) -> list[str]:
        by_path: dict[str, list[int]] = defaultdict(list)
        for index, (path, box) in enumerate(zip(self.paths, self.boxes, strict=True)):
            if path and box is not None and self._is_file(path):
                by_path[path].append(index)
        found = []
        for path, indices in by_path.items():
            try:
                size = frame_size(self._folder / path)
            except DataError as error:
                found.append(f"{self._where[indices[0]]}: {error.summary}")
                continue
            for index in indices:
                box = self.boxes[index]
                if box is not None and outside(box, size):
                    found.append(
                        f"{self._where[index]}: the box {box} lies outside {path} of {size[0]} x {size[1]}"
                    )
        return found

    def _unknown_labels(self) -> list[str]:
        rows: dict[str, list[str]] = defaultdict(list)
        for where, label in zip(self._where, self.raw_labels, strict=True):
            if label:
                rows[label].append(where)
        return [f"{_some(rows[label])}: {problem}" for label, problem in unknown_names(rows).items()]


def _box(row: Row) -> tuple[Box | None, str]:
    """The box of a row, and its problem ("" if none)."""
    sides = [row[side] for side in SIDES]
    if not any(sides):
        return None, ""
    missing = [side for side in SIDES if not row[side]]
    if missing:
        return None, f"the box lacks {', '.join(missing)}; give all of {', '.join(SIDES)} or none"
    try:
        x, y, width, height = (round(float(side)) for side in sides)
    except (ValueError, OverflowError):
        return None, f"the box ({', '.join(sides)}) is not made of numbers"
    if width < 1 or height < 1:
        return None, f"the box ({', '.join(sides)}) has no width or height"
    return (x, y, width, height), ""


def _some(places: list[str], most: int = 5) -> str:
    return ", ".join(places[:most]) + (f" and {len(places) - most} more" if len(places) > most else "")


def _columns(names: list[str], file: Path) -> dict[str, int]:
    """Position of each of `COLUMNS` that a header names, in any case."""
    positions = {name.strip().lower(): place for place, name in enumerate(names)}
    missing = [name for name in REQUIRED if name not in positions]
    if missing:
        raise DataError(
            f"The table {file} lacks {len(missing)} column(s); it needs at least {', '.join(REQUIRED)}.",
            [f"no column '{name}': {nearest(name, positions)}" for name in missing],
        )
    half = [side for side in SIDES if side in positions]
    if half and len(half) < len(SIDES):
        raise DataError(
            f"The table {file} has only {', '.join(half)} of the box columns {', '.join(SIDES)}; "
            "give all of them or none."
        )
    return {name: positions[name] for name in COLUMNS if name in positions}


def _csv_rows(file: Path) -> Iterator[tuple[str, Row | str]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            header = stream.readline()
            separator = max(",;\t", key=header.count)
            stream.seek(0)
            reader = csv.reader(stream, delimiter=separator)
            names = next(reader, [])
            columns = _columns(names, file)
            for cells in reader:
                if len(cells) > len(names):
                    problem = f"{len(cells)} entries under {len(names)} columns; quote texts that contain '{separator}'"
                    yield f"line {reader.line_num}", problem
                elif any(cell.strip() for cell in cells):
                    padded = [*cells, *[""] * (len(names) - len(cells))]
                    row = {name: padded[columns[name]].strip() if name in columns else "" for name in COLUMNS}
                    yield f"line {reader.line_num}", row
    except UnicodeDecodeError as error:
        raise DataError(f"The table {file} is not UTF-8 text ({error}); save it as CSV UTF-8.") from None
    except csv.Error as error:
        raise DataError(f"The table {file} is not CSV: {error}.") from None


def _parquet_rows(file: Path) -> Iterator[tuple[str, Row | str]]:
    try:
        frame = pd.read_parquet(file)
    except (OSError, ValueError) as error:
        raise DataError(f"The table {file} cannot be read as Parquet: {error}") from None
    columns = _columns([str(name) for name in frame.columns], file)
    texts = {
        name: ["" if pd.isna(value) else str(value).strip() for value in frame.iloc[:, place]]
        for name, place in columns.items()
    }
    for row in range(len(frame)):
        yield f"row {row + 1}", {name: texts[name][row] if name in texts else "" for name in COLUMNS}
