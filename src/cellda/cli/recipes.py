"""The recipe that the options of a command describe."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellda.cli import settings
from cellda.cli.early import placed
from cellda.cli.early_edits import check_edits, check_file
from cellda.cli.output import say_aside
from cellda.errors import ConfigurationError, nearest

if TYPE_CHECKING:
    from cellda.datasets.base import CellDataset
    from cellda.recipe import Recipe


def given(**values: Any) -> dict[str, Any]:
    """The options that the user gave: the others are None or empty."""
    return {name: value for name, value in values.items() if value is not None and value not in ([], {})}


_WHAT = {
    "group": "--group names a column of a table (table=cells.csv)",
    "bits": "--bits is for images of your own (folder=PATH, table=cells.csv)",
    "map": "--map is for labels of your own (folder=PATH, table=cells.csv)",
}
"""What is said of an option of loaders that a dataset does not have."""


def reading(name: str, *, group: str | None, bits: int | None, map: Path | None = None) -> dict[str, Any]:
    """The options with which a dataset is read, of those that the user gave.

    Args:
        name: The dataset, as `NAME`, `NAME/VARIANT` or `NAME=PATH`.
        group: Of `--group`.
        bits: Of `--bits`.
        map: Of `--map`.

    Raises:
        ConfigurationError: If its loader does not have such an option.
    """
    options = given(group=group, bits=bits, map=map)
    base = name.partition("=")[0].partition("/")[0]
    if options:
        from inspect import signature

        from cellda.datasets import get

        taken = signature(get(base)).parameters
        for option in options:
            if option not in taken:
                own = (
                    " In a folder, patients are folders above the classes."
                    if (option, base) == ("group", "folder")
                    else ""
                )
                raise ConfigurationError(f"{_WHAT[option]}; dataset '{base}' has no such option.{own}")
    return options


def with_options(
    names: Sequence[str],
    data: Path | None,
    recipe: "Recipe",
    *,
    group: str | None,
    bits: int | None,
    map: Path | None,
) -> "list[str | CellDataset]":
    """The named datasets, loaded in the recipe's classes if options of their loaders are given.

    Raises:
        CelldaError: If one does not take such an option.
    """
    options = [reading(name, group=group, bits=bits, map=map) for name in names]
    if not any(options):
        return list(names)

    from cellda.data.root import DataRoot

    root = DataRoot(data)
    return [root.load(name, recipe.taxonomy, **own) for name, own in zip(names, options, strict=True)]


def numbers(texts: Sequence[str], targets: Sequence[str]) -> tuple[int | None, dict[str, int]]:
    """The number of labelled images of all targets, and those of single ones.

    Args:
        texts: Texts of `--n`: `NUMBER` or `TARGET=NUMBER`.
        targets: The targets as given.

    Raises:
        ConfigurationError: If a text names another target, or two give the same number.
    """
    shared: int | None = None
    single: dict[str, int] = {}
    for text in texts:
        name, _, number = text.rpartition("=")
        if name in single or (not name and shared is not None):
            raise ConfigurationError(f"--n {text}: the number of {name or 'all targets'} is given twice.")
        if name and name not in targets:
            raise ConfigurationError(
                f"--n {text}: '{name}' is not one of the targets; {nearest(name, targets)}"
            )
        if name:
            single[name] = int(number)
        else:
            shared = int(number)
    return shared, single


def of_targets(
    numbers: Mapping[str, int], names: Sequence[str], targets: "Sequence[str | CellDataset]"
) -> dict[str, int]:
    """Numbers by the targets' names as given, keyed as a study does: loaded targets by their full names."""
    keys = {
        name: aim if isinstance(aim, str) else aim.full_name for name, aim in zip(names, targets, strict=True)
    }
    return {keys[name]: number for name, number in numbers.items()}


def edited_recipe(
    file: Path | None,
    presets: Sequence[str],
    sets: Sequence[str],
    read: tuple[Sequence[str], Path | None] = ((), None),
    *,
    labelled: bool = True,
    unlabelled: bool = True,
    **fields: Any,
) -> "Recipe":
    """The recipe of the file, or the paper's, with presets, then fields, then settings applied.

    Args:
        file: A recipe file.
        presets: Names of presets.
        sets: Texts of `--set`.
        read: The targets, or other datasets that the command reads, and the folder of `--data`.
        labelled: Whether there are labelled cells of the target.
        unlabelled: Whether there are unlabelled images of it.
        fields: Fields of the recipe; None, and empty ones, were not given. With a trained source model and neither a file nor
            a preset nor an adapter, the model is adapted as the preset `best` does it, or `best_without_labels`.

    Raises:
        CelldaError: If the recipe cannot be built; names and values that are wrong on their own are refused before any heavy
            imports.
    """
    if file is not None:
        check_file(file)
    edits, later = given(**fields), settings.parse(sets)
    named = presets or any(isinstance(one.get("adapter"), str | list) for one in (edits, *later))
    for one in (edits, *later):
        check_edits(one)
    if "source_model" in edits and "sources" in edits:
        raise ConfigurationError(
            f"--source ({', '.join(map(str, edits['sources']))}) and --model ('{edits['source_model']}') are both given; give "
            "one of them."
        )
    if not (labelled or unlabelled):
        raise ConfigurationError(
            "There is nothing to adapt to: give labelled cells (--labelled), unlabelled images (--unlabelled), or both."
        )
    placed(*read)
    if "source_model" in edits and file is None and not named:
        edits = {**_recommended(labelled=labelled, unlabelled=unlabelled), **edits}

    from cellda.recipe import Recipe

    recipe = Recipe.from_yaml(file) if file else Recipe()
    if "source_model" in edits:  # it decides what presets may say
        recipe = recipe.with_(source_model=edits.pop("source_model"))
    return settings.apply(recipe.with_preset(*presets).with_(**edits), sets)


def _recommended(*, labelled: bool, unlabelled: bool) -> Mapping[str, Any]:
    """How a trained source model is adapted if nobody says how: as a preset does it, with the steps that have their images."""
    from cellda import adapters, presets
    from cellda.adapters.base import Need

    name = "best" if labelled else "best_without_labels"
    edits = presets.adaptation_of(name)
    steps = {step if isinstance(step, str) else step["name"]: step for step in edits["adapter"]}
    kept = [step for step in steps if unlabelled or Need.UNLABELLED not in adapters.get(step).needs]
    without = [step for step in steps if step not in kept]
    rest = f" without {' and '.join(without)}, for which there are no unlabelled images" if without else ""
    say_aside(
        f"It is adapted by {'+'.join(kept)}, as in the preset {name}{rest}; choose with --adapter or --preset."
    )
    return {**edits, "adapter": [steps[name] for name in kept]}
