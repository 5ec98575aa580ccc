"""The command line: a thin layer over the same calls; heavy imports happen inside the commands."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from cellda.errors import CelldaError

if TYPE_CHECKING:
    from cellda.recipe import Recipe

app = typer.Typer(
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
Presets = Annotated[list[str], typer.Option("--preset", help="Edit the recipe by a preset; may be repeated.")]
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
    adapter: Annotated[str | None, typer.Option(help="Adapter instead of the recipe's.")] = None,
    n: Number = None,
    draw: Annotated[int | None, typer.Option(help="Number of the draw; default: the recipe's.")] = None,
    protocol: ProtocolOption = None,
    seed: Annotated[int | None, typer.Option(help="Seed of training; default: the recipe's.")] = None,
    store: StoreOption = None,
    save: Annotated[
        Path | None, typer.Option(help="Also copy record, predictions and model into this folder.")
    ] = None,
) -> None:
    """Train on the sources, draw labelled cells of the target, adapt, and measure on the rest."""
    chosen = _recipe(recipe, preset, source, n, protocol)
    edits: dict[str, Any] = {"adapter": adapter, "seed": seed}
    if draw is not None:
        edits["few_shot"] = {"draw": draw}
    chosen = chosen.with_(**{name: value for name, value in edits.items() if value is not None})
    result = chosen.run(target, data, store=store)
    out.print(result)
    if save is not None:
        result.save(save)
    place = save or result.path
    out.print(f"Saved in {place}: record.json, predictions.parquet, model/", soft_wrap=True, highlight=False)
    out.print(f"Classify new images: CellClassifier.load('{place / 'model'}').predict(paths)", soft_wrap=True)


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
    save: Annotated[Path | None, typer.Option(help="Write all predictions to this parquet file.")] = None,
) -> None:
    """Run the paper's six conditions on targets and draws, resumable, and print the tables."""
    from cellda.ablation import Ablation
    from cellda.evaluation.predictions import write_predictions
    from cellda.presets import CONDITIONS, published_frame
    from cellda.reporting.tables import beside_paper_table, condition_table, summary_table

    conditions = condition or list(CONDITIONS)
    base = _recipe(recipe, preset, source, n, protocol)
    study = Ablation.of_paper(base, target, range(draws), range(seeds), conditions)
    predictions = study.run(data, store=store)
    out.print(summary_table(predictions, conditions))
    out.print(condition_table(predictions, conditions=conditions))
    published = published_frame()
    if set(published["target"]) & set(predictions["target"]):
        out.print(beside_paper_table(predictions, published, conditions))
    if save is not None:
        save.parent.mkdir(parents=True, exist_ok=True)
        write_predictions(predictions, save)
        out.print(f"Saved {len(predictions)} predictions in {save}", soft_wrap=True, highlight=False)


@app.command("list")
def list_(
    kind: Annotated[
        Literal["all", "normalizers", "adapters", "datasets", "presets"], typer.Argument(help="What to list.")
    ] = "all",
) -> None:
    """List normalizers, adapters, datasets and presets with one line each."""
    from cellda import adapters, datasets, normalizers, presets
    from cellda.registry import Registry

    registries: dict[str, Registry[Any]] = {
        "normalizers": normalizers.registry,
        "adapters": adapters.registry,
        "datasets": datasets.registry,
    }
    for title, registry in registries.items():
        if kind in ("all", title):
            _print_list(title, {name: registry.summary(name) for name in registry.names()})
    if kind in ("all", "presets"):
        _print_list("presets", {name: _edits(presets.edits_of(name)) for name in presets.names()})


@datasets_app.callback(invoke_without_command=True)
def datasets(context: typer.Context) -> None:
    """List the datasets."""
    if context.invoked_subcommand is None:
        list_("datasets")


@datasets_app.command("check")
def check(
    name: Annotated[str, typer.Argument(help="Registered dataset name.")],
    path: Annotated[Path | None, typer.Argument(help="The dataset's own folder or file.")] = None,
) -> None:
    """Decode every image of a dataset and report counts, unreadable files and unknown labels."""
    from cellda import progress
    from cellda.datasets.check import check as check_dataset

    with progress.display():
        report = check_dataset(name, path)
    out.print(report)
    if not report.ok:
        raise typer.Exit(1)


def main() -> None:
    """Entry point: errors of the user's are printed without a traceback, with exit status 2."""
    try:
        app()
    except CelldaError as error:
        Console(stderr=True).print(f"cellda: {error}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        Console(stderr=True).print(
            "Interrupted. What is finished is kept; the same command goes on from there."
        )
        sys.exit(130)


def _recipe(
    file: Path | None, presets: list[str], sources: list[str], n: int | None, protocol: str | None
) -> "Recipe":
    from cellda.recipe import Recipe

    recipe = (Recipe.from_yaml(file) if file else Recipe()).with_preset(*presets)
    edits: dict[str, Any] = {}
    if sources:
        edits["sources"] = sources
    if n is not None:
        edits["few_shot"] = {"n": n}
    if protocol is not None:
        edits["protocol"] = protocol
    return recipe.with_(**edits)


def _edits(edits: Any) -> str:
    return ", ".join(f"{field}: {value}" for field, value in edits.items())


def _print_list(title: str, lines: dict[str, str]) -> None:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, show_header=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()
    for name, line in lines.items():
        table.add_row(name, line)
    out.print(table)
    out.print()
