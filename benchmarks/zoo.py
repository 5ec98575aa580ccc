"""The method zoo: every adapter at its declared values, with and without labels (`benchmarks/results/zoo/`).

    python benchmarks/zoo.py --data ~/wbc

Source Barcelona; targets Jiangxi Tecom (25 labelled cells), Jin Woo Choi (20), Raabin (100), BCCD (100); preset `laptop`;
protocol `clean`; five draws, one source seed; at most 3,000 images through the backbone an adaptation. `our_workflow` is the
adapter `full`. Between two bounds, which are not ranked: `none`, the source model as it is, and `target_only`, every label of
the support side without a source. `best` is, on each target, the condition that was best on the other three,
`best_without_labels` the same among those that used no label. In parts, over several sittings:

    python benchmarks/zoo.py --data ~/wbc --conditions our_workflow none head_only --draws 0 1 --only-run

A last call without options finds all runs in the store and writes the results.
"""

from first_light import BASE, TARGETS
from study import Study, main

from cellda.leaderboard import CAP, OURS, conditions

STUDY = Study(
    "zoo",
    conditions(BASE),
    TARGETS,
    main=OURS,
    draws=(0, 1, 2, 3, 4),
    tables=("leaderboard", "leaderboard_without_labels", "conditions", "comparison_balanced"),
    figures=("critical_difference",),
    cap=CAP,
    best=True,
)

if __name__ == "__main__":
    main(STUDY)
