"""`cellda run` and `cellda ablate`."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from cellda.cli import completion
from cellda.cli.app import say_left_out, say_without_groups
from cellda.cli.early import apart, each, known_preset, writable_file, writable_folder
from cellda.cli.options import (
    AdapterOption,
    BitsOption,
    Data,
    FramingOption,
    GroupOption,
    LogOption,
    MapOption,
    ModelOption,
    Number,
    Numbers,
    OnOption,
    PoolOption,
    PresentOption,
    Presets,
    ProtocolOption,
    RecipeFile,
    Settings,
    Sources,
    StoreOption,
    Target,
    Targets,
    TaxonomyOption,
)
from cellda.cli.output import Json, Output
from cellda.cli.recipes import edited_recipe, given, numbers, of_targets, with_options
from cellda.text import counted


def run(
    target: Target,
    source: Sources = [],
    model: ModelOption = None,
    data: Data = None,
    recipe: RecipeFile = None,
    preset: Presets = [],
    adapter: AdapterOption = None,
    framing: FramingOption = None,
    group: GroupOption = None,
    bits: BitsOption = None,
    map: MapOption = None,
    taxonomy: TaxonomyOption = None,
    n: Number = None,
    draw: Annotated[
        int | None, typer.Option(min=0, help="Number of the draw; default: the recipe's.")
    ] = None,
    protocol: ProtocolOption = None,
    pool: PoolOption = None,
    present: PresentOption = [],
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of training; default: the recipe's.")] = None,
    settings: Settings = [],
    store: StoreOption = None,
    on: OnOption = "local",
    save: Annotated[
        Path | None,
        typer.Option(
            callback=writable_folder, help="Also copy record, predictions and model into this folder."
        ),
    ] = None,
    as_json: Json = False,
    log: LogOption = [],
) -> None:
    """Train on the sources (or take --model), draw labelled cells of the target, adapt, and measure on the rest."""
    apart({"--save": save, "--store": store}, (target, *source), data)
    chosen = edited_recipe(
        recipe,
        preset,
        settings,
        ([target], data),
        source_model=model,
        sources=source,
        taxonomy=taxonomy,
        adapter=adapter,
        framing=framing,
        few_shot=given(n=n, draw=draw),
        protocol=protocol,
        pool=pool,
        present=present,
        seed=seed,
    )

    from cellda.experiment.record import RECORD
    from cellda.experiment.result import MODEL, check_free
    from cellda.tracking.named import named

    [aim] = with_options([target], data, chosen, group=group, bits=bits, map=map)
    if save is not None and (save / RECORD).exists():
        from cellda.experiment.run import Run
        from cellda.experiment.workspace import Workspace

        check_free(save, Run.prepare(chosen, aim, Workspace(data, store, progress=False)).digest)
    result = chosen.run(aim, data, store=store, log=[named(text) for text in log], on=on)
    if save is not None:
        result.save(save)
    place, output = save or result.path, Output(as_json)
    output.answer(result.to_data(place), result)
    output.say(f"Saved in {place}: record.json, predictions.parquet, model/")
    output.say(f"Classify new images: cellda predict {shlex.quote(str(place / MODEL))} IMAGES")


def ablate(
    target: Targets,
    source: Sources = [],
    data: Data = None,
    recipe: RecipeFile = None,
    preset: Presets = [],
    condition: Annotated[
        list[str],
        typer.Option(
            callback=each(known_preset),
            autocompletion=completion.presets,
            help="Condition to run (no_source_train, no_fine_tune, head_only, mixed_train, no_transform, our_workflow); "
            "may be repeated; default: all six.",
        ),
    ] = [],
    draws: Annotated[int, typer.Option(min=1, help="Number of draws.")] = 1,
    seeds: Annotated[int, typer.Option(min=1, help="Number of source seeds.")] = 1,
    group: GroupOption = None,
    bits: BitsOption = None,
    map: MapOption = None,
    taxonomy: TaxonomyOption = None,
    n: Numbers = [],
    protocol: ProtocolOption = None,
    settings: Settings = [],
    store: StoreOption = None,
    on: OnOption = "local",
    save: Annotated[
        Path | None, typer.Option(callback=writable_file, help="Write all predictions to this parquet file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the paper's six conditions on targets and draws, and print the tables; finished runs are reused.

    Every condition sets `adapter` and `target_normalizer`. Draws and seeds are numbered from 0.
    """
    apart({"--store": store}, (*target, *source), data)
    shared, single = numbers(n, target)
    base = edited_recipe(
        recipe,
        preset,
        settings,
        (target, data),
        sources=source,
        taxonomy=taxonomy,
        few_shot=given(n=shared),
        protocol=protocol,
    )

    from cellda.evaluation.predictions import write_predictions
    from cellda.experiment.study import Study
    from cellda.experiment.workspace import Workspace
    from cellda.presets import CONDITIONS
    from cellda.reporting.paper.published import ablation
    from cellda.reporting.paper.tables import paper_targets_table
    from cellda.reporting.tables.conditions import condition_table, summary_table

    conditions = condition or list(CONDITIONS)
    aims = with_options(target, data, base, group=group, bits=bits, map=map)
    study = Study.of_paper(base, aims, range(draws), range(seeds), conditions, Workspace(data, store))
    study = replace(study, n=of_targets(single, target, aims))
    predictions = study.run(on)
    tables = [
        summary_table(predictions, conditions),
        condition_table(predictions, conditions=conditions),
    ]
    if set(ablation()["target"]) & set(predictions["target"]):
        tables.append(paper_targets_table(predictions))
    if save is not None:
        write_predictions(predictions, save)
    output = Output(as_json)
    output.answer(
        {
            "tables": [one.to_data() for one in tables],
            "without_groups": study.without_groups,
            "predictions": save,
        },
        *tables,
    )
    say_left_out(output, predictions)
    say_without_groups(output, study.without_groups)
    if save is not None:
        output.say(f"Saved {counted(len(predictions), 'prediction(s)')} in {save}")
