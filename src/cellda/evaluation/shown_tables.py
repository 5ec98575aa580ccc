"""Small tables of measures, in terminals and in notebooks."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from cellda.html import html_lines, html_table
from cellda.text import shown


@dataclass(frozen=True)
class ShownTable:
    """A table whose first column names the row.

    Attributes:
        title: One line above it.
        columns: Column heads.
        rows: Cells.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def as_rich(tables: Sequence[ShownTable], notes: Sequence[str]) -> Group:
    """Tables one below the other, and notes."""
    made = []
    for one in tables:
        table = Table(one.columns[0], title=one.title, title_justify="left", box=SIMPLE_HEAD)
        for column in one.columns[1:]:
            table.add_column(escape(column), justify="right")
        for row in one.rows:
            table.add_row(*(escape(shown(cell)) for cell in row))
        made.append(table)
    return Group(*made, *map(Text, notes))


def as_html(tables: Sequence[ShownTable], notes: Sequence[str]) -> str:
    """The same as HTML."""
    return "".join(html_table(one.title, one.columns, one.rows) for one in tables) + html_lines(notes)
