"""A table of text that prints in a terminal (rich) and in a document (Markdown), and holds the numbers behind it."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from cellda.html import html_table
from cellda.reporting.tables.cells import Cell
from cellda.text import csv_safe, shown

PADDING, EDGES = 3, 1
"""Characters that a column takes in addition to its cells, and a table in addition to its columns."""


@dataclass(frozen=True)
class TextTable:
    """Cells as they are shown; those that name the row are left-aligned, the others right-aligned.

    A terminal that is too narrow gets intervals below their values; one that is narrower still, the columns in blocks, each
    with the names of its rows: no cell is truncated.

    Attributes:
        title: One line above the table.
        columns: Column heads.
        rows: Cells, as many in each row as there are columns; a `Cell` remembers the number behind it.
        notes: Lines below the table: what to know when reading it.
        names: How many of the first columns name the row.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    names: int = 1

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        every, width = list(range(len(self.columns))), options.max_width
        broken = self._whole(every) > width >= sum(self._width(one, broken=True) for one in every) + EDGES
        for number, columns in enumerate([every] if broken else self._blocks(width)):
            yield self._block(columns, self.title if number == 0 else None, width, broken=broken)
        yield from (Text(shown(note), style="dim") for note in self.notes)

    def _blocks(self, width: int) -> list[list[int]]:
        """Which columns are printed together: as many as fit, behind those that name the row."""
        names = list(range(self.names))
        blocks = [list(names)]
        for column in range(self.names, len(self.columns)):
            together = [*blocks[-1], column]
            if len(blocks[-1]) > self.names and self._whole(together) > width:
                blocks.append([*names, column])
            else:
                blocks[-1] = together
        return blocks

    def _whole(self, columns: Sequence[int]) -> int:
        """Characters that these columns take with whole cells."""
        return sum(map(self._width, columns)) + EDGES

    def _width(self, column: int, *, broken: bool = False) -> int:
        """Characters that a column takes with the space around it: heads broken between words, and cells too if `broken`."""
        words = list(self.columns[column].split())
        for row in self.rows:
            words += row[column].split() if broken and column >= self.names else [row[column]]
        return max(map(cell_len, words), default=0) + PADDING

    def _block(self, columns: Sequence[int], title: str | None, width: int, *, broken: bool = False) -> Table:
        table = Table(
            title=title and _escaped(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD
        )
        whole = EDGES + sum(
            max(self._width(column), cell_len(self.columns[column]) + PADDING) for column in columns
        )
        for column in columns:
            named = column < self.names
            # By default, rich makes columns equally narrow and breaks words in their heads.
            table.add_column(
                _escaped(self.columns[column]),
                justify="left" if named else "right",
                no_wrap=named,
                width=self._width(column, broken=broken) - PADDING if whole > width and not named else None,
            )
        for row in self.rows:
            table.add_row(*(_escaped(row[column]) for column in columns))
        return table

    def __str__(self) -> str:
        console = Console(file=StringIO(), width=200)
        with console.capture() as captured:
            console.print(self)
        return captured.get().rstrip()

    def _repr_html_(self) -> str:
        return html_table(self.title, self.columns, self.rows, self.notes, self.names)

    def to_markdown(self) -> str:
        """The table as GitHub-flavoured Markdown, ending in a newline; bold title, notes as a list."""

        def line(cells: Sequence[str]) -> str:
            return "| " + " | ".join(shown(cell).replace("|", r"\|") for cell in cells) + " |"

        ruler = "|" + ":--|" * self.names + "--:|" * (len(self.columns) - self.names)
        notes = ["", *(f"- {shown(note)}" for note in self.notes)] if self.notes else []
        lines = [f"**{shown(self.title)}**", "", line(self.columns), ruler, *map(line, self.rows), *notes]
        return "\n".join(lines) + "\n"

    def to_data(self) -> dict[str, Any]:
        """Title, notes, and one mapping of heads to values for each row: numbers with all digits, for programs."""

        def value(cell: str) -> Any:
            return cell.value if isinstance(cell, Cell) else shown(cell)

        rows = [dict(zip(self.columns, map(value, row), strict=True)) for row in self.rows]
        return {"title": self.title, "rows": rows, "notes": [*self.notes]}

    def to_csv(self) -> str:
        """Heads and cells as comma-separated values, without title and notes; a name is never a formula."""

        def line(cells: Sequence[str]) -> list[str]:
            return [csv_safe(shown(cell)) for cell in cells[: self.names]] + [
                shown(cell) for cell in cells[self.names :]
            ]

        text = StringIO()
        csv.writer(text, lineterminator="\n").writerows([line(self.columns), *map(line, self.rows)])
        return text.getvalue()


def _escaped(text: str) -> str:
    """A text without control characters, and without rich's markup."""
    return escape(shown(text))
