"""Source training: as in the paper, and with cellda's defaults (`benchmarks/results/defaults/`).

    python -m benchmarks.studies.defaults --data ~/wbc

`our_workflow` on a source model trained as described in the paper (preset `published_training`: Adam at a constant 1e-4,
moving BatchNorm statistics), and on one trained with AdamW, a one-cycle rate up to 3e-4 and frozen statistics, the default.
Otherwise as in `first_light.py`. The default was chosen by leave-one-target-out: for each target, the option that is best on
the other three (benchmarks/DECISIONS.md).
"""

from benchmarks.common.study import StudyScript, main
from benchmarks.studies.first_light import BASE, TARGETS

STUDY = StudyScript(
    "defaults",
    {"default_training": BASE, "published_training": BASE.with_preset("published_training")},
    TARGETS,
    main="default_training",
    draws=(0, 3),
)

if __name__ == "__main__":
    main(STUDY, __doc__)
