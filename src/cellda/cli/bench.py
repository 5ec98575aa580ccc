"""`cellda bench`: which adapter is best on these targets, on equal budgets."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellda.cli import completion
from cellda.cli.app import say_left_out, say_without_groups
from cellda.cli.early import apart, existing, writable_folder
from cellda.cli.early_edits import check_edits, check_file
from cellda.cli.options import (
    BitsOption,
    Data,
    FramingOption,
    GroupOption,
    MapOption,
    Numbers,
    OnOption,
    PoolOption,
    Presets,
    RecipeFile,
    Settings,
    Sources,
    StoreOption,
    Targets,
    TaxonomyOption,
)
from cellda.cli.output import Json, Output
from cellda.cli.recipes import edited_recipe, given, numbers, of_targets, with_options
from cellda.errors import ConfigurationError
from cellda.presets import CAP, OURS

if TYPE_CHECKING:
    import pandas as pd

    from cellda.experiment.study import Study
    from cellda.recipe import Recipe


def bench(
    target: Targets,
    source: Sources = [],
    data: Data = None,
    recipe: RecipeFile = None,
    preset: Presets = [],
    adapter: Annotated[
        list[str],
        typer.Option(
            autocompletion=completion.adapters,
            help="Adapter, or several chained with + (adabn+lp_ft); may be repeated; default: all, or none if --condition "
            "is given.",
        ),
    ] = [],
    condition: Annotated[
        list[str],
        typer.Option(
            help="NAME=FILE: your own recipe (YAML) under this name, without its search; it gets the same sources, labelled "
            "cells and pool as the others. May be repeated."
        ),
    ] = [],
    without: Annotated[
        list[str],
        typer.Option(autocompletion=completion.adapters, help="Adapter to leave out; may be repeated."),
    ] = [],
    labels: Annotated[
        bool,
        typer.Option("--labels/--no-labels", help="Whether to include adapters that need labelled cells."),
    ] = True,
    cap: Annotated[
        int, typer.Option(min=1, help="Maximum number of images each adaptation sends through the backbone.")
    ] = CAP,
    framing: FramingOption = None,
    draws: Annotated[
        int, typer.Option(min=1, help="Number of draws; ranks from fewer than five are unreliable.")
    ] = 5,
    seeds: Annotated[int, typer.Option(min=1, help="Number of source seeds.")] = 1,
    group: GroupOption = None,
    bits: BitsOption = None,
    map: MapOption = None,
    taxonomy: TaxonomyOption = None,
    n: Numbers = [],
    pool: PoolOption = None,
    settings: Settings = [],
    store: StoreOption = None,
    on: OnOption = "local",
    save: Annotated[
        Path | None,
        typer.Option(
            callback=writable_folder, help="Folder for predictions, runs.csv, the table and the diagram."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare adapters, or recipes, on the same support sets and budget, between two bounds; finished runs are reused."""
    files = _files(condition)
    for file in files.values():
        check_file(file)
    _check_adapters([*adapter, *without])
    apart({"--save": save, "--store": store}, (*target, *source), data)
    shared, single = numbers(n, target)
    base = edited_recipe(
        recipe,
        preset,
        settings,
        (target, data),
        sources=source,
        taxonomy=taxonomy,
        few_shot=given(n=shared),
        pool=pool,
        framing=framing,
    )

    from cellda.evaluation.costs import with_costs
    from cellda.experiment.record import costs_of
    from cellda.experiment.study import Study
    from cellda.experiment.workspace import Workspace
    from cellda.reporting.leaderboard_files import with_best, write_leaderboard
    from cellda.reporting.tables.leaderboard import leaderboard_table

    own = _own_conditions(files, base, labels=labels)
    recipes = _compared(base, own, adapter, without, labels=labels)
    workspace = Workspace(data, store)
    aims = with_options(target, data, base, group=group, bits=bits, map=map)
    sizes = of_targets(single, target, aims)
    study = Study(recipes, aims, range(draws), range(seeds), cap=cap, n=sizes, workspace=workspace)
    every = not (adapter or own)
    predictions = _predictions(study, base, on) if every else study.run(on)
    predictions, runs, choices = with_best(predictions, costs_of(study.records()))
    table, output = leaderboard_table(with_costs(predictions, runs)), Output(as_json)
    saved = [] if save is None else list(write_leaderboard(predictions, runs, choices, save))
    document = {"tables": [table.to_data()], "without_groups": study.without_groups, "saved": saved}
    output.answer(document, table)
    say_left_out(output, predictions)
    say_without_groups(output, study.without_groups)
    for file in saved:
        output.say(f"Saved {file}")


