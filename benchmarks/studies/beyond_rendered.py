"""From Raabin and rendered cells to Barcelona, without labels (`benchmarks/results/beyond_rendered/`).

    python -m benchmarks.studies.beyond_rendered --data ~/wbc

As `beyond.py` (source Raabin, whose smartphone photographs are blurred and hold no erythroblasts), with rendered cells of 800
drawn laboratories as a second source: half of every batch, each cell compared only among the classes that its source holds.
"""

from benchmarks.common.study import StudyScript, main
from benchmarks.questions.source_pools import RENDERED
from benchmarks.studies.zoo import CELL

SOURCE = CELL.with_(sources=["raabin", RENDERED], training={"epochs": 4, "compared": "own"})

STUDY = StudyScript(
    "beyond_rendered",
    {
        "none": SOURCE.with_(adapter="none"),
        "lame@cell": SOURCE.with_(adapter="lame"),
        "tta@cell": SOURCE.with_(adapter="tta"),
    },
    ("barcelona",),
    main="none",
    tables=("summary", "conditions"),
)

if __name__ == "__main__":
    main(STUDY, __doc__)
