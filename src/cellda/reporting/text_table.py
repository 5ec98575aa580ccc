"""A table of text that prints in a terminal (rich) and in a document (Markdown)."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO

from rich import box
from rich.console import Console, Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class TextTable:
    """Cells as they are shown; the first column is left-aligned, the others right.

    Attributes:
        title: One line above the table.
        columns: Column heads.
        rows: Cells, as many in each row as there are columns.
        notes: Lines below the table: what a reader must know to read it.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def __rich__(self) -> Group:
        table = Table(title=escape(self.title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
        for index, column in enumerate(self.columns):
            table.add_column(escape(column), justify="right" if index else "left", no_wrap=not index)
        for row in self.rows:
            table.add_row(*map(escape, row))
        return Group(table, *(Text(note, style="dim") for note in self.notes))

    def __str__(self) -> str:
        console = Console(file=StringIO(), width=200)
        with console.capture() as captured:
            console.print(self)
        return captured.get().rstrip()

    def to_markdown(self) -> str:
        """The table as GitHub-flavoured Markdown, ending in a newline; bold title, notes as a list."""

        def line(cells: Sequence[str]) -> str:
            return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"

        ruler = "|:--|" + "--:|" * (len(self.columns) - 1)
        notes = ["", *(f"- {note}" for note in self.notes)] if self.notes else []
        lines = [f"**{self.title}**", "", line(self.columns), ruler, *map(line, self.rows), *notes]
        return "\n".join(lines) + "\n"

    def to_csv(self) -> str:
        """Heads and cells as comma-separated values, without title and notes."""
        text = StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.columns, *self.rows])
        return text.getvalue()
