"""What racing in a search costs and saves, on synthetic cells (`benchmarks/results/race/`).

    python -m benchmarks.questions.race [--targets synthetic/1 synthetic/2] [--draws 0 1] [--adapters head_only full]

The search stops a trial after a fold unless it keeps up with the best finished one. Here every trial is scored on all folds,
and also adapted and evaluated on the query half; then three rules are replayed on the same trials: no trial is stopped, trials
below the median of the finished ones are stopped (Optuna's `MedianPruner` after two trials), and the race. For each: how many
trainings it needs, and how accurate the chosen values are. Source `synthetic/0`; 48 px; `head_only` with its defaults (half a
minute per search), `full` with its declared epochs and no `min_steps` (a quarter of an hour per search on one CPU core). After
an interruption it resumes.
"""

import itertools
import json
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from rich.console import Console

from benchmarks.common.options import command, command_line, with_store
from benchmarks.common.results import RESULTS
from cellda import Recipe, adapters
from cellda.adapters.base import AdaptContext, Adapter, TargetView
from cellda.adapters.full import Full
from cellda.experiment.run import Run
from cellda.experiment.stages import source_model
from cellda.experiment.workspace import Workspace
from cellda.models.classifier import CellClassifier
from cellda.runtime.storage.pieces import Pieces
from cellda.runtime.storage.store import Store
from cellda.selection.judge import Judge
from cellda.selection.search import search
from cellda.selection.selectors import register
from cellda.selection.selectors.base import Evidence
from cellda.selection.selectors.support_cv import SupportCV
from cellda.selection.settings import Search
from cellda.training.loop import Trainer

FOLDER = RESULTS / "race"
TARGETS = [f"synthetic/{number}" for number in range(1, 10)]
TRIALS, FOLDS = 8, 3


class Brief(Full):
    """`full` with exactly its declared epochs, so that a search ends in minutes."""

    name = "brief"

    min_steps: int = 0


@register("whole")
class Whole(SupportCV):
    """Cross-validation in a single round, so that no trial is stopped between folds; their scores are kept in a file."""

    file: ClassVar[Path]

    def rounds(self, evidence: Evidence) -> int:
        """All folds are one round."""
        del evidence
        return 1

    def scores(self, candidate: Adapter, evidence: Evidence) -> Iterator[float]:
        """The mean over all folds."""
        found = np.array(list(super().scores(candidate, evidence)))
        means = np.cumsum(found) / np.arange(1, len(found) + 1)
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps([candidate.searched(), means.tolist()]) + "\n")
        yield float(means[-1])


ADAPTERS: dict[str, Adapter] = {"head_only": adapters.create("head_only"), "full": Brief()}


def study(target: str, draw: int, name: str, store: Store, trainer: Trainer) -> pd.DataFrame:
    """Every trial of one search: its mean score after each fold, and its accuracy on the query half."""
    folder = store.root / "race" / f"{target.replace('/', '-')}-{draw}-{name}"
    measured = folder / "trials.csv"
    if measured.exists():
        return pd.read_csv(measured)
    recipe = Recipe.preset("laptop").with_(
        sources=["synthetic/0"],
        backbone={"image_size": 48},
        few_shot={"n": 48, "draw": draw},
        training={"epochs": 10, "lr": 5e-4, "one_cycle": True, "bn": "frozen"},
    )
    adapter = ADAPTERS[name]
    case = Run.prepare(recipe, target, Workspace(store=store))
    model = CellClassifier.load(source_model(case, trainer))
    view, query = TargetView(case.support(model.normalizer)), case.query(model.normalizer)
    truth = case.target.labels[list(case.draw.query)]
    context = AdaptContext(trainer, case.seed)
    folder.mkdir(parents=True, exist_ok=True)
    asked = Search(trials=TRIALS, folds=FOLDS, selector="whole", batch=1)
    Whole.file = folder / "folds.jsonl"
    found = search(Judge(adapter, lambda: deepcopy(model), view, context, asked), Pieces(folder))
    lines = [json.loads(line) for line in Whole.file.read_text(encoding="utf-8").splitlines()]
    rows = []
    for trial in found.trials:
        adapted = adapter.tuned(trial["values"]).adapt(deepcopy(model), view, context)
        right = trainer.probabilities(adapted, query).argmax(1) == truth
        means = next(means for values, means in lines if values == trial["values"])
        scores = {f"score_{fold + 1}": value for fold, value in enumerate(means)}
        rows.append({"trial": trial["number"], **scores, "query_accuracy": float(right.float().mean())})
    table = pd.DataFrame(rows).assign(target=target, draw=draw, adapter=name)
    table.to_csv(measured, index=False)
    return table


def replay(trials: pd.DataFrame, rule: str) -> dict[str, Any]:
    """The outcome of one search under a rule."""
    scores = trials[[f"score_{fold + 1}" for fold in range(FOLDS)]].to_numpy()
    finished: list[int] = []
    trainings = 0
    for trial, means in enumerate(scores):
        for fold in range(FOLDS):
            trainings += 1
            before = scores[finished, fold]
            last = fold + 1 == FOLDS
            if rule == "race" and not last and len(before) and means[fold] < before.max():
                break
            if (
                rule == "median"
                and not last
                and len(before) >= 2
                and means[: fold + 1].max() < np.median(before)
            ):
                break
        else:
            finished.append(trial)
    chosen = max(finished, key=lambda trial: scores[trial, -1])
    query = trials["query_accuracy"].to_numpy()
    return {
        "rule": rule,
        "trainings": trainings,
        "chosen": chosen,
        "accuracy": query[chosen],
        "own_values": query[0],
        "best_of_trials": query.max(),
    }


def main(given: Sequence[str] | None = None) -> None:
    """Run all searches, replay the rules, write both tables."""
    parser = with_store(command_line(__doc__))
    parser.add_argument("--targets", nargs="+", default=TARGETS)
    parser.add_argument("--draws", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--adapters", nargs="+", choices=ADAPTERS, default=list(ADAPTERS))
    parser.add_argument("--only-run", action="store_true", help="write no results")
    chosen = parser.parse_args(given)
    store, trainer = Store(chosen.store), Trainer("cpu")
    studies = [
        study(target, draw, name, store, trainer)
        for name, draw, target in itertools.product(chosen.adapters, chosen.draws, chosen.targets)
    ]
    if chosen.only_run:
        return
    replayed = [
        {**one[["target", "draw", "adapter"]].iloc[0], **replay(one, rule)}
        for one in studies
        for rule in ("none", "median", "race")
    ]
    FOLDER.mkdir(parents=True, exist_ok=True)
    pd.concat(studies).to_csv(FOLDER / "trials.csv", index=False, float_format="%.4f")
    table = pd.DataFrame(replayed)
    table.to_csv(FOLDER / "rules.csv", index=False, float_format="%.4f")
    columns = ["trainings", "accuracy", "own_values", "best_of_trials"]
    Console().print(table.groupby(["adapter", "rule"])[columns].mean().round(3).to_string())


if __name__ == "__main__":
    command(main)
