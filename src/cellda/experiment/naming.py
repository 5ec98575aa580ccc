"""Names of conditions, and the facts about a run."""

from cellda.adapters.base import Start
from cellda.evaluation.condition import ALL_CLASSES, NO_SOURCE, Condition
from cellda.experiment.checks import search_of
from cellda.experiment.run import Run
from cellda.presets import CONDITIONS
from cellda.recipe import Recipe
from cellda.selection.selectors.base import Use

ORACLE = "+oracle"
"""Suffix of conditions whose values were chosen by query labels, so that every table shows it."""

PRESENT = "@present"
"""Part of the names of conditions that knew which classes can occur."""

BOUND_NAMES = frozenset({"none", "no_fine_tune", "target_only"})
"""Names of bounds: the unchanged source model (in the leaderboard and in the paper), and training on every label."""


def is_bound(recipe: Recipe) -> bool:
    """Whether a recipe is a bound: it does not adapt, or it trains without sources on every label of the support side."""
    return recipe.adapter.name == "none" or (
        recipe.adapter.start is Start.PRETRAINED and recipe.few_shot.kind == "all"
    )


def name_of(recipe: Recipe) -> str:
    """The paper's name for a recipe, or else the name of its adapter, followed by that of a target normalizer.

    `@` and the framing follow if cells are framed, and `@present` if it is known which classes can occur; which these are is a
    fact of the condition, and may differ between targets. If query labels choose the adapter's values, the name ends in
    `+oracle`.

    >>> name_of(Recipe.preset("best_without_labels"))
    'lame+tta@cell'
    """
    framed = "" if recipe.framing.name == "none" else f"@{recipe.framing.name}"
    search = search_of(recipe)
    known = "" if recipe.present is None else PRESENT
    return (
        _unframed(recipe) + framed + known + ORACLE * (search is not None and Use.QUERY_LABELS in search.uses)
    )


def _unframed(recipe: Recipe) -> str:
    target = None if recipe.target_normalizer is None else recipe.target_normalizer.name
    if recipe.normalizer.name != "identity":
        for name, edits in CONDITIONS.items():
            if (edits["adapter"], edits["target_normalizer"]) == (recipe.adapter.name, target):
                return name
        if target is None:
            return recipe.adapter.name
    return f"{recipe.adapter.name}+{recipe.used_target_normalizer.name}"


def condition_of(run: Run) -> Condition:
    """The condition of a run, named after its recipe."""
    recipe, name = run.recipe, name_of(run.recipe)
    return Condition(
        name=name,
        adapter=recipe.adapter.name,
        framing=recipe.framing.name,
        normalizer=recipe.used_target_normalizer.name,
        n=run.draw.n,
        labels_used=run.labels_used,
        oracle=run.oracle,
        bound=name in BOUND_NAMES,
        present=ALL_CLASSES if recipe.present is None else "+".join(recipe.present),
        source=_source(run) if recipe.adapter.start is Start.SOURCE else NO_SOURCE,
    )


def source_condition(run: Run) -> Condition:
    """The condition of the source model of a run, measured on the held-out cells of its sources."""
    recipe = run.recipe
    return Condition(
        name="source",
        adapter="none",
        framing=recipe.framing.name,
        normalizer=recipe.normalizer.name,
        n=0,
        labels_used=0,
        source=_source(run),
    )


def _source(run: Run) -> str:
    """The source model of a run: the datasets it is trained on, or the trained one."""
    model = run.recipe.source_model
    return "+".join(source.full_name for source in run.sources) if model is None else model.title
