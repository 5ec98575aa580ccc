"""The command line: a thin layer over the same calls; heavy imports happen inside the commands."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from typer.core import TyperGroup

from cellda.errors import CelldaError, ConfigurationError

if TYPE_CHECKING:
    from cellda.recipe import Recipe


class Commands(TyperGroup):
    """Prints the user's errors without a traceback (status 2), and says what an interruption leaves (status 130)."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was given."""
        errors = Console(stderr=True)
        try:
            return super().invoke(ctx)
        except CelldaError as error:
            errors.print(f"cellda: {error}", markup=False, highlight=False, soft_wrap=True)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            errors.print("Interrupted. What is finished is kept; the same command goes on from there.")
            raise typer.Exit(130) from None


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Make a white-blood-cell classifier work on your own microscope with at most 100 labelled cells.",
)
datasets_app = typer.Typer(
    no_args_is_help=False, help="Datasets: what there is, and whether yours is read as you expect."
)
app.add_typer(datasets_app, name="datasets")
out = Console()

Data = Annotated[Path | None, typer.Option(help="Folder that holds one folder per dataset name.")]
RecipeFile = Annotated[
    Path | None, typer.Option("--recipe", help="YAML file of a recipe; default: the paper's.")
]
Presets = Annotated[
    list[str],
    typer.Option("--preset", help="Edit the recipe by a preset (see: cellda list presets); may be repeated."),
]
Sources = Annotated[
    list[str], typer.Option("--source", help="Source dataset instead of the recipe's; may be repeated.")
]
Number = Annotated[
    int | None, typer.Option("--n", help="Number of labelled target images; default: the paper's.")
]
ProtocolOption = Annotated[
    str | None, typer.Option("--protocol", help="'clean' or 'paper'; default: the recipe's.")
]
StoreOption = Annotated[
    Path | None,
    typer.Option("--store", help="Where results lie; default: $CELLDA_STORE or the user's cache folder."),
]


@app.command()
def run(
    target: Annotated[str, typer.Option(help="Target dataset, or NAME=PATH (folder=~/my_cells).")],
    source: Sources = [],  # noqa: B006 - typer copies it
    data: Data = None,
    recipe: RecipeFile = None,
    preset: Presets = [],  # noqa: B006
    adapter: Annotated[
        str | None, typer.Option(help="Adapter instead of the recipe's (see: cellda list adapters).")
    ] = None,
    n: Number = None,
    draw: Annotated[int | None, typer.Option(help="Number of the draw; default: the recipe's.")] = None,
    protocol: ProtocolOption = None,
    seed: Annotated[int | None, typer.Option(help="Seed of training; default: the recipe's.")] = None,
    store: StoreOption = None,
    save: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Also copy record, predictions and model into this folder."),
    ] = None,
) -> None:
    """Train on the sources, draw labelled cells of the target, adapt, and measure on the rest."""
    chosen = _recipe(recipe, preset, source, protocol, {"n": n, "draw": draw}, adapter=adapter, seed=seed)
    result = chosen.run(target, data, store=store)
    out.print(result)
    if save is not None:
        result.save(save)
    place = save or result.path
    _say(f"Saved in {place}: record.json, predictions.parquet, model/")
    _say(
        f"Classify new images in Python: cellda.CellClassifier.load({str(place / 'model')!r}).predict(paths)"
    )


@app.command()
def ablate(
    target: Annotated[list[str], typer.Option(help="Target dataset, or NAME=PATH; may be repeated.")],
    source: Sources = [],  # noqa: B006
    data: Data = None,
    recipe: RecipeFile = None,
    preset: Presets = [],  # noqa: B006
    condition: Annotated[list[str], typer.Option(help="Condition; may be repeated; default: all six.")] = [],  # noqa: B006
    draws: Annotated[int, typer.Option(min=1, help="Number of draws.")] = 1,
    seeds: Annotated[int, typer.Option(min=1, help="Number of source seeds.")] = 1,
    n: Number = None,
    protocol: ProtocolOption = None,
    store: StoreOption = None,
    save: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write all predictions to this parquet file.")
    ] = None,
) -> None:
    """Run the paper's six conditions on targets and draws, resumable, and print the tables."""
    from cellda.ablation import Ablation
    from cellda.evaluation.predictions import write_predictions
    from cellda.presets import CONDITIONS
    from cellda.published import ablation
    from cellda.reporting.paper_tables import paper_targets_table
    from cellda.reporting.tables import condition_table, summary_table

    conditions = condition or list(CONDITIONS)
    base = _recipe(recipe, preset, source, protocol, {"n": n})
    study = Ablation.of_paper(base, target, range(draws), range(seeds), conditions)
    predictions = study.run(data, store=store)
    out.print(summary_table(predictions, conditions))
    out.print(condition_table(predictions, conditions=conditions))
    if set(ablation()["target"]) & set(predictions["target"]):
        out.print(paper_targets_table(predictions))
    if save is not None:
        save.parent.mkdir(parents=True, exist_ok=True)
        write_predictions(predictions, save)
        _say(f"Saved {len(predictions)} predictions in {save}")


Predictions = Annotated[
    list[Path], typer.Argument(help="Prediction files (parquet), or folders that hold them.")
]
Shown = Annotated[
    list[str], typer.Option("--condition", help="Condition to show; may be repeated; default: all.")
]
Aims = Annotated[list[str], typer.Option("--target", help="Target to show; may be repeated; default: all.")]
Main = Annotated[
    str,
    typer.Option(
        "--main", help="Condition that others are compared with, or the one shown where only one is."
    ),
]
KINDS = "See `cellda list tables` and `cellda list figures`."


