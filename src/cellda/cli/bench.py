"""`cellda bench`: which adapter is best on these targets, on equal budgets."""

from pathlib import Path
from typing import Annotated

import typer

from cellda.cli.app import out, say
from cellda.cli.options import Data, Number, Presets, RecipeFile, Sources, StoreOption
from cellda.cli.runs import edited_recipe


def bench(
    target: Annotated[list[str], typer.Option(help="Target dataset, or NAME=PATH; may be repeated.")],
    source: Sources = [],  # noqa: B006 - typer copies it
    data: Data = None,
    recipe: RecipeFile = None,
    preset: Presets = [],  # noqa: B006
    adapter: Annotated[
        list[str],
        typer.Option(help="Adapter, or several in a row (adabn+lp_ft); may be repeated; default: all."),
    ] = [],  # noqa: B006
    without: Annotated[list[str], typer.Option(help="Adapter to leave out; may be repeated.")] = [],  # noqa: B006
    labels: Annotated[
        bool,
        typer.Option("--labels/--no-labels", help="Whether adapters that need labelled cells take part."),
    ] = True,
    cap: Annotated[
        int, typer.Option(min=1, help="Images an adaptation may send through the backbone, the same for all.")
    ] = 3000,
    draws: Annotated[int, typer.Option(min=1, help="Number of draws.")] = 1,
    seeds: Annotated[int, typer.Option(min=1, help="Number of source seeds.")] = 1,
    n: Number = None,
    pool: Annotated[
        str | None, typer.Option(help="Unlabelled images: 'query' or 'disjoint'; default: the recipe's.")
    ] = None,
    store: StoreOption = None,
    save: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Folder for predictions, runs.csv, the table and the diagram."),
    ] = None,
) -> None:
    """Compare adapters on the same support sets and budget, resumable, between two bounds."""
    from cellda.ablation import Ablation
    from cellda.evaluation.costs import costs_of, with_costs
    from cellda.leaderboard import conditions
    from cellda.reporting.bench import with_best, write_bench
    from cellda.reporting.leaderboard import leaderboard_table

    base = edited_recipe(recipe, preset, source, "clean", {"n": n}, pool=pool)
    compared = conditions(base, adapter, without=without, labels=labels)
    study = Ablation(compared, target, range(draws), range(seeds), cap=cap)
    predictions = study.run(data, store=store)
    predictions, runs, choices = with_best(predictions, costs_of(study.records(data, store=store)))
    out.print(leaderboard_table(with_costs(predictions, runs)))
    if save is not None:
        for file in write_bench(predictions, runs, choices, save):
            say(f"Saved {file}")
