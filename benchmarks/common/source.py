"""A source model on its own."""

from benchmarks.common.datasets import SYNTHETIC
from cellda import Recipe
from cellda.experiment.run import Run
from cellda.experiment.workspace import Workspace


def source_run(recipe: Recipe, workspace: Workspace) -> Run:
    """The run of a source model alone; it does not depend on the target, so a synthetic one stands in."""
    used = [source.name for source in recipe.sources]
    stand_in = next(name for name in SYNTHETIC if name not in used)
    return Run.prepare(recipe.with_(adapter="none"), stand_in, workspace)
