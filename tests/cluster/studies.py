"""A study of twelve small runs."""

from pathlib import Path

from cellda import Study
from tiny import quiet, recipe


def study(store: Path, **edits) -> Study:
    """Three conditions, two targets, two draws, one source model."""
    base = recipe(**edits)
    recipes = {"full": base, "head": base.with_(adapter="head_only"), "none": base.with_(adapter="none")}
    return Study(recipes, ["synthetic/1", "synthetic/2"], draws=range(2), workspace=quiet(store))
