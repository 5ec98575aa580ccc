"""What an 8-trial search is worth to the first three of the zoo (`benchmarks/results/zoo_search/`).

    python benchmarks/zoo_search.py --data ~/wbc

The three conditions that rank first in `zoo.py`, with declared values and with a search by 3-fold cross-validation inside
the support set; each is compared with itself. One draw, otherwise as in `zoo.py`. `trials.csv` holds every trial.
"""

from first_light import TARGETS
from study import Study, main
from tuning import TRIALS
from zoo import STUDY as ZOO

TOP = ("full+label_propagation+tta@cell", "full+tta@cell", "l2_sp+tta@cell")
CHOSEN = {name: ZOO.recipes[name] for name in TOP}
SEARCHED = {f"{name}+search": recipe.with_(search={"trials": TRIALS}) for name, recipe in CHOSEN.items()}

STUDY = Study(
    "zoo_search",
    {**CHOSEN, **SEARCHED},
    TARGETS,
    main=TOP[0],
    draws=(0,),
    tables=("summary", "conditions"),
    families=tuple(zip(CHOSEN, SEARCHED, strict=True)),
)

if __name__ == "__main__":
    main(STUDY, __doc__)
