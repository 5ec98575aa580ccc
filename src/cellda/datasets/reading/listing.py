"""Rows of a user's table of images: read them and find every problem in them."""

import os
import posixpath
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cellda.datasets.reading.account import Tally
from cellda.datasets.reading.decode import Box, frame_size, outside
from cellda.datasets.reading.groups import grouping
from cellda.datasets.reading.sheet import Sheet, read_sheet
from cellda.datasets.reading.workbook import UNSEEN
from cellda.errors import DataError, nearest
from cellda.taxonomy import unknown_names
from cellda.text import shortened

SIDES = ("x", "y", "w", "h")
COLUMNS = ("path", "label", "group", *SIDES)
REQUIRED = ("path", "label")

NULLS = frozenset({"", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", "nil", "-", "--"}) | {
    f"#{error}" for error in ("ref!", "value!", "name?", "div/0!", "num!", "null!")
}
"""Words, and errors of spreadsheets, that stand for an empty entry, in lower case."""
LONGEST = max(map(len, NULLS))

UNKNOWN = 200
"""Different unknown labels from which on the column is doubted instead of each label."""

FARTHEST = 1e9
"""Pixels beyond which the side of a box is a mistake."""

Row = dict[str, str]
"""Entries of a row in `COLUMNS`, as stripped text, "" if empty."""


def read_rows(file: Path, group: str | None, tally: Tally) -> Iterator[tuple[str, Row | str]]:
    """Each row of a CSV file, Excel workbook or Parquet file: its position, and its entries or why they cannot be separated.

    Args:
        file: The file.
        group: The column that holds the groups; by default `group`, if there is one.
        tally: Where it is entered what is not read, and what is assumed.

    Raises:
        DataError: If the file cannot be read, lacks columns, or holds one twice.
    """
    sheet = read_sheet(file, COLUMNS)
    columns = _columns(sheet, file, group)
    empty = dict.fromkeys(COLUMNS, "")
    nulls: Counter[tuple[str, str]] = Counter()
    for where, entries in sheet.rows:
        if isinstance(entries, str):
            yield where, entries
            continue
        row = empty.copy()
        if not UNSEEN.keys().isdisjoint(entries):
            unseen = next((name for name, place in columns.items() if entries[place] in UNSEEN), None)
            if unseen is not None:
                yield where, f"the entry of column '{unseen}' is {UNSEEN[entries[columns[unseen]]]}"
                continue
        for name, place in columns.items():
            entry = entries[place]
            if len(entry) <= LONGEST and entry.lower() in NULLS:
                nulls[name, entry] += bool(entry)
            else:
                row[name] = entry
        yield where, row
    _enter(sheet, columns, tally)
    for (name, word), count in (+nulls).items():
        tally.note(f"'{word}' was read as an empty entry of column '{name}' in {count:,} row(s)")


def _enter(sheet: Sheet, columns: dict[str, int], tally: Tally) -> None:
    """Enter the columns, rows and sheets that are not read, and which column may hold the groups."""
    unused = [
        name or "(without a name)" for place, name in enumerate(sheet.header) if place not in columns.values()
    ]
    if sheet.encoding:
        tally.note(f"the table was read as {sheet.encoding}")
    for note in sheet.notes:
        tally.note(note)
    for name in unused:
        tally.leave("column(s) that are not used", name, [name])
    for name in sheet.unread:
        tally.leave("other sheet(s) of the workbook", name, [name])
    tally.leave_unnamed("empty row(s)", sheet.empty)
    likely = grouping(unused)
    if "group" not in columns and likely:
        tally.note(
            f"the column(s) {', '.join(likely)} may say which cells belong together: "
            f"{' or '.join(f'--group {name}' for name in likely)} (option 'group' of the table) keeps them on one side"
        )


class Listing:
    """The cells that the rows of a table name, the number of boxes that were rounded to whole pixels, and problems.

    Args:
        folder: The folder that paths are relative to.
    """

    def __init__(self, folder: Path) -> None:
        self.paths: list[str] = []
        self.raw_labels: list[str] = []
        self.groups: list[str | None] = []
        self.boxes: list[Box | None] = []
        self.rounded = 0
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
        self.rounded += box is not None and any(
            float(row[side]) != whole for side, whole in zip(SIDES, box, strict=True)
        )
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
            place = os.path.join(self._folder, path)  # noqa: PTH118
            self._exists[path] = os.path.isfile(place)  # noqa: PTH113
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
        unknown = unknown_names(rows)
        if len(unknown) > UNKNOWN:
            examples = ", ".join(f"'{shortened(label, 40)}'" for label in [*unknown][:5])
            return [
                f"the column 'label' holds {len(unknown):,} different texts that are not cell types ({examples}, ...): "
                "is it the right column?"
            ]
        return [f"{_some(rows[label])}: {problem}" for label, problem in unknown.items()]


def _box(row: Row) -> tuple[Box | None, str]:
    """The box of a row, and its problem ("" if none)."""
    sides = [row[side] for side in SIDES]
    if not any(sides):
        return None, ""
    missing = [side for side in SIDES if not row[side]]
    if missing:
        return None, f"the box lacks {', '.join(missing)}; give all four numbers {', '.join(SIDES)} or none"
    shown = shortened(", ".join(sides), 80)
    try:
        x, y, width, height = (round(float(side)) for side in sides)
    except (ValueError, OverflowError):
        return None, f"the box ({shown}) is not made of numbers"
    if max(map(abs, (x, y, width, height))) > FARTHEST:
        return None, f"the box ({shown}) is not made of numbers of pixels"
    if width < 1 or height < 1:
        return None, f"the box ({shown}) has no width or height"
    return (x, y, width, height), ""


def _some(places: list[str], most: int = 5) -> str:
    return ", ".join(places[:most]) + (f" and {len(places) - most} more" if len(places) > most else "")


def _columns(sheet: Sheet, file: Path, group: str | None) -> dict[str, int]:
    """Position of each of `COLUMNS` that a header names, in any case."""
    header, found = sheet.header, defaultdict[str, list[int]](list)
    for place, name in enumerate(header):
        found[name.lower()].append(place)
    if group is not None:
        if group.strip().lower() not in found:
            raise DataError(
                f"The table {file} has no column '{group}' for the groups: {nearest(group, found)}"
            )
        found["group"] = found[group.strip().lower()]
    missing = [name for name in REQUIRED if name not in found]
    if missing:
        raise DataError(
            f"The table {file} lacks {len(missing)} column(s): its first line must name at least {', '.join(REQUIRED)}."
            + (
                f" It was read as {sheet.encoding}; if that is wrong, save it as CSV UTF-8."
                if sheet.encoding
                else ""
            ),
            [f"no column '{name}': {nearest(name, found)}" for name in missing],
        )
    twice = [name for name in COLUMNS if len(found.get(name, ())) > 1]
    if twice:
        raise DataError(
            f"The table {file} has more than one column for the same entry; rename or remove all but one.",
            [f"'{name}': the columns {', '.join(header[place] for place in found[name])}" for name in twice],
        )
    half = [side for side in SIDES if side in found]
    if half and len(half) < len(SIDES):
        raise DataError(
            f"The table {file} has only {', '.join(half)} of the box columns {', '.join(SIDES)}; "
            "give all of them or none."
        )
    return {name: found[name][0] for name in COLUMNS if name in found}