@app.command(epilog=KINDS)
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
    from cellda.evaluation.predictions import read_predictions
    from cellda.reporting.catalogue import TABLES, named
    from cellda.reporting.tables import select

    make = named(kind, TABLES, "table")
    rows = select(read_predictions(*predictions), protocol, target, condition)
    made = [make(part, main) for _, part in rows.groupby("protocol", sort=True)]
    for one in made:
        if markdown:
            typer.echo(one.to_markdown())
        else:
            out.print(one)
    if csv is not None:
        csv.parent.mkdir(parents=True, exist_ok=True)
        csv.write_text("\n".join(one.to_csv() for one in made), encoding="utf-8")


@app.command(epilog=KINDS)
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
    from cellda.evaluation.predictions import read_predictions
    from cellda.reporting.catalogue import FIGURES, named
    from cellda.reporting.figures import save_figure
    from cellda.reporting.tables import select

    make = named(kind, FIGURES, "figure")
    rows = select(read_predictions(*predictions), protocol, target, condition)
    _say(f"Saved {save_figure(make(rows, main), file)}")


@app.command("list")
def list_(
    kind: Annotated[
        Literal["all", "normalizers", "adapters", "datasets", "presets", "tables", "figures"],
        typer.Argument(help="What to list."),
    ] = "all",
) -> None:
    """List normalizers, adapters, datasets, presets, tables and figures with one line each."""
    from cellda import adapters, datasets, normalizers, presets
    from cellda.registry import Registry
    from cellda.reporting.catalogue import FIGURES, TABLES, summaries

    registries: dict[str, Registry[Any]] = {
        "normalizers": normalizers.registry,
        "adapters": adapters.registry,
        "datasets": datasets.registry,
    }
    for title, registry in registries.items():
        if kind in ("all", title):
            _print_list(title, {name: registry.summary(name) for name in registry.names()})
    if kind in ("all", "presets"):
        _print_list("presets", {name: presets.summary(name) for name in presets.names()})
    for title, kinds in (("tables", TABLES), ("figures", FIGURES)):
        if kind in ("all", title):
            _print_list(title, summaries(kinds))


@datasets_app.callback(invoke_without_command=True)
def datasets(context: typer.Context) -> None:
    """Print the data cards of all datasets in brief."""
    if context.invoked_subcommand is None:
        from cellda.datasets import names, summary
        from cellda.datasets.card import card
        from cellda.datasets.cardprint import brief_cards

        out.print(
            brief_cards({name: card(name) for name in names()}, {name: summary(name) for name in names()})
        )


@datasets_app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="Registered dataset name.")],
    path: Annotated[Path | None, typer.Argument(help="The dataset's own folder or file.")] = None,
) -> None:
    """Print the data card of a dataset; with PATH, count the cells there beside those of the paper."""
    from cellda.datasets import load, summary
    from cellda.datasets.card import card
    from cellda.datasets.cardprint import full_card

    base = name.partition("/")[0]
    found = None if path is None and not card(base).drawn else load(name, path).class_counts()
    out.print(full_card(card(base), summary(base), found))


@datasets_app.command("check")
def check(
    name: Annotated[str, typer.Argument(help="Registered dataset name.")],
    path: Annotated[Path | None, typer.Argument(help="The dataset's own folder or file.")] = None,
) -> None:
    """Decode every image of a dataset and report counts, unreadable files and unknown labels."""
    from cellda import progress
    from cellda.datasets import get
    from cellda.datasets.check import check as check_dataset

    if path is None and not get(name.partition("/")[0]).drawn:
        raise ConfigurationError(
            f"Dataset '{name}' is read from files: say where they are, as in `cellda datasets check {name} PATH`."
        )
    with progress.display():
        report = check_dataset(name, path)
    out.print(report)
    if not report.ok:
        raise typer.Exit(1)


@datasets_app.command("fetch")
def fetch(
    name: Annotated[str, typer.Argument(help="Registered dataset name.")],
    data: Annotated[
        Path, typer.Option(file_okay=False, help="Folder that holds one folder per dataset name.")
    ],
) -> None:
    """Download a published dataset into the folder of data, or say how to get it by hand."""
    from cellda import progress
    from cellda.datasets.fetch import fetch as fetch_dataset

    with progress.display(unit="bytes"):
        fetched = fetch_dataset(name, data)
    if fetched.record is None:
        _say(f"{fetched.path} is there already; nothing was downloaded.")
        return
    _say(f"{fetched.path} is ready; {fetched.record.bytes:,} bytes were downloaded from {fetched.record.url}")
    _say(f"sha256 {fetched.record.sha256}, kept in {fetched.record_file}")
    _say(f"Look it over: cellda datasets check {name} {fetched.path}")


def main() -> None:
    """Entry point of the command `cellda`."""
    app()


def _recipe(
    file: Path | None,
    presets: list[str],
    sources: list[str],
    protocol: str | None,
    few_shot: dict[str, int | None],
    **fields: Any,
) -> "Recipe":
    """The recipe of the file, or the paper's, with presets and options applied; options not given are None."""
    from cellda.recipe import Recipe

    shot = {name: value for name, value in few_shot.items() if value is not None}
    edits = {"sources": sources or None, "protocol": protocol, "few_shot": shot or None, **fields}
    recipe = (Recipe.from_yaml(file) if file else Recipe()).with_preset(*presets)
    return recipe.with_(**{name: value for name, value in edits.items() if value is not None})


def _say(line: str) -> None:
    out.print(line, soft_wrap=True, highlight=False, markup=False)


def _print_list(title: str, lines: dict[str, str]) -> None:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, show_header=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()
    for name, line in lines.items():
        table.add_row(name, escape(line))
    out.print(table)
    out.print()
