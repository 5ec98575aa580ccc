"""Trained source models: the cells that they have seen, and the images that they do not hold."""

import warnings

from cellda.datasets.base import CellDataset
from cellda.recipe import Recipe
from cellda.source_models.spec import SourceModel


def known_to_model(recipe: Recipe, aim: CellDataset) -> tuple[str, ...] | None:
    """The sources of a recipe's trained model that share cells with the target; None if its sources are not known."""
    if recipe.source_model is None:
        return ()
    card = recipe.source_model.card
    return None if card is None else card.sharing(aim)


def warn_of_known_cells(recipe: Recipe, aim: CellDataset) -> None:
    """Warn if a recipe's trained model has seen cells of the target, or if that is not known."""
    known = known_to_model(recipe, aim)
    if recipe.source_model is None or known == ():
        return
    what = (
        "has no card, so it is not known whether it was trained on cells of"
        if known is None
        else f"was trained on cells ({', '.join(known)}) of"
    )
    warnings.warn(
        f"The source model '{recipe.source_model.name}' {what} the target '{aim.full_name}'; a result on cells that it has "
        "seen is optimistic.",
        stacklevel=2,
    )


def without_images(model: SourceModel) -> str:
    """What a trained model lacks for a method that takes source images, as the end of a message."""
    card = model.card
    trained = (
        "" if card is None else f" (it was trained on {', '.join(source.name for source in card.sources)})"
    )
    return (
        f"labelled source images, which the source model '{model.name}' does not hold{trained}: name datasets as sources "
        "instead of source_model, or choose another adapter, selector or normalizer."
    )
