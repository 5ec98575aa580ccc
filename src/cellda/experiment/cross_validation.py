"""The labelled cells of a run, each predicted by a model that has not learned from it."""

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from safetensors.torch import load_file
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
from cellda.runtime.tensor_file import write_tensors
from cellda.runtime.work import Stage, Work
from cellda.selection.candidates import Candidates
from cellda.selection.folds import group_folds
from cellda.text import counted
from cellda.training.loop import Trainer

FOLDS = "folds"
"""The kind of the stage in the store."""
HELD_OUT, PROBABILITIES = "held_out.safetensors", "probabilities"
MOST_FOLDS = 5
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
    if not parts(run):
        return None
    return _table(run, range(len(run.draw.support)), _held_out(run, adapter, begun))


class Folds:
    """The folds of a run's cross-validation by their numbers; each is made once, by any process, and kept.

    Args:
        run: The run.
        adapter: With the values that are used.
        begun: What its adaptation began with.
    """

    def __init__(self, run: Run, adapter: Adapter, begun: Beginning) -> None:
        self._adapter, self._support, self._folds = adapter, begun.target.support, parts(run)
        self._candidates = Candidates(adapter, lambda: deepcopy(begun.model), begun.target, begun.context)
        self._pieces = run.workspace.store.pieces(FOLDS, run.key)

    @property
    def made(self) -> int:
        """How many of them are there."""
        return len(self._pieces)

    def make(self, number: int) -> None:
        """Make a fold, if it is not there."""
        self.one(number)

    def one(self, number: int) -> Float[Tensor, "h k"]:
        """The probabilities of the cells that a fold holds out; it is made if it is not there."""
        name = f"fold-{number}"
        kept = self._pieces.get(name)
        if kept is not None:
            return torch.tensor(kept["probabilities"], dtype=getattr(torch, kept["dtype"]))
        learned, held = self._folds[number]
        found = self._candidates.probabilities(self._adapter, learned, self._support, held)
        dtype = str(found.dtype).removeprefix("torch.")
        self._pieces.put(name, {"probabilities": found.tolist(), "dtype": dtype})
        return found


def _held_out(run: Run, adapter: Adapter, begun: Beginning) -> Float[Tensor, "n k"]:
    """The probabilities of every support cell by the model of the fold that holds it out: a stage in the store."""

    def make(folder: Path) -> None:
        cut, folds = parts(run), Folds(run, adapter, begun)
        predicted = []
        with progress.task(Work(Stage.CROSS_VALIDATE), len(cut)) as advance:
            for number in range(len(cut)):
                predicted.append(folds.one(number))
                advance(1)
        rows = torch.tensor([row for _, held in cut for row in held])
        write_tensors({PROBABILITIES: torch.cat(predicted)[rows.argsort()]}, folder / HELD_OUT)

    return load_file(run.workspace.store.build(FOLDS, run.key, make) / HELD_OUT)[PROBABILITIES]


def parts(run: Run) -> list[tuple[list[int], list[int]]]:
    """Positions in the support that each fold learns from and holds out; every position is held out once.

    Empty if there are too few: fewer than two groups or cells of every class, or a fold would leave too little to learn from.
    """
    labels = run.target.labels[list(run.draw.support)].numpy()
    groups = np.asarray(run.support_groups)
    number = min(MOST_FOLDS, len(np.unique(groups)), int(np.bincount(labels).max(initial=0)))
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
