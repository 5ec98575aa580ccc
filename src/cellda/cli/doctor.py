"""`cellda doctor`: whether cellda can work here, and what to do if not."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cellda.cli import findings, model_findings
from cellda.cli.app import out, say
from cellda.cli.early import existing
from cellda.cli.findings import State
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
        Path | None,
        typer.Option("--store", help="The store to look at; default: $CELLDA_STORE or the user's."),
    ] = None,
) -> None:
    """Show versions, device, weights, store, plug-ins and data; the exit status is 1 if something is wrong."""
    wrong = 0
    for title, found in {
        "versions": findings.versions(),
        "device": findings.device(),
        "weights": findings.weights(),
        "store": findings.store(store),
        "plug-ins": findings.plugins(),
        "source models": model_findings.source_models(),
        "data": findings.data(data),
    }.items():
        table = Table(title=title, title_justify="left", title_style="bold", box=None, show_header=False)
        table.add_column(style="cyan", no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for finding in findings.survived(found, title):
            style = _STYLES[finding.state]
            remedy = f"\n{escape(finding.remedy)}" if finding.remedy else ""
            table.add_row(
                escape(finding.subject), f"[{style}]{finding.state.value}[/]", escape(finding.text) + remedy
            )
            wrong += finding.state is State.WRONG
        out.print(table)
        out.print()
    say(
        f"{counted(wrong, 'thing(s) (is|are)')} wrong; see above for what to do." if wrong else "All is well."
    )
    if wrong:
        raise typer.Exit(1)
