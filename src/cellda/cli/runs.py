"""`cellda run` and `cellda ablate`."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cellda.cli.app import out, say
from cellda.cli.options import (
    AdapterOption,
    Data,
    FramingOption,
    Number,
    Presets,
    ProtocolOption,
    RecipeFile,
    Sources,
    StoreOption,
)

if TYPE_CHECKING:
    from cellda.recipe import Recipe


def run(
    target: Annotated[str, typer.Option(help="Target dataset, or NAME=PATH (folder=~/my_cells).")],
    source: Sources = [],  # noqa: B006 - typer copies it
    data: Data = None,
    recipe: RecipeFile = None,
    preset: Presets = [],  # noqa: B006
    adapter: AdapterOption = None,
    framing: FramingOption = None,
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
    from cellda.experiment.result import MODEL

    shot = {"n": n, "draw": draw}
    chosen = edited_recipe(
        recipe, preset, source, protocol, shot, adapter=adapter, framing=framing, seed=seed
    )
    result = chosen.run(target, data, store=store)
    out.print(result)
    if save is not None:
        result.save(save)
    place = save or result.path
    say(f"Saved in {place}: record.json, predictions.parquet, model/")
    say(f"Classify new images: cellda predict {shlex.quote(str(place / MODEL))} IMAGES")


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
    from cellda.evaluation.predictions import write_predictions
    from cellda.experiment.study import Study
    from cellda.experiment.workspace import Workspace
    from cellda.presets import CONDITIONS
    from cellda.reporting.paper.published import ablation
    from cellda.reporting.paper.tables import paper_targets_table
    from cellda.reporting.tables import condition_table, summary_table

    conditions = condition or list(CONDITIONS)
    base = edited_recipe(recipe, preset, source, protocol, {"n": n})
    study = Study.of_paper(base, target, range(draws), range(seeds), conditions, Workspace(data, store))
    predictions = study.run()
    out.print(summary_table(predictions, conditions))
    out.print(condition_table(predictions, conditions=conditions))
    if set(ablation()["target"]) & set(predictions["target"]):
        out.print(paper_targets_table(predictions))
    if save is not None:
        save.parent.mkdir(parents=True, exist_ok=True)
        write_predictions(predictions, save)
        say(f"Saved {len(predictions)} predictions in {save}")


def edited_recipe(
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
