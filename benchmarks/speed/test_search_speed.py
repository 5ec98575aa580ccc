"""One search against as many adaptations of their own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cells
from contest import Peer, contest

import cellda.adapters
from cellda import CellClassifier
from cellda.adapters.base import AdaptContext, TargetView
from cellda.training.loop import Trainer
from cellda.training.search import search, support_folds
from cellda.training.settings import Search

SMALL = 48
"""Side in pixels: what is compared is how often is trained, which the size does not change."""


def test_search(benchmark: Any, data_root: Path, tmp_path: Path) -> None:
    """8 trials x 3 folds on 100 cells of Raabin at 48 px, against 24 adaptations with the same values on the same folds."""
    dataset = cells.some("raabin", data_root, 20, tmp_path / "raabin")
    model = cells.model()
    model.save(tmp_path / "model")
    support = cells.decoded(dataset, model, SMALL)
    adapter, trainer = cellda.adapters.create("full"), Trainer("cpu")
    context = AdaptContext(trainer, seed=0)
    folders = (tmp_path / f"search{number}" for number in range(100))
    tried: list[dict[str, Any]] = []

    def load() -> CellClassifier:
        return CellClassifier.load(tmp_path / "model")

    def ours() -> None:
        folder = next(folders)
        folder.mkdir()
        found = search(adapter, load, TargetView(support), context, Search(trials=8), folder)
        tried[:] = [trial["values"] for trial in found.trials]

    def adaptations() -> Iterator[CellClassifier]:
        folds = support_folds(support.labels.numpy(), support.groups, 3, context.seed)
        for values in tried:
            candidate = adapter.model_copy(update=values)
            for train, held in folds:
                adapted = candidate.adapt(load(), TargetView(support.subset(train)), context)
                trainer.probabilities(adapted, support.subset(held))
                yield adapted

    peers = {"24 adaptations": Peer(lambda: list(adaptations()), asked=2)}
    contest(benchmark, "search", ours, peers, images=len(support), rounds=2, warmup=1)
