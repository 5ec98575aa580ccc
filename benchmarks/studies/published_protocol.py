"""How the published protocol affects accuracy: BatchNorm and padding (`benchmarks/results/published_protocol/`).

    python -m benchmarks.studies.published_protocol --data ~/wbc

`our_workflow` and `no_fine_tune` against: BatchNorm statistics that move during fine-tuning, as in the authors' example
(`bn_train`); black padding left in the colour statistics (`unmasked`). The swapped labels of Jiangxi Tecom have their own
study (`swapped_labels.py`), because its cells must not count twice in a mean or a test. The effect of BCCD's copies of one
photograph is measured in `ablation.py`: protocol `paper` against `clean`. Otherwise as in `first_light.py`.
"""

from benchmarks.common.study import StudyScript, main
from benchmarks.studies.first_light import RECIPES, TARGETS

OURS = RECIPES["our_workflow"]

STUDY = StudyScript(
    "published_protocol",
    {
        "our_workflow": OURS,
        "no_fine_tune": RECIPES["no_fine_tune"],
        "bn_train": OURS.with_(adapter={"bn": "train"}),
        "unmasked": OURS.with_(target_normalizer={"name": "reinhard", "mask": None}),
    },
    TARGETS,
    main="our_workflow",
)

if __name__ == "__main__":
    main(STUDY, __doc__)
