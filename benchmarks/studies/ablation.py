"""The paper's ablation and everything computed from its runs: Tables 4, 5 and C.1; Figs. 6, 7 and B.1.

    python -m benchmarks.studies.ablation --data ~/wbc

Six conditions, four targets, five draws, two source seeds, protocols `clean` and `paper`; source Barcelona, preset `laptop`:
480 runs. To run it in parts, over several sessions:

    python -m benchmarks.studies.ablation --data ~/wbc --protocol clean --seeds 0 --draws 0 1 2 --only-run

A final call without options finds all runs in the store and writes `benchmarks/results/ablation/`.

With all datasets, both of the paper's sources and its backbone (for a GPU):

    python -m benchmarks.studies.ablation --data ~/wbc --targets all --sources barcelona munich_2019 \
        --backbone paper --results mine
"""

from benchmarks.common.study import StudyScript, main
from benchmarks.studies.first_light import RECIPES, TARGETS

STUDY = StudyScript(
    "ablation",
    RECIPES,
    TARGETS,
    main="our_workflow",
    draws=(0, 1, 2, 3, 4),
    seeds=(0, 1),
    protocols=("clean", "paper"),
    tables=(
        "summary",
        "conditions",
        "paper_means",
        "paper_targets",
        "comparison",
        "comparison_per_image",
        "per_class",
    ),
    figures=("bars", "accuracy", "pr", "pr_per_class"),
)

if __name__ == "__main__":
    main(STUDY, __doc__)
