"""A source model on its own."""

from pathlib import Path

from benchmarks.common.datasets import SYNTHETIC
from cellda import Recipe
from cellda.data.root import DataRoot
from cellda.experiment.run import Run
from cellda.runtime.store import Store


def source_run(recipe: Recipe, data: Path | DataRoot | None, store: Store) -> Run:
    """The run of a source model alone; it does not depend on the target, so a synthetic one stands in."""
    used = [source.name for source in recipe.sources]
    stand_in = next(name for name in SYNTHETIC if name not in used)
    return Run.prepare(recipe.with_(adapter="none"), stand_in, data, store)
