"""The recipe that the options of a command describe."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellda.cli import settings
from cellda.cli.early import check_edits, check_file, placed

if TYPE_CHECKING:
    from cellda.recipe import Recipe


def given(**values: Any) -> dict[str, Any]:
    """The options that the user gave: the others are None or empty."""
    return {name: value for name, value in values.items() if value is not None and value not in ([], {})}


def edited_recipe(
    file: Path | None,
    presets: Sequence[str],
    sets: Sequence[str],
    read: tuple[Sequence[str], Path | None] = ((), None),
    **fields: Any,
) -> "Recipe":
    """The recipe of the file, or the paper's, with presets, then fields, then settings applied.

    Args:
        file: A recipe file.
        presets: Names of presets.
        sets: Texts of `--set`.
        read: The targets, or other datasets that the command reads, and the folder of `--data`.
        fields: Fields of the recipe; None, and empty ones, were not given.

    Raises:
        CelldaError: If the recipe cannot be built; names and values that are wrong on their own are refused before any heavy
            imports.
    """
    if file is not None:
        check_file(file)
    edits = given(**fields)
    for one in (edits, *settings.parse(sets)):
        check_edits(one)
    placed(*read)

    from cellda.recipe import Recipe

    recipe = (Recipe.from_yaml(file) if file else Recipe()).with_preset(*presets)
    return settings.apply(recipe.with_(**edits), sets)
