"""How the swapped labels of Jiangxi Tecom affect accuracy (`benchmarks/results/swapped_labels/`).

    python -m benchmarks.studies.swapped_labels --data ~/wbc

`our_workflow` and `no_fine_tune` on Jiangxi Tecom with its labels as published, and as in the authors' lists
(`jiangxi_tecom/authors`: lymphocytes and monocytes swapped), which the paper's numbers are based on. Otherwise as in
`first_light.py`.
"""

from benchmarks.common.study import StudyScript, main
from benchmarks.studies.first_light import RECIPES

STUDY = StudyScript(
    "swapped_labels",
    {name: RECIPES[name] for name in ("no_fine_tune", "our_workflow")},
    ("jiangxi_tecom", "jiangxi_tecom/authors"),
    main="our_workflow",
    tables=("paper_targets",),
)

if __name__ == "__main__":
    main(STUDY, __doc__)
