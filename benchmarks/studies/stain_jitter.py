"""Whether stain jitter in fine-tuning helps, decided on synthetic cells (`benchmarks/results/stain_jitter/`).

    python -m benchmarks.studies.stain_jitter

`our_workflow` with `stain_jitter` 0, 0.5, 1 and 2; source `synthetic/0`, 24 labelled cells of four other synthetic
laboratories, two draws, preset `laptop` at 96 px. It uses no real image and no query label of a real target.
"""

from benchmarks.common.study import StudyScript, main
from cellda import Recipe

BASE = Recipe.preset("laptop").with_(
    sources=["synthetic/0"], backbone={"image_size": 96}, training={"epochs": 8}, few_shot={"n": 24}
)
STRENGTHS = (0.0, 0.5, 1.0, 2.0)

STUDY = StudyScript(
    "stain_jitter",
    {f"jitter_{strength:g}": BASE.with_(adapter={"stain_jitter": strength}) for strength in STRENGTHS},
    ("synthetic/1", "synthetic/3", "synthetic/6", "synthetic/9"),
    main="jitter_0",
    draws=(0, 1),
)

if __name__ == "__main__":
    main(STUDY, __doc__)
