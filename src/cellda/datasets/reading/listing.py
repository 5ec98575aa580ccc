"""Rows of a user's table of images: read them and find every problem in them."""

import os
import posixpath
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from cellda.datasets.reading.account import Tally
from cellda.datasets.reading.box import SIDES, box_of, side_of
from cellda.datasets.reading.columns import columns_of
from cellda.datasets.reading.corrected import with_corrections
from cellda.datasets.reading.decode import Box, frame_size, outside
from cellda.datasets.reading.groups import each_its_own, grouping
from cellda.datasets.reading.naming import Naming
from cellda.datasets.reading.sheet import Sheet, read_sheet
from cellda.datasets.reading.workbook import UNSEEN
from cellda.errors import DataError
from cellda.text import agreeing, counted, shortened

COLUMNS = ("path", "label", "group", *SIDES)
REQUIRED = ("path", "label")

NULLS = frozenset(
    {
        "",
        "na",
        "n/a",
        "n.a.",
        "k.a.",
        "k. a.",
        "#n/a",
        "<na>",
        "nan",
        "null",
        "none",
        "nil",
        "-",
        "--",
        "?",
        "??",
    }
) | {f"#{error}" for error in ("ref!", "value!", "name?", "div/0!", "num!", "null!")}
"""Words, and errors of spreadsheets, that stand for an empty entry, in lower case."""
LONGEST = max(map(len, NULLS))

UNKNOWN = 200
"""Different unknown labels from which on the column is doubted instead of each label."""

Row = dict[str, str]
"""Entries of a row in `COLUMNS`, as stripped text, "" if empty."""


def read_rows(
    file: Path,
    tally: Tally,
    wanted: Sequence[str] = COLUMNS,
    required: Sequence[str] = REQUIRED,
    *,
    group: str | None = None,
) -> Iterator[tuple[str, Row | str]]:
    """Each row of a CSV file, Excel workbook or Parquet file: its position, and its entries or why they cannot be separated.

    Args:
        file: The file.
        tally: Where it is entered what is not read, and what is assumed.
        wanted: Columns that are read: some of `COLUMNS`.
        required: Columns that there must be.
        group: The column that holds the groups; by default `group`, if there is one.

    Raises:
        DataError: If the file cannot be read, lacks columns, or holds one twice.
    """
    sheet = read_sheet(file, wanted)
    table = with_corrections(sheet)
    columns = columns_of(table, file, wanted, required, group)
    empty = dict.fromkeys(wanted, "")
    nulls: Counter[tuple[str, str]] = Counter()
    groups: Counter[str] = Counter()
    for where, entries in table.rows:
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
        groups[row.get("group", "")] += 1
        yield where, row
    _enter(
        sheet,
        table.header,
        columns,
        tally,
        grouped="label" not in wanted
        or "group" not in wanted
        or ("group" in columns and not each_its_own(groups)),
    )
    for (name, word), count in (+nulls).items():
        tally.note(f"'{word}' was read as an empty entry of column '{name}' in {counted(count, 'row(s)')}")


def _enter(sheet: Sheet, header: list[str], columns: dict[str, int], tally: Tally, *, grouped: bool) -> None:
    """Enter the columns, rows and sheets that are not read, and which column may hold the groups."""
    unused = [
        name or "(without a name)" for place, name in enumerate(header) if place not in columns.values()
    ]
    if sheet.encoding:
        tally.note(f"the table was read as {sheet.encoding}")
    for note in sheet.notes:
        tally.note(note)
    for name in unused:
        tally.leave("unused column(s)", name, [name])
    for name in sheet.unread:
        tally.leave("other sheet(s) of the workbook", name, [name])
    tally.leave_unnamed("empty row(s)", sheet.empty)
    likely = grouping(unused)
    if not grouped and likely:
        tally.note(
            f"{agreeing(len(likely), 'the column(s)')} {', '.join(likely)} may say which cells belong together: "
            f"{' or '.join(f'--group {name}' for name in likely)} (option 'group' of the table) keeps them on one side"
        )


