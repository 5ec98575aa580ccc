"""Which colour space to use for normalization: l-alpha-beta or CIELAB (`benchmarks/results/colour_space/`).

    python -m benchmarks.studies.colour_space --data ~/wbc

The proposed workflow with three normalizers of source and target: l-alpha-beta with the paper's reference (the default),
l-alpha-beta and CIELAB each fitted on the source. Otherwise as in `first_light.py`, with its source training; every
normalizer has its own source model.
"""

from benchmarks.common.study import StudyScript, main
from benchmarks.studies.first_light import BASE, TARGETS

PUBLISHED = BASE.with_preset("published_training")
NORMALIZERS = {
    "lalphabeta_paper": {"name": "reinhard"},
    "lalphabeta_source": {"name": "reinhard", "reference": "source"},
    "lab_source": {"name": "reinhard", "space": "lab", "reference": "source"},
}

STUDY = StudyScript(
    "colour_space",
    {name: PUBLISHED.with_(normalizer=spec) for name, spec in NORMALIZERS.items()},
    TARGETS,
    main="lalphabeta_paper",
)

if __name__ == "__main__":
    main(STUDY, __doc__)
