"""`cellda table` and `cellda figure`: from stored predictions to what is printed in a paper."""

from pathlib import Path
from typing import Annotated

import typer

from cellda.cli.app import out, say
from cellda.cli.options import Aims, Main, Predictions, ProtocolOption, Shown


def table(
    kind: Annotated[str, typer.Argument(help="Name of the table.")],
    predictions: Predictions,
    condition: Shown = [],  # noqa: B006
    target: Aims = [],  # noqa: B006
    protocol: ProtocolOption = None,
    main: Main = "our_workflow",
    markdown: Annotated[bool, typer.Option("--markdown", help="Print as Markdown.")] = False,
    csv: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Also write the cells, as shown, to this file.")
    ] = None,
) -> None:
    """Print a table computed from stored predictions, one for each protocol."""
    from cellda.evaluation.costs import read_costs, with_costs
    from cellda.evaluation.predictions import read_predictions
    from cellda.reporting.catalogue import TABLES, named
    from cellda.reporting.tables import select

    make = named(kind, TABLES, "table")
    rows = select(
        with_costs(read_predictions(*predictions), read_costs(*predictions)), protocol, target, condition
    )
    made = [make(part, main) for _, part in rows.groupby("protocol", sort=True)]
    for one in made:
        if markdown:
            typer.echo(one.to_markdown())
        else:
            out.print(one)
    if csv is not None:
        csv.parent.mkdir(parents=True, exist_ok=True)
        csv.write_text("\n".join(one.to_csv() for one in made), encoding="utf-8")


def figure(
    kind: Annotated[str, typer.Argument(help="Name of the figure.")],
    predictions: Predictions,
    file: Annotated[Path, typer.Option("--out", dir_okay=False, help="File to write: png, svg or pdf.")],
    condition: Shown = [],  # noqa: B006
    target: Aims = [],  # noqa: B006
    protocol: ProtocolOption = None,
    main: Main = "our_workflow",
) -> None:
    """Draw a figure from stored predictions of one protocol."""
    from cellda.evaluation.costs import read_costs, with_costs
    from cellda.evaluation.predictions import read_predictions
    from cellda.reporting.catalogue import FIGURES, named
    from cellda.reporting.figures import save_figure
    from cellda.reporting.tables import select

    make = named(kind, FIGURES, "figure")
    rows = select(
        with_costs(read_predictions(*predictions), read_costs(*predictions)), protocol, target, condition
    )
    say(f"Saved {save_figure(make(rows, main), file)}")
