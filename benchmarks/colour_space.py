"""Which colour space to normalise in: l-alpha-beta or CIELAB (`benchmarks/results/colour_space/`).

    python benchmarks/colour_space.py --data ~/wbc

The proposed workflow with three normalizers of source and target: l-alpha-beta with the paper's reference (the default),
l-alpha-beta and CIELAB each fitted on the source. Otherwise as in
`first_light.py`; every normalizer has a source model of its own.
"""

from first_light import TARGETS
from study import Study, main

from cellda import Recipe
from cellda.ablation import Ablation

NORMALIZERS = {
    "lalphabeta_paper": {"name": "reinhard"},
    "lalphabeta_source": {"name": "reinhard", "reference": "source"},
    "lab_source": {"name": "reinhard", "space": "lab", "reference": "source"},
}


def ablation(draws: list[int]) -> Ablation:
    """The same workflow behind different normalizers."""
    base = Recipe.preset("laptop").with_(sources=["barcelona"])
    recipes = {name: base.with_(normalizer=spec) for name, spec in NORMALIZERS.items()}
    return Ablation(recipes, TARGETS, draws)


if __name__ == "__main__":
    main(Study("colour_space", ablation, tuple(NORMALIZERS), baseline="lalphabeta_paper"))
