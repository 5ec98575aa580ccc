"""The one place where commands print: lines, tables for people, Markdown, and JSON for programs."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, RenderableType

from cellda.text import shown

if TYPE_CHECKING:
    from cellda.reporting.tables.text_table import TextTable

Json = Annotated[
    bool,
    typer.Option(
        "--json", help="Print one JSON document, with all digits, and nothing else on standard output."
    ),
]


def say(line: str) -> None:
    """Print one line as it is, with control characters escaped."""
    _print_line(Console(), line)


def say_aside(line: str) -> None:
    """Print one line on standard error, for people who watch."""
    _print_line(Console(stderr=True), line)


def complain(text: str) -> None:
    """Print an error on standard error; its parts are escaped, and its lines are kept."""
    _print_line(Console(stderr=True), text, lines=True)


@dataclass(frozen=True)
class Output:
    """How the answer of a command is printed.

    Attributes:
        json: Whether it is one JSON document, with nothing else on standard output.
        markdown: Whether tables are Markdown.
    """

    json: bool = False
    markdown: bool = False

    def answer(self, document: Mapping[str, Any], *tables: "RenderableType | TextTable") -> None:
        """Print the document, or the tables that show the same to people.

        Args:
            document: Plain data, Pydantic models and paths; what is not a number (NaN) becomes null.
            tables: What is printed where JSON is not wanted.
        """
        if self.json:
            _print_json(document)
        self.show(*tables)

    def show(self, *tables: "RenderableType | TextTable") -> None:
        """Print tables for people; nothing next to a JSON document."""
        for table in () if self.json else tables:
            if self.markdown and hasattr(table, "to_markdown"):
                typer.echo(table.to_markdown())
            else:
                Console().print(table)

    def say(self, line: str) -> None:
        """Print one line for people; next to a JSON document, on standard error."""
        (say_aside if self.json else say)(line)


def _print_json(document: Mapping[str, Any]) -> None:
    from pydantic_core import to_jsonable_python

    plain = to_jsonable_python(document, inf_nan_mode="null", fallback=lambda number: number.item())
    # Names that are not UTF-8 are escaped, as is everything that is not ASCII.
    sys.stdout.write(json.dumps(plain, indent=2, allow_nan=False) + "\n")


def _print_line(console: Console, text: str, *, lines: bool = False) -> None:
    console.print(shown(text, lines=lines), soft_wrap=True, highlight=False, markup=False)
