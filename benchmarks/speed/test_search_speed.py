"""One search against the same number of separate adaptations."""

import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field

from benchmarks.speed import cells
from benchmarks.speed.contest import THREADS, record
from cellda import CellClassifier
from cellda.adapters.base import AdaptContext, TargetView
from cellda.adapters.full import Full
from cellda.plugins.settings import tunable
from cellda.runtime.storage.pieces import Pieces
from cellda.selection.folds import balanced_accuracy, support_folds
from cellda.selection.judge import Judge
from cellda.selection.search import search
from cellda.selection.settings import Search
from cellda.training.loop import Trainer

TRIALS, FOLDS = 8, 3


class Short(Full):
    """`full` with about a tenth of its epochs: the comparison is about the number of trainings, not their length."""

    epochs: int = tunable(4, low=2, high=8, ge=1)
    min_steps: int = Field(0, ge=0)


def test_search(benchmark: Any, data_root: Path, tmp_path: Path) -> None:
    """8 trials x 3 folds on 100 cells of Raabin against 24 adaptations with the same values on the same folds.

    Both sides run once, because they take minutes. The cost of the race is recorded as well: the mean score over all folds of
    the trial it chose, next to the best one.
    """
    dataset = cells.some("raabin", data_root, 20, tmp_path / "raabin")
    model = cells.model()
    model.save(tmp_path / "model")
    support = cells.decoded(dataset, model)
    adapter, trainer = Short(), Trainer("cpu")
    context = AdaptContext(trainer, seed=0)
    trials: list[dict[str, Any]] = []

    def load() -> CellClassifier:
        return CellClassifier.load(tmp_path / "model")

    def ours() -> None:
        asked = Search(trials=TRIALS)
        found = search(
            Judge(adapter, lambda: deepcopy(model), TargetView(support), context, asked), Pieces(tmp_path)
        )
        trials.extend(found.trials)

    torch.set_num_threads(THREADS)
    load()  # imports
    benchmark.pedantic(ours, rounds=1, iterations=1)
    mine = float(benchmark.stats.stats.data[0])
    folds = support_folds(support.labels.numpy(), support.groups, FOLDS, context.seed)
    theirs, scores = 0.0, []
    for trial in trials:
        candidate = adapter.model_copy(update=trial["values"])
        for train, held in folds:
            started = time.perf_counter()
            adapted = candidate.adapt(load(), TargetView(support.subset(train)), context)
            truth = support.subset(held)
            found = trainer.probabilities(adapted, truth).argmax(1)
            theirs += time.perf_counter() - started
            scores.append(balanced_accuracy(truth.labels.numpy(), found.numpy()))
    full = np.reshape(scores, (TRIALS, FOLDS)).mean(1)
    chosen = max(
        (trial for trial in trials if trial["state"] == "complete"), key=lambda trial: trial["score"]
    )
    record(
        "search",
        [
            {
                "what": "search",
                "peer": "24 adaptations",
                "ratio": theirs / mine,
                "asked": 2,
                "ours_seconds": mine,
                "peer_seconds": theirs,
                "images": 0,
                "rounds": 1,
                "score_of_chosen": full[chosen["number"]],
                "best_score": full.max(),
                "scores": " ".join(f"{score:.3f}" for score in full),
                "states": " ".join(trial["state"] for trial in trials),
            }
        ],
    )
