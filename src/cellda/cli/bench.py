"""`cellda bench`: which adapter is best on these targets, on equal budgets."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellda.cli.app import out, say
from cellda.cli.options import Data, FramingOption, Number, Presets, RecipeFile, Sources, StoreOption
from cellda.cli.runs import edited_recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cellda.experiment.study import Study
    from cellda.recipe import Recipe


def bench(
    target: Annotated[list[str], typer.Option(help="Target dataset, or NAME=PATH; may be repeated.")],
    source: Sources = [],  # noqa: B006 - typer copies it
    data: Data = None,
    recipe: RecipeFile = None,
    preset: Presets = [],  # noqa: B006
    adapter: Annotated[
        list[str],
        typer.Option(
            help="Adapter, or several in a row (adabn+lp_ft); may be repeated; default: all, or none beside --condition."
        ),
    ] = [],  # noqa: B006
    condition: Annotated[
        list[str],
        typer.Option(
            help="NAME=FILE: a recipe of your own (YAML) under a name, without its search; sources and labelled cells are "
            "those of the others. May be repeated."
        ),
    ] = [],  # noqa: B006
    without: Annotated[list[str], typer.Option(help="Adapter to leave out; may be repeated.")] = [],  # noqa: B006
    labels: Annotated[
        bool,
        typer.Option("--labels/--no-labels", help="Whether adapters that need labelled cells take part."),
    ] = True,
    cap: Annotated[
        int, typer.Option(min=1, help="Images an adaptation may send through the backbone, the same for all.")
    ] = 3000,
    framing: FramingOption = None,
    draws: Annotated[int, typer.Option(min=1, help="Number of draws; fewer than five rank by chance.")] = 5,
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
    """Compare adapters, or recipes, on the same support sets and budget, resumable, between two bounds."""
    from cellda.errors import ConfigurationError
    from cellda.evaluation.costs import with_costs
    from cellda.experiment.leaderboard import bounds, conditions
    from cellda.experiment.naming import BOUND_NAMES
    from cellda.experiment.result import costs_of
    from cellda.experiment.study import Study
    from cellda.experiment.workspace import Workspace
    from cellda.reporting.leaderboard import leaderboard_table
    from cellda.reporting.leaderboard_files import with_best, write_leaderboard

    base = edited_recipe(recipe, preset, source, None, {"n": n}, pool=pool, framing=framing)
    if base.protocol != "clean":
        raise ConfigurationError(
            f"The recipe has protocol: {base.protocol}, and leaderboards are made under 'clean' alone (docs/protocol.md); "
            "take the line out of the file, or use `cellda ablate`."
        )
    own = _own_conditions(condition, base, labels=labels)
    everything = not (adapter or own)
    compared = (
        conditions(base, adapter, without=without, labels=labels) if adapter or everything else bounds(base)
    )
    _check_names(own, compared)
    if {*own, *compared} <= BOUND_NAMES:
        raise ConfigurationError(
            "There is nothing to compare: the bounds (none, target_only) are on every table and are not ranked. Name an "
            "adapter or a --condition, or leave fewer adapters out."
        )
    workspace = Workspace(data, store)
    study = Study(own | compared, target, range(draws), range(seeds), cap=cap, workspace=workspace)
    try:
        predictions = study.run()
    except ConfigurationError as error:
        if not everything:
            raise
        # What stops the bounds as well is no adapter's fault.
        Study(bounds(base), target, range(draws), range(seeds), workspace=workspace).runs()
        unable = [name for name, one in compared.items() if not _possible({name: one}, study)]
        if not unable:
            raise
        raise ConfigurationError(
            f"{error}\nThe others can be compared without these: "
            + " ".join(f"--without {name}" for name in unable)
        ) from error
    predictions, runs, choices = with_best(predictions, costs_of(study.records()))
    out.print(leaderboard_table(with_costs(predictions, runs)))
    if save is not None:
        for file in write_leaderboard(predictions, runs, choices, save):
            say(f"Saved {file}")


def _possible(recipes: "Mapping[str, Recipe]", study: "Study") -> bool:
    """Whether these recipes could be run in a study."""
    from cellda.errors import ConfigurationError

    try:
        replace(study, recipes=recipes).runs()
    except ConfigurationError:
        return False
    return True


def _own_conditions(given: list[str], base: "Recipe", *, labels: bool) -> "dict[str, Recipe]":
    """The recipes of `--condition NAME=FILE`, on the sources and cells of the others and without a search.

    Raises:
        ConfigurationError: If one is not written so, a name comes twice, a file is no recipe, or its adapter needs labels in a
            comparison without.
    """
    from cellda.adapters.base import Need
    from cellda.errors import ConfigurationError
    from cellda.recipe import Recipe

    found: dict[str, Recipe] = {}
    for text in given:
        name, _, file = text.partition("=")
        if not (name and file) or name in found:
            raise ConfigurationError(
                f"--condition takes NAME=FILE, each name once, such as ours=recipe.yaml; got '{text}'."
            )
        shared = {field: base.model_dump(mode="json")[field] for field in ("sources", "few_shot", "pool")}
        found[name] = Recipe.from_yaml(Path(file)).with_(**shared, protocol="clean", search=None)
        if not labels and Need.LABELS in found[name].adapter.needs:
            raise ConfigurationError(
                f"The adapter '{found[name].adapter.name}' of --condition {text} needs labelled target cells; leave it out, "
                "or compare with labels."
            )
    return found


def _check_names(own: "Mapping[str, Recipe]", compared: "Mapping[str, Recipe]") -> None:
    """Refuse names of `--condition` under which a table shows something else.

    Raises:
        ConfigurationError: If one is that of an adapter beside it, of a bound, or of what is chosen among the others.
    """
    from cellda.errors import ConfigurationError
    from cellda.experiment.naming import BOUND_NAMES
    from cellda.reporting.leaderboard import is_chosen

    taken = [name for name in own if name in compared or name in BOUND_NAMES or is_chosen(name)]
    if taken:
        raise ConfigurationError(
            f"--condition cannot be called '{taken[0]}', which is another row of the leaderboard (an adapter, a bound, or "
            f"what is chosen among the others); choose another name, such as my_{taken[0]}."
        )
