"""A target in two halves: cells among which suggesters choose, and cells that are measured; embedded by its source model."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.common.left_out import without
from cellda import Recipe
from cellda.data.few_shot import Draw
from cellda.evaluation.rates import averaged_classes, rates
from cellda.experiment.run import Run
from cellda.experiment.stages import source_model
from cellda.experiment.workspace import Workspace
from cellda.models.classifier import CellClassifier
from cellda.suggestion.current import known_cells, regressed
from cellda.suggestion.suggesters.base import Cells, Rows, Suggester
from cellda.training.loop import Trainer

NATURAL: Mapping[str, float] = {
    "neutrophil": 1.0,
    "lymphocyte": 0.5,
    "monocyte": 0.1,
    "eosinophil": 0.05,
    "basophil": 0.02,
}
"""Cells of each class to a neutrophil, as in the blood of healthy people."""


@dataclass(frozen=True, eq=False)
class Part:
    """Some cells of a target: `(N, D)` embeddings, `(N, K)` probabilities of the source model, `(N,)` labels and rows."""

    rows: Rows
    embeddings: "np.ndarray"
    source: "np.ndarray"
    labels: Rows

    def at(self, places: Rows) -> "Part":
        """The cells at some places."""
        return Part(self.rows[places], self.embeddings[places], self.source[places], self.labels[places])

    def cells(self, known: Rows) -> Cells:
        """What a suggester may know once the cells at some places are labelled: no other label."""
        return known_cells(self.embeddings, self.source, known, self.labels[known])


@dataclass(frozen=True, eq=False)
class Halves:
    """The support and the query side of one draw of a target, as `draw_support(kind="all")` divides it."""

    run: Run
    support: Part
    query: Part

    @property
    def key(self) -> dict[str, object]:
        """Target and draw."""
        return {"target": self.run.target.full_name, "draw": self.run.draw.draw}

    def natural(self) -> "Halves":
        """The same with classes as frequent among the candidates as in blood; there are no fewer neutrophils."""
        names = np.array(self.run.taxonomy.classes)[self.support.labels]
        rng = np.random.default_rng(self.run.draw.draw)
        kept = []
        for name, share in NATURAL.items():
            places = rng.permutation(np.flatnonzero(names == name))
            kept.append(places[: max(1, round(share * int((names == "neutrophil").sum())))])
        return replace(self, support=self.support.at(np.sort(np.concatenate(kept))))

    def chosen(self, suggester: Suggester, steps: Iterable[int], seed: int) -> Rows:
        """Places in the support half in the order in which they are labelled; the suggester sees labels after every step."""
        known = np.array([], dtype=np.int64)
        for total in steps:
            cells = self.support.cells(known)
            known = np.concatenate([known, suggester.suggest(cells, total - len(known), seed)])
        return known

    def measured(self, places: Rows) -> dict[str, float]:
        """What these labels give: a logistic regression on them measured on the query, and the classes that they hold."""
        labels, classes = self.support.labels[places], self.support.source.shape[1]
        said = regressed(self.query.embeddings, self.support.embeddings[places], labels, classes)
        confusion = np.zeros((classes, classes), dtype=np.int64)
        np.add.at(confusion, (self.query.labels, said.argmax(1)), 1)
        found = rates(confusion, averaged_classes(confusion))
        there, first = np.unique(self.support.labels), np.unique(labels, return_index=True)
        return {
            "accuracy": float(found.accuracy),
            "balanced_accuracy": float(found.balanced_accuracy),
            "classes": len(there),
            "classes_seen": len(first[0]),
            "every_class_at": int(first[1].max()) + 1 if len(first[0]) == len(there) else np.nan,
        }

    def supported(self, places: Rows, adapter: Any) -> Run:
        """The run that adapts with these cells as its support, and predicts the query half."""
        rows = tuple(sorted(self.support.rows[places].tolist()))
        recipe = self.run.recipe.with_(adapter=adapter)
        held = set(self.run.target.table["label"].iloc[list(rows)])
        draw: Draw = replace(
            self.run.draw,
            n=len(rows),
            kind="random",
            support=rows,
            unsupported=tuple(name for name in self.run.target.class_counts() if name not in held),
        )
        return replace(self.run, recipe=recipe, draw=draw)


def halves_of(recipe: Recipe, target: str, draws: Iterable[int], workspace: Workspace) -> Iterator[Halves]:
    """The halves of a target in some draws, by the source model of a recipe that is trained without it."""
    left = without(recipe, target)
    if left is None:
        return
    runs = [
        Run.prepare(left.with_(adapter="logistic", few_shot={"kind": "all", "draw": draw}), target, workspace)
        for draw in draws
    ]
    trainer = Trainer(recipe.device)
    with workspace.display():
        model = CellClassifier.load(source_model(runs[0], trainer)).in_classes(runs[0].taxonomy, runs[0].seed)
        model = model.to(trainer.device)
        whole = _embedded(runs[0], model, trainer)
    for run in runs:
        support, query = (np.array(rows) for rows in (run.draw.support, run.draw.query))
        yield Halves(run, whole.at(support), whole.at(query))


def _embedded(run: Run, model: CellClassifier, trainer: Trainer) -> Part:
    """All cells of the target of a run."""
    labels = run.target.labels.numpy()
    images = replace(run.query(model.normalizer), rows=torch.arange(len(labels)))
    embeddings, source = trainer.embeddings(model, images), trainer.probabilities(model, images)
    return Part(np.arange(len(labels)), embeddings.numpy(), source.numpy(), labels)


def as_scores(table: pd.DataFrame) -> pd.DataFrame:
    """Measured labels as `cellda.evaluation.compare` takes them: repetitions of random draws are averaged first."""
    key = ["condition", "target", "draw"]
    means = table.groupby(key, sort=False)[["accuracy", "balanced_accuracy"]].mean().reset_index()
    return means.assign(seed=0, protocol="clean")
