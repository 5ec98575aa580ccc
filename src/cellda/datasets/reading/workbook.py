"""Read an Excel workbook as a person sees it: its first visible sheet, in which merged cells and formulas are not empty."""

import re
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellda.errors import DataError

if TYPE_CHECKING:
    from openpyxl import Workbook
    from openpyxl.worksheet.worksheet import Worksheet

UNPACKED = 500_000_000
"""Bytes to which a workbook may unpack."""

HELD = 50_000_000
"""The same for one with formulas, merged cells or hidden rows, all of which is held in memory."""

UNSEEN = {
    "#FORMULA!": "a formula that was saved without its value: open the workbook in Excel or LibreOffice, and save it",
    "#MERGED!": "merged with another cell: unmerge the cells, and fill in every row",
}
"""What stands for an entry that looks empty and is not, and what it is."""

_FORMULA, _MERGED = UNSEEN
_PECULIAR = re.compile(rb'<f[ >/]|<mergeCell |hidden="(1|true)"')
_PIECE, _OVERLAP = 1 << 20, 16


@dataclass
class Page:
    """The first visible sheet of a workbook.

    Attributes:
        rows: Number and values of each row.
        others: Names of the other sheets.
        title: Its name.
        hidden: Number of rows that are hidden, by hand or by a filter.
    """

    rows: list[tuple[int, Sequence[Any]]] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    title: str = ""
    hidden: int = 0


def read_workbook(file: Path) -> Page:
    """The rows of a workbook's first visible sheet.

    Raises:
        DataError: If it cannot be read, or is too large.
    """
    import openpyxl  # slow to import

    try:
        peculiar = _peculiar(file)
        book = openpyxl.load_workbook(file, read_only=not peculiar, data_only=True)
        page = _first(book)
        if page is None:
            return Page()
        others = [one.title for one in book.worksheets if one is not page]
        if peculiar:
            marks = _marks(page, openpyxl.load_workbook(file)[page.title])
            hidden = sum(bool(row.hidden) for row in page.row_dimensions.values())
            return Page(list(_marked(page.iter_rows(values_only=True), marks)), others, page.title, hidden)
        page.reset_dimensions()  # a file may state fewer rows than it has
        read = Page(list(enumerate(page.iter_rows(values_only=True), start=1)), others, page.title)
        book.close()
    except DataError:
        raise
    except zipfile.BadZipFile:
        raise DataError(
            f"The workbook {file} cannot be read: it is not one, whatever its name says; end a CSV file in .csv, and save "
            "others as .xlsx."
        ) from None
    except Exception as error:  # openpyxl raises almost any exception on broken files
        raise DataError(
            f"The workbook {file} cannot be read ({error or type(error).__name__}); save it as CSV UTF-8."
        ) from None
    return read


def _first(book: "Workbook") -> Any:
    """The first visible sheet, or the first one if all are hidden."""
    return min(book.worksheets, key=lambda page: page.sheet_state != "visible", default=None)


def _peculiar(file: Path) -> bool:
    """Whether any sheet has formulas, merged cells or hidden rows.

    Raises:
        DataError: If the workbook is too large.
    """
    with zipfile.ZipFile(file) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
        if size > UNPACKED:
            raise DataError(_too_large(file, size, UNPACKED))
        sheets = [name for name in archive.namelist() if name.startswith("xl/worksheets/")]
        found = any(_holds(archive, name) for name in sheets)
    if found and size > HELD:
        raise DataError(_too_large(file, size, HELD, " with formulas, merged cells or hidden rows"))
    return found


def _too_large(file: Path, size: int, most: int, what: str = "") -> str:
    return f"The workbook {file}{what} unpacks to {size / 1e6:,.0f} MB; at most {most / 1e6:,.0f} MB are read: save it as CSV."


def _holds(archive: zipfile.ZipFile, name: str) -> bool:
    before = b""
    with archive.open(name) as stream:
        while piece := stream.read(_PIECE):
            if _PECULIAR.search(before + piece):
                return True
            before = piece[-_OVERLAP:]
    return False


Marks = dict[int, dict[int, str]]
"""What stands for entries that look empty, by row and column."""


def _marks(values: "Worksheet", formulas: "Worksheet") -> Marks:
    marks: Marks = defaultdict(dict)
    for row in formulas.iter_rows():
        for cell in row:
            # A formula whose value is an empty text was saved with the type of its value.
            if cell.data_type == "f" and values.cell(cell.row, cell.column).data_type != "str":
                marks[cell.row][cell.column] = _FORMULA
    for merged in values.merged_cells.ranges:
        first, *others = merged.cells
        if values.cell(*first).value is not None:
            for row, column in others:
                marks[row][column] = _MERGED
    return marks


def _marked(rows: Iterable[Sequence[Any]], marks: Marks) -> Iterator[tuple[int, Sequence[Any]]]:
    for number, values in enumerate(rows, start=1):
        here = marks.get(number, {})
        yield (
            number,
            [here.get(column) if value is None else value for column, value in enumerate(values, start=1)],
        )
