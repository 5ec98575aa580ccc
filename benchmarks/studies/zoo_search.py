"""Whether searching for values helps in the zoo (`benchmarks/results/zoo_search/`).

    python -m benchmarks.studies.zoo_search --data ~/wbc

The three conditions that rank first in `zoo.py`, with declared values and with a search of 8 trials by 3-fold cross-validation
inside the support set (`+search`); each is compared with itself. `+oracle` has values chosen from 8 trials by the query labels
and is shown as an upper bound in its own column, for the better methods that run in seconds, with and without labels. One
draw, otherwise as in `zoo.py`. `trials.csv` holds every trial.
"""

from benchmarks.common.study import StudyScript, main
from benchmarks.studies.first_light import TARGETS
from benchmarks.studies.tuning import TRIALS
from benchmarks.studies.zoo import STUDY as ZOO
from cellda.experiment.naming import ORACLE

TOP = ("full+label_propagation+tta@cell", "full+tta@cell", "l2_sp+tta@cell")
BOUNDED = ("label_propagation@cell", "lame@cell")

CHOSEN = {name: ZOO.recipes[name] for name in (*TOP, *BOUNDED)}
SEARCHED = {f"{name}+search": CHOSEN[name].with_(search={"trials": TRIALS}) for name in TOP}
BY_QUERY = {
    name + ORACLE: CHOSEN[name].with_(search={"trials": TRIALS, "selector": "oracle"}) for name in BOUNDED
}

STUDY = StudyScript(
    "zoo_search",
    CHOSEN | SEARCHED | BY_QUERY,
    TARGETS,
    main=TOP[0],
    draws=(0,),
    tables=("leaderboard", "conditions"),
    families=tuple(zip(TOP, SEARCHED, strict=True)),
    oracle=True,
)

if __name__ == "__main__":
    main(STUDY, __doc__)
