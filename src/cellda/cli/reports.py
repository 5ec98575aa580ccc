"""`cellda table` and `cellda figure`: tables and figures from stored predictions."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellda.cli import completion
from cellda.cli.app import say_without_groups, without_groups_line
from cellda.cli.early import writable_file
from cellda.cli.options import Aims, Main, Predictions, Protocol, Shown
from cellda.cli.output import Json, Output, say
from cellda.errors import ConfigurationError
from cellda.reporting.catalogue import FIGURES, TABLES, main_condition, named
from cellda.runtime.place import written

if TYPE_CHECKING:
    import pandas as pd

    from cellda.reporting.tables.text_table import TextTable


def _table(kind: str) -> str:
    named(kind, TABLES, "table")
    return kind


def _figure(kind: str) -> str:
    named(kind, FIGURES, "figure")
    return kind


def table(
    kind: Annotated[
        str, typer.Argument(callback=_table, autocompletion=completion.tables, help="Name of the table.")
    ],
    predictions: Predictions,
    condition: Shown = [],
    target: Aims = [],
    protocol: Annotated[
        Protocol | None, typer.Option(help="Default: all that the files hold, one table each.")
    ] = None,
    main: Main = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print as Markdown.")] = False,
    as_json: Json = False,
    csv: Annotated[
        Path | None,
        typer.Option(callback=writable_file, help="Also write the cells, as shown, to this file."),
    ] = None,
) -> None:
    """Print a table computed from stored predictions, one for each protocol."""
    if as_json and markdown:
        raise ConfigurationError("--json and --markdown are two forms of the same table; give one.")
    rows = _rows(predictions, protocol, target, condition)
    chosen = main or main_condition(rows)
    made = [_noted(TABLES[kind](part, chosen), part) for _, part in rows.groupby("protocol", sort=True)]
    Output(as_json, markdown).answer({"tables": [one.to_data() for one in made]}, *made)
    if csv is not None:
        with written(csv) as file:
            file.write_text("\n".join(one.to_csv() for one in made), encoding="utf-8")


def figure(
    kind: Annotated[
        str, typer.Argument(callback=_figure, autocompletion=completion.figures, help="Name of the figure.")
    ],
    predictions: Predictions,
    file: Annotated[
        Path, typer.Option("--out", callback=writable_file, help="File to write: png, svg or pdf.")
    ],
    condition: Shown = [],
    target: Aims = [],
    protocol: Annotated[
        Protocol | None,
        typer.Option(help="Default: the one that the files hold; needed where they hold both."),
    ] = None,
    main: Main = None,
) -> None:
    """Draw a figure from stored predictions of one protocol."""
    from cellda.reporting.figures import save_figure

    rows = _rows(predictions, protocol, target, condition)
    say(f"Saved {save_figure(FIGURES[kind](rows, main or main_condition(rows)), file)}")
    say_without_groups(Output(), _without_groups(rows))


def _noted(made: "TextTable", rows: "pd.DataFrame") -> "TextTable":
    """A table with notes on classes that its averages leave out, and on targets whose numbers may be optimistic."""
    from cellda.evaluation.left_out import left_out_lines

    targets = _without_groups(rows)
    optimistic = [without_groups_line(targets)] if targets else []
    return replace(made, notes=(*made.notes, *left_out_lines(rows), *optimistic))


def _without_groups(rows: "pd.DataFrame") -> list[str]:
    """The targets without groups; rendered cells are independent of each other."""
    from cellda.datasets import registry
    from cellda.evaluation.groups import without_groups

    names = ((target, target.partition("/")[0]) for target in without_groups(rows))
    return [target for target, base in names if not (base in registry and registry.get(base).synthetic)]


def _rows(
    predictions: list[Path], protocol: str | None, targets: list[str], conditions: list[str]
) -> "pd.DataFrame":
    """The requested predictions, with the costs of their runs."""
    from cellda.evaluation.costs import read_costs, with_costs
    from cellda.evaluation.predictions import read_predictions
    from cellda.reporting.tables.conditions import select

    rows = with_costs(read_predictions(*predictions), read_costs(*predictions))
    return select(rows, protocol, targets, conditions)
