"""The method zoo: every adapter at its declared values, with and without labels (`benchmarks/results/zoo/`).

    python -m benchmarks.studies.zoo --data ~/wbc

Source Barcelona; targets Jiangxi Tecom (21 labelled cells), Jin Woo Choi (20), Raabin (100), BCCD (100); preset `laptop` at 96
px; protocol `clean`; five draws, one source seed; at most 3,000 images through the backbone per adaptation. `our_workflow` is
the adapter `full`; chained adapters are joined by `+`. `@cell` is framing `cell` and a source model trained with stain jitter.

Two bounds are shown but not ranked: `none`, the source model without adaptation, and `target_only`, which has every label of
the support side and no source. `best` is, on each target, the condition that was best on the other three, and
`best_without_labels` the same among those that used no labels. `zoo_search.py` shows what a search adds.
To run it in parts, over several sessions:

    python -m benchmarks.studies.zoo --data ~/wbc --conditions our_workflow none head_only --draws 0 1 --only-run

A final call without options finds all runs in the store and writes the results.
"""

from benchmarks.common.study import StudyScript, main
from benchmarks.studies.first_light import BASE, TARGETS
from cellda import Recipe
from cellda.experiment.leaderboard import BOUNDS, conditions
from cellda.presets import CAP, FRAMED, OURS

SMALL = BASE.with_(backbone={"image_size": 96})
CELL = SMALL.with_(**FRAMED)

ON_EMBEDDINGS = ("tta", "t3a", "lame", "lame+tta", "ncm", "label_propagation")
ON_CELLS = (
    *ON_EMBEDDINGS,
    "second_view",
    "full",
    "full+tta",
    "full+second_view+tta",
    "full+label_propagation+tta",
    "l2_sp+tta",
)
"""Adapters that are also run on framed cells, alone or chained, in addition to the source model."""


def competing(base: Recipe, names: tuple[str, ...]) -> dict[str, Recipe]:
    """Adapters by condition, without the bounds."""
    return {name: recipe for name, recipe in conditions(base, names).items() if name not in BOUNDS}


RECIPES = (
    conditions(SMALL)
    | {f"{name}@cell": recipe for name, recipe in competing(CELL, ON_CELLS).items()}
    | {"none@cell": CELL.with_(adapter="none")}
)

STUDY = StudyScript(
    "zoo",
    RECIPES,
    TARGETS,
    main=OURS,
    draws=(0, 1, 2, 3, 4),
    tables=("leaderboard", "leaderboard_without_labels", "conditions", "comparison_balanced"),
    figures=("critical_difference",),
    cap=CAP,
    best=True,
)

if __name__ == "__main__":
    main(STUDY, __doc__)
