"""How many labelled cells are enough: Figs. D.1 to D.3 of the paper (`benchmarks/results/sample_size/`).

    python -m benchmarks.studies.sample_size --data ~/wbc

The proposed workflow with 30, 45, 60, 75, 90 and 100 labelled cells of the two large targets, Raabin and BCCD; ten draws;
source Barcelona, preset `laptop`, protocol `clean`.
"""

from benchmarks.common.study import StudyScript, main
from benchmarks.studies.first_light import BASE
from cellda.evaluation.sample_size import sized_name

SIZES = (30, 45, 60, 75, 90, 100)
WORKFLOW = BASE.with_preset("our_workflow")

STUDY = StudyScript(
    "sample_size",
    {sized_name("our_workflow", n): WORKFLOW.with_(few_shot={"n": n}) for n in SIZES},
    ("raabin", "bccd"),
    main="our_workflow",
    draws=tuple(range(10)),
    tables=("sample_size", "sample_size_per_class"),
    figures=("accuracy_by_size", "precision_by_size", "recall_by_size"),
)

if __name__ == "__main__":
    main(STUDY, __doc__)
