"""Whether tuning on 20 to 100 labels helps: the paper's Optuna step on and off (`benchmarks/results/search/`).

    python -m benchmarks.studies.tuning --data ~/wbc

`our_workflow` and `head_only` with declared values, and with a search of 8 trials by 3-fold cross-validation inside the
support set; each method is compared with itself. Otherwise as in `first_light.py`. `trials.csv` holds every trial of every
search with values and seconds; those that the race stopped early have the score they had then.
"""

from benchmarks.common.study import StudyScript, main
from benchmarks.studies.first_light import RECIPES, TARGETS

TRIALS = 8
CHOSEN = {name: RECIPES[name] for name in ("our_workflow", "head_only")}
SEARCHED = {f"{name}+search": recipe.with_(search={"trials": TRIALS}) for name, recipe in CHOSEN.items()}

STUDY = StudyScript(
    "search",
    {**CHOSEN, **SEARCHED},
    TARGETS,
    main="our_workflow",
    tables=("summary", "conditions"),
    families=tuple(zip(CHOSEN, SEARCHED, strict=True)),
)

if __name__ == "__main__":
    main(STUDY, __doc__)
