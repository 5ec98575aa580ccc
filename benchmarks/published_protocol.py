"""What the published protocol is worth: labels, BatchNorm, padding (`benchmarks/results/published_protocol/`).

    python benchmarks/published_protocol.py --data ~/wbc

`our_workflow` and `no_fine_tune` against: BatchNorm statistics that move while fine-tuning, as in the authors' example
(`bn_train`); black padding left in the colour statistics (`unmasked`). Jiangxi Tecom with the labels as published and as in
the authors' lists (`jiangxi_tecom/authors`: lymphocytes and monocytes swapped). What BCCD's copies of one photograph
are worth is in `ablation.py`: protocol `paper` against `clean`. Otherwise as in `first_light.py`.
"""

from first_light import RECIPES, TARGETS
from study import Study, main

OURS = RECIPES["our_workflow"]

STUDY = Study(
    "published_protocol",
    {
        "our_workflow": OURS,
        "no_fine_tune": RECIPES["no_fine_tune"],
        "bn_train": OURS.with_(adapter={"bn": "train"}),
        "unmasked": OURS.with_(target_normalizer={"name": "reinhard", "mask": None}),
    },
    (*TARGETS, "jiangxi_tecom/authors"),
    main="our_workflow",
    protocols=("clean",),
)

if __name__ == "__main__":
    main(STUDY)
