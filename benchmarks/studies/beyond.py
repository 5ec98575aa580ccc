"""Whether the best of the zoo also wins on a held-out target (`benchmarks/results/beyond/`).

    python -m benchmarks.studies.beyond --data ~/wbc

The reverse direction: source Raabin, 100 labelled cells of Barcelona. Raabin has no erythroblasts, so one of the six
classes is learned from the support alone. Three draws; otherwise as in `zoo.py`. `sharpness.py` explains why framed cells
fail there without labels.
"""

from benchmarks.common.study import StudyScript, main
from benchmarks.studies.zoo import RECIPES
from cellda.presets import CAP

CHOSEN = ("none", "our_workflow", "none@cell", "our_workflow@cell", "full+label_propagation+tta@cell")

STUDY = StudyScript(
    "beyond",
    {name: RECIPES[name].with_(sources=["raabin"]) for name in CHOSEN},
    ("barcelona",),
    main="our_workflow",
    draws=(0, 1, 2),
    tables=("summary", "conditions", "comparison_balanced"),
    cap=CAP,
)

if __name__ == "__main__":
    main(STUDY, __doc__)
