"""What tuning on 20 to 100 labels is worth: the paper's Optuna step on and off (`benchmarks/results/search/`).

    python benchmarks/tuning.py --data ~/wbc

`our_workflow` and `head_only` with declared values, and with a search of 8 trials by 3-fold cross-validation inside the
support set. Otherwise as in `first_light.py`. `trials.csv` holds every trial of every search with its seconds; those that the
race gave up have the score they had then.
"""

import json
from pathlib import Path

import pandas as pd
from first_light import TARGETS
from study import RESULTS, Study, main

from cellda import Recipe
from cellda.ablation import Ablation
from cellda.results import RunResult
from cellda.store import Store

TRIALS = 8
CONDITIONS = ("our_workflow", "our_workflow+search", "head_only", "head_only+search")


def ablation(draws: list[int]) -> Ablation:
    """Two methods, each as declared and tuned."""
    base = Recipe.preset("laptop").with_(sources=["barcelona"])
    recipes = {}
    for name in ("our_workflow", "head_only"):
        recipes[name] = base.with_preset(name)
        recipes[f"{name}+search"] = recipes[name].with_(search={"trials": TRIALS})
    return Ablation(recipes, TARGETS, draws)


def trials(study: Ablation, data: Path, store: Path | None) -> pd.DataFrame:
    """One row a trial of all searches that the finished runs of a study made, and which of them was chosen."""
    rows = []
    for condition, case in study.cases(data, Store(store)):
        finished = case.finished()
        record = RunResult(finished).record if finished else {"trials": []}
        best = max(
            (trial["score"] or 0 for trial in record["trials"] if trial["state"] == "complete"), default=0
        )
        rows += [
            {
                "condition": condition,
                "target": record["target"],
                "draw": record["draw"],
                "trial": trial["number"],
                "state": trial["state"],
                "score": trial["score"],
                "chosen": trial["state"] == "complete" and trial["score"] == best,
                "seconds": trial["seconds"],
                "values": json.dumps(trial["values"]),
            }
            for trial in record["trials"]
        ]
    return pd.DataFrame(rows)


if __name__ == "__main__":
    given = main(Study("search", ablation, CONDITIONS, baseline="our_workflow"))
    if not given.only_run:
        table = trials(ablation(given.draws), given.data, given.store)
        table.to_csv(RESULTS / "search" / "trials.csv", index=False, float_format="%.4f")
