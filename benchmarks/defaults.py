"""How the source model is trained: the paper's way, and cellda's (`benchmarks/results/defaults/`).

    python benchmarks/defaults.py --data ~/wbc

`our_workflow` on source models trained as the paper says (`published_training`), with the statistics of BatchNorm frozen, and
with a one-cycle schedule and weight decay as well (the default). Otherwise as in `first_light.py`. Chosen by
leave-one-target-out: for each target the one that is best on the other three (benchmarks/DECISIONS.md).
"""

from first_light import BASE, TARGETS
from study import Study, main

PUBLISHED = BASE.with_preset("published_training")

STUDY = Study(
    "defaults",
    {
        "default_training": BASE,
        "published_training": PUBLISHED,
        "published_training+frozen": PUBLISHED.with_(training={"bn": "frozen"}),
    },
    TARGETS,
    main="default_training",
    draws=(0, 3),
)

if __name__ == "__main__":
    main(STUDY)