def _check_adapters(names: Sequence[str]) -> None:
    """Refuse adapters that do not exist; leaderboards also know `full` as the paper's workflow."""
    check_edits({"adapter": [name for name in names if name != OURS]})


def _files(given: Sequence[str]) -> dict[str, Path]:
    """The files of `--condition NAME=FILE`, by name.

    Raises:
        ConfigurationError: If one does not have this form, or a name occurs twice.
        DataError: If a file does not exist.
    """
    files: dict[str, Path] = {}
    for text in given:
        name, _, file = text.partition("=")
        if not (name and file) or name in files:
            raise ConfigurationError(
                f"--condition takes NAME=FILE, each name once, such as ours=recipe.yaml; got '{text}'."
            )
        files[name] = Path(file)
    existing(list(files.values()))
    return files


def _own_conditions(files: Mapping[str, Path], base: "Recipe", *, labels: bool) -> "dict[str, Recipe]":
    """The recipes of `--condition`, with the sources and cells of the others and without a search.

    Raises:
        ConfigurationError: If a file is not a recipe, or its adapter needs labels in a comparison without.
    """
    from cellda.adapters.base import Need
    from cellda.recipe import Recipe

    fields = base.model_dump(mode="json")
    shared = {field: fields[field] for field in ("sources", "few_shot", "pool")}
    own = {
        name: Recipe.from_yaml(file).with_(**shared, protocol="clean", search=None)
        for name, file in files.items()
    }
    for name, recipe in own.items():
        if not labels and Need.LABELS in recipe.adapter.needs:
            raise ConfigurationError(
                f"The adapter '{recipe.adapter.name}' of --condition {name}={files[name]} needs labelled target cells; leave "
                "it out, or compare with labels."
            )
    return own


def _compared(
    base: "Recipe",
    own: "Mapping[str, Recipe]",
    adapters: Sequence[str],
    without: Sequence[str],
    *,
    labels: bool,
) -> "dict[str, Recipe]":
    """All recipes of the comparison: the user's own, the adapters' and the bounds.

    Raises:
        ConfigurationError: If the recipe's protocol is not that of leaderboards, a user's own recipe has the name of another
            row, or nothing is left to rank.
    """
    from cellda.experiment.leaderboard import bounds, conditions
    from cellda.experiment.naming import BOUND_NAMES
    from cellda.reporting.tables.leaderboard import is_chosen

    if base.protocol != "clean":
        raise ConfigurationError(
            f"The recipe has protocol: {base.protocol}, and leaderboards are made under 'clean' alone (docs/protocol.md); "
            "remove that line from the file, or use `cellda ablate`."
        )
    only_own = own and not adapters
    others = bounds(base) if only_own else conditions(base, adapters, without=without, labels=labels)
    taken = [name for name in own if name in others or name in BOUND_NAMES or is_chosen(name)]
    if taken:
        raise ConfigurationError(
            f"--condition cannot be called '{taken[0]}', which is another row of the leaderboard (an adapter, a bound, or "
            f"what is chosen among the others); choose another name, such as my_{taken[0]}."
        )
    recipes = {**own, **others}
    if recipes.keys() <= BOUND_NAMES:
        raise ConfigurationError(
            "There is nothing to compare: the bounds (none, target_only) are in every table and are not ranked. Name an "
            "adapter or a --condition, or leave fewer adapters out."
        )
    return recipes


def _predictions(study: "Study", base: "Recipe", on: str) -> "pd.DataFrame":
    """The predictions of every registered adapter.

    Raises:
        ConfigurationError: If some adapters cannot run; the message says how to compare the others.
    """
    from cellda.experiment.leaderboard import bounds

    try:
        return study.run(on)
    except ConfigurationError as error:
        # An error that also stops the bounds is not the fault of an adapter.
        refused = _refusal(study, bounds(base))
        unable = [name for name, one in study.recipes.items() if _refusal(study, {name: one})]
        if refused or not unable:
            raise (refused or error) from None
        raise ConfigurationError(
            f"{error}\nThe others can be compared without these: "
            + " ".join(f"--without {name}" for name in unable)
        ) from error


def _refusal(study: "Study", recipes: "Mapping[str, Recipe]") -> ConfigurationError | None:
    """Why these recipes cannot be run in a study, or None."""
    try:
        replace(study, recipes=recipes).runs()
    except ConfigurationError as error:
        return error
    return None
