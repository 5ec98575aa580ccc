"""Sources without a dataset, to measure what a model does on images it has not seen."""

from cellda import Recipe
from cellda.datasets.card import card as data_card


def without(recipe: Recipe, name: str) -> Recipe | None:
    """A recipe without a source and all that show its cells; None if no source is left."""
    own = data_card(name.partition("/")[0])
    kept = [
        source
        for source in recipe.sources
        if source.name != name and not own.shares_cells_with(source.loader)
    ]
    return recipe.with_(sources=kept) if kept else None
