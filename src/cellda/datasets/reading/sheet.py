"""Read tables of people's rows: CSV as spreadsheets write it, Excel workbooks, Parquet."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cellda.datasets.reading.names import OTHER_TABLES, PARQUETS, TEXT_TABLES, WORKBOOKS, suffix
from cellda.datasets.reading.text import read_text, refuse_packed
from cellda.datasets.reading.workbook import UNSEEN, read_workbook
from cellda.errors import DataError
from cellda.text import counted

SEPARATORS = ",;\t|"

COLUMNS = 1000
"""Columns that a table may have."""

_INDEX = "__index_level_"
"""What the names of unnamed indices begin with, which pandas writes as columns."""

Entries = list[str]
"""Stripped texts of a row, one for each column, "" if empty."""


@dataclass
class Sheet:
    """The rows of a table file.

    Attributes:
        header: Names of the columns, stripped.
        rows: Position of each row that is not empty, and its entries or why they cannot be separated; read as it is iterated.
        empty: Number of empty rows; known after the rows are read, as are the notes.
        notes: Sentences about what was assumed.
        title: Name of the sheet of a workbook.
        unread: Names of further sheets of a workbook.
        encoding: What a text was read as if it is not UTF-8, with the reason if that was guessed.
    """

    header: list[str]
    rows: Iterator[tuple[str, Entries | str]] = field(default_factory=lambda: iter(()))
    empty: int = 0
    notes: list[str] = field(default_factory=list)
    title: str = ""
    unread: list[str] = field(default_factory=list)
    encoding: str = ""

    def fitted(
        self, rows: Iterable[tuple[str, Sequence[str]]], separator: str = ""
    ) -> Iterator[tuple[str, Entries | str]]:
        """Rows with an entry for each column; shorter ones are filled up and noted, empty ones counted."""
        width, short = len(self.header), 0
        for where, cells in rows:
            entries = [cell.strip() for cell in cells]
            if not any(entries):
                self.empty += 1
            elif len(entries) < width:
                short += 1
                yield where, [*entries, *[""] * (width - len(entries))]
            elif any(entries[width:]):
                quoted = f"; quote texts that contain '{separator}'" if separator else ""
                yield (
                    where,
                    f"{counted(len(entries), '(entry|entries)')} under {counted(width, 'column(s)')}{quoted}",
                )
            else:
                yield where, entries
        if short:
            self.notes.append(
                f"{counted(short, 'row(s) (is|are)')} shorter than the header: what is missing was read as empty"
            )


def read_sheet(file: Path, wanted: Sequence[str]) -> Sheet:
    """The rows of a CSV file, workbook or Parquet file, by the suffix of its name.

    Args:
        file: The file.
        wanted: Names of columns, in lower case; the separator of a CSV file is the one that finds most of them.

    Raises:
        DataError: If the file cannot be read, or has no header.
    """
    end = suffix(file.name)
    if end in PARQUETS:
        sheet = _parquet(file)
    elif end in WORKBOOKS:
        sheet = _workbook(file)
    elif end in TEXT_TABLES:
        sheet = _text(file, wanted)
    else:
        remedy = "save it as .xlsx or .csv" if end in OTHER_TABLES else "end it in .csv, .xlsx or .parquet"
        raise DataError(
            f"The table {file} is neither CSV nor Parquet nor an Excel workbook by its name; {remedy}."
        )
    if len(sheet.header) > COLUMNS:
        raise DataError(f"The table {file} has {len(sheet.header):,} columns; at most {COLUMNS:,} are read.")
    return sheet


def _text(file: Path, wanted: Sequence[str]) -> Sheet:
    refuse_packed(file)
    text, encoding = read_text(file)
    first, _, rest = text.partition("\n")
    # Excel reads the separator from such a line, and some programs write it.
    stated = first.strip().strip('"').lower()
    skipped = 0
    if stated.startswith("sep=") and len(stated) <= len("sep=") + 1:
        text, skipped = rest, 1
    try:
        separator = max(SEPARATORS, key=lambda mark: _fits(text, mark, wanted))
        # Strict: a quote that is never closed would swallow all later rows.
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        sheet = Sheet(_header(reader), encoding=encoding)
    except csv.Error as error:
        raise _not_csv(file, error) from None

    def lines() -> Iterator[tuple[str, list[str]]]:
        try:
            for cells in reader:
                yield f"line {reader.line_num + skipped}", cells
        except csv.Error as error:
            raise _not_csv(file, error) from None

    sheet.rows = sheet.fitted(lines(), separator)
    return sheet


def _fits(text: str, separator: str, wanted: Sequence[str]) -> tuple[int, int]:
    """How many wanted columns, and how many columns at all, the header has with a separator."""
    try:
        header = _header(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    except csv.Error:  # a line of many columns is one long entry for the other separators
        return 0, 0
    return len({name.lower() for name in header} & set(wanted)), len(header)


def _header(lines: Iterable[list[str]]) -> list[str]:
    """The first line that is not empty."""
    return next((names for names in ([name.strip() for name in cells] for cells in lines) if any(names)), [])


def _not_csv(file: Path, error: csv.Error) -> DataError:
    if "field limit" in str(error):
        return DataError(
            f"The table {file} holds an entry of more than {csv.field_size_limit():,} characters, such as a text whose "
            "closing quote is missing, or a table without one of the separators comma, semicolon, tab and bar."
        )
    return DataError(f"The table {file} is not CSV: {error}.")


def _parquet(file: Path) -> Sheet:
    import pyarrow  # heavy
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(file)
        columns = [
            [_said(value) for value in column.to_pylist()]
            for name, column in zip(table.column_names, table.columns, strict=True)
            if not name.startswith(_INDEX)
        ]
    except (OSError, ValueError, TypeError, KeyError, OverflowError, pyarrow.ArrowException) as error:
        raise DataError(f"The table {file} cannot be read as Parquet: {error}") from None
    sheet = Sheet([name.strip() for name in table.column_names if not name.startswith(_INDEX)])
    rows = enumerate(zip(*columns, strict=True), start=1)
    sheet.rows = sheet.fitted((f"row {row}", entries) for row, entries in rows)
    return sheet


def _workbook(file: Path) -> Sheet:
    page = read_workbook(file)
    begin = next((place for place, (_, values) in enumerate(page.rows) if any(map(_said, values))), 0)
    _, first = page.rows[begin] if page.rows else (1, ())
    header = [_said(value) for value in first[: COLUMNS + 1]]
    while header and not header[-1]:
        header.pop()
    sheet, width = Sheet([name.strip() for name in header], title=page.title, unread=page.others), len(header)
    if page.hidden:
        sheet.notes.append(counted(page.hidden, "hidden row(s) of the sheet (is|are) read like the others"))

    def said(values: Sequence[Any]) -> list[str]:
        # Beside the columns, what looks empty is empty.
        beside = (_said(None if value in UNSEEN else value) for value in values[width:])
        return [*map(_said, values[:width]), *beside]

    sheet.rows = sheet.fitted((f"row {row}", said(values)) for row, values in page.rows[begin + 1 :])
    return sheet


def _said(value: Any) -> str:
    """A value of a workbook or Parquet file as a table of texts would hold it: whole numbers without decimals."""
    if value is None or value != value:
        return ""
    if isinstance(value, float):
        with suppress(OverflowError):
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else str(value)
    return str(value)