class Listing:
    """The cells that the rows of a table name, the number of boxes that were rounded or hold decimal commas, and problems.

    Args:
        folder: The folder that paths are relative to.
        naming: What the labels mean.

    Attributes:
        unlabelled: Paths of the rows whose label is empty: nobody has said yet what they are, so they are no cells.
    """

    def __init__(self, folder: Path, naming: Naming) -> None:
        self.paths: list[str] = []
        self.raw_labels: list[str] = []
        self.groups: list[str | None] = []
        self.boxes: list[Box | None] = []
        self.unlabelled: list[str] = []
        self.rounded = self.commas = 0
        self._folder = folder
        self._naming = naming
        self._where: list[str] = []
        self._found: list[_Problem] = []
        self._first: dict[tuple[str, Box | None], int] = {}
        self._exists: dict[str, bool] = {}

    def add(self, where: str, row: Row | str) -> None:
        """Add one row; its problems are kept for `problems`."""
        if isinstance(row, str):
            self._found.append((where, row))
            return
        path, label = self._relative(row["path"]), row["label"]
        box, complaint = box_of(row)
        if path and not label:
            self.unlabelled.append(path)
            return
        if not path:
            self._found.append((where, "the path is empty"))
        if complaint:
            self._found.append((where, complaint))
        first = self._first.setdefault((path, box), len(self.paths))
        if path and not complaint and first < len(self.paths):
            differs = (
                "" if self.raw_labels[first] == label else f", there labelled '{self.raw_labels[first]}'"
            )
            text = f"repeats the cell of {self._where[first]}, {path}{differs}"
            self._found.append((where, text))
        self.paths.append(path)
        self.raw_labels.append(label)
        self.groups.append(row["group"] or None)
        self.boxes.append(box)
        if box is not None:
            self.rounded += any(side_of(row[side]) != whole for side, whole in zip(SIDES, box, strict=True))
            self.commas += any("," in row[side] for side in SIDES)
        self._where.append(where)

    def problems(self) -> list[str]:
        """All problems of the rows, and of the images they name."""
        if not self.paths and not self._found:
            waiting = len(self.unlabelled)
            return [
                f"{counted(waiting, 'row(s) (is|are)')} not labelled yet, and no other is there: fill in the column 'label'"
                if waiting
                else "the table has no rows"
            ]
        found = [*self._found, *self._missing_images(), *self._boxes_outside()]
        return [*_joined(found), *self._unknown_labels()]

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

    def _missing_images(self) -> list["_Problem"]:
        rows = zip(self._where, self.paths, strict=True)
        missing = [(where, path) for where, path in rows if path and not self._is_file(path)]
        if len(missing) == len(self.paths) > 1:
            text = (
                f"none of the images of the {len(missing)} rows exists; the first is expected at "
                f"{self._folder / missing[0][1]}; paths are relative to the table's folder "
                "or to the option 'images'"
            )
            return [("", text)]
        return [(where, f"the image {path} does not exist") for where, path in missing]

    def _boxes_outside(self) -> list["_Problem"]:
        by_path: dict[str, list[int]] = defaultdict(list)
        for index, (path, box) in enumerate(zip(self.paths, self.boxes, strict=True)):
            if path and box is not None and self._is_file(path):
                by_path[path].append(index)
        found: list[_Problem] = []
        for path, indices in by_path.items():
            try:
                size = frame_size(self._folder / path)
            except DataError as error:
                found.append((self._where[indices[0]], error.summary))
                continue
            for index in indices:
                box = self.boxes[index]
                if box is not None and outside(box, size):
                    text = f"the box {box} lies outside {path} of {size[0]} x {size[1]}"
                    found.append((self._where[index], text))
        return found

    @property
    def unknown(self) -> dict[str, str]:
        """Labels that are not known, each with why."""
        return self._naming.unknown(label for label in self.raw_labels if label)

    def _unknown_labels(self) -> list[str]:
        rows: dict[str, list[str]] = defaultdict(list)
        for where, label in zip(self._where, self.raw_labels, strict=True):
            rows[label].append(where)
        unknown = self.unknown
        if len(unknown) > UNKNOWN:
            examples = ", ".join(f"'{shortened(label, 40)}'" for label in [*unknown][:5])
            return [
                f"the column 'label' holds {len(unknown):,} different texts that are not cell types ({examples}, ...): "
                "is it the right column?"
            ]
        return [f"{_some(rows[label])}: {problem}" for label, problem in unknown.items()]


_Problem = tuple[str, str]
"""Where a problem is ("" for all rows), and what it is."""


def _joined(problems: Sequence[_Problem]) -> list[str]:
    """One line for problems in the same words."""
    places: dict[str, list[str]] = defaultdict(list)
    for where, text in problems:
        places[text].append(where)
    return [f"{_some(found)}: {text}" if any(found) else text for text, found in places.items()]


def _some(places: Sequence[str], most: int = 100) -> str:
    """`line 2`, or `lines 2-31, 40 and 97 more`."""
    if len(places) < 2:
        return "".join(places)
    unit = places[0].partition(" ")[0]
    runs: list[list[int]] = []
    for number in (int(place.partition(" ")[2]) for place in places):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    shown = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs[:most])
    more = sum(last - first + 1 for first, last in runs[most:])
    return f"{unit}s {shown}" + (f" and {more:,} more" if more else "")
