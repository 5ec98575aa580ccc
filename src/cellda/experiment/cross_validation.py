"""The labelled cells of a run, each predicted by a model that has not learned from it."""

from collections.abc import Sequence
from copy import deepcopy

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor
from torchvision.transforms.v2.functional import resize

from cellda.adapters.base import Adapter
from cellda.experiment.beginning import Beginning
from cellda.experiment.naming import condition_of
from cellda.experiment.run import Run
from cellda.experiment.scoring import prediction_table
from cellda.models.classifier import CellClassifier
from cellda.models.evidence import MOST, SIDE, Evidence
from cellda.runtime import progress
from cellda.runtime.work import Stage, Work
from cellda.selection.candidates import Candidates
from cellda.selection.folds import group_folds
from cellda.text import counted
from cellda.training.loop import Trainer

FOLDS = 5
FEWEST = 2
"""Cells that a fold must leave to learn from: BatchNorm cannot train on a single one."""


def cross_validated(
    run: Run, adapter: Adapter, begun: Beginning, after: CellClassifier
) -> pd.DataFrame | None:
    """Predictions of every labelled cell; None if there are too few to leave any out.

    The folds are stratified and keep groups together. Values that a search chose are those of all labelled cells, which makes
    the result a little optimistic. An adapter that uses no labels has not learned from them: the adapted model predicts them.

    Args:
        run: The run.
        adapter: With the values that are used.
        begun: What its adaptation began with.
        after: The adapted model.
    """
    if not run.draw.support:
        return None
    if not run.uses_labels:
        found = begun.context.trainer.probabilities(after, begun.target.support)
        return _table(run, range(len(run.draw.support)), found)
    folds = parts(run)
    if not folds:
        return None
    candidates = Candidates(adapter, lambda: deepcopy(begun.model), begun.target, begun.context)
    rows: list[int] = []
    predicted: list[Tensor] = []
    with progress.task(Work(Stage.CROSS_VALIDATE), len(folds)) as advance:
        for learned, held in folds:
            predicted.append(candidates.probabilities(adapter, learned, begun.target.support, held))
            rows += held
            advance(1)
    order = np.argsort(rows)
    return _table(run, [rows[place] for place in order], torch.cat(predicted)[torch.from_numpy(order)])


def parts(run: Run) -> list[tuple[list[int], list[int]]]:
    """Positions in the support that each fold learns from and holds out; every position is held out once.

    Empty if there are too few: fewer than two groups or cells of every class, or a fold would leave too little to learn from.
    """
    labels = run.target.labels[list(run.draw.support)].numpy()
    groups = np.asarray(run.support_groups)
    number = min(FOLDS, len(np.unique(groups)), int(np.bincount(labels).max(initial=0)))
    if number < 2:
        return []
    folds = [
        (learned.tolist(), held.tolist())
        for learned, held in group_folds(labels, groups, number, run.seed)
        if len(held)
    ]
    return folds if all(len(learned) >= FEWEST for learned, _ in folds) else []


def why_not(run: Run) -> str:
    """Why the labelled cells of a run cannot be cross-validated; empty if they can."""
    if run.draw.support and (not run.uses_labels or parts(run)):
        return ""
    cells = counted(len(run.draw.support), "labelled cell(s)")
    return (
        f"{cells} in {counted(len(set(run.support_groups)), 'group(s)')} are too few to leave any out, so nothing says how "
        "good the model is: label at least two cells of a class, of two groups"
    )


def evidence_of(
    run: Run, trainer: Trainer, model: CellClassifier, held: pd.DataFrame | None
) -> Evidence | None:
    """What is stored with an adapted model of its labelled cells; None if they were not predicted.

    Args:
        run: The run.
        trainer: On the device that is used.
        model: The adapted and calibrated model.
        held: What `cross_validated` returned, with probabilities before the calibration.
    """
    if held is None:
        return None
    support = run.support(model.normalizer)
    kept = torch.linspace(0, len(support) - 1, min(len(support), MOST)).round().long()
    some = support.subset(kept)
    looks = resize(some.raw(range(len(some))), [SIDE, SIDE], antialias=True)
    return Evidence(
        cells=held if model.calibration is None else model.calibration.of(held),
        kept=kept,
        embeddings=trainer.embeddings(model, some),
        looks=looks.contiguous(),
        folds=len(parts(run)) if run.uses_labels else 0,
        searched=run.search is not None and run.uses_labels,
    )


def _table(run: Run, positions: Sequence[int], probabilities: Float[Tensor, "n k"]) -> pd.DataFrame:
    recipe = run.recipe
    return prediction_table(
        run.target,
        [run.draw.support[position] for position in positions],
        probabilities,
        condition=condition_of(run),
        draw=recipe.few_shot.draw,
        seed=recipe.seed,
        protocol=recipe.protocol,
        groups=run.draw.groups,
    )
