"""From Raabin and rendered cells to Barcelona, with labels: what a second view adds (`benchmarks/results/beyond_labelled/`).

    python -m benchmarks.studies.beyond_labelled --data ~/wbc

The sources of `beyond_rendered.py` and 100 labelled cells of Barcelona, on which nothing of the adapter `second_view` was
chosen.
"""

from dataclasses import replace

from benchmarks.common.study import main
from benchmarks.studies.beyond_rendered import SOURCE
from benchmarks.studies.beyond_rendered import STUDY as WITHOUT_LABELS

STUDY = replace(
    WITHOUT_LABELS,
    name="beyond_labelled",
    recipes={
        "full+tta@cell": SOURCE.with_(adapter=["full", "tta"]),
        "full+second_view+tta@cell": SOURCE.with_(adapter=["full", "second_view", "tta"]),
    },
    main="full+tta@cell",
    tables=("summary", "conditions", "comparison_balanced"),
)

if __name__ == "__main__":
    main(STUDY, __doc__)
