"""`cellda doctor`: whether cellda can work here, and what to do if not."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from cellda.cli import findings, model_findings
from cellda.cli.early import existing
from cellda.cli.findings import Finding, State
from cellda.cli.output import Json, Output
from cellda.text import counted

_STYLES = {State.GOOD: "green", State.NOTE: "yellow", State.WRONG: "red"}


def doctor(
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", file_okay=False, callback=existing, help="Also look at the datasets in this folder."
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            "--store", metavar="DIR|URL", help="The store to look at; default: $CELLDA_STORE or the user's."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show versions, device, weights, store, plug-ins and data; the exit status is 1 if something is wrong."""
    sections = {
        "versions": findings.versions(),
        "device": findings.device(),
        "weights": findings.weights(),
        "store": findings.store(store),
        "plug-ins": findings.plugins(),
        "source models": model_findings.source_models(),
        "data": findings.data(data),
    }
    found = {title: [*findings.survived(section, title)] for title, section in sections.items()}
    wrong = sum(one.state is State.WRONG for section in found.values() for one in section)
    output = Output(as_json)
    output.answer({**found, "wrong": wrong}, *(_table(title, section) for title, section in found.items()))
    output.say(
        f"{counted(wrong, 'thing(s) (is|are)')} wrong; see above for what to do." if wrong else "All is well."
    )
    if wrong:
        raise typer.Exit(1)


def _table(title: str, found: Iterable[Finding]) -> Group:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, show_header=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in found:
        style = _STYLES[finding.state]
        remedy = f"\n{escape(finding.remedy)}" if finding.remedy else ""
        table.add_row(
            escape(finding.subject), f"[{style}]{finding.state.value}[/]", escape(finding.text) + remedy
        )
    return Group(table, Text())
