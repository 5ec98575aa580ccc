"""How well predictions tell cells of no class (`other`) from the others."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from pydantic import BaseModel, ConfigDict
from torchmetrics.functional.classification import binary_auroc

from cellda.evaluation.predictions import classes_of, probabilities
from cellda.taxonomies.base import OTHER


class Rejection(BaseModel):
    """Areas under the ROC curve (AUROC) of two measures of a cell being `other`; 0.5 is chance.

    Attributes:
        cells: Number of cells.
        other: Number of those that are `other`.
        by_class: AUROC of the probability of `other`.
        by_doubt: AUROC of 1 less the largest share of another class in the probability of all other classes: what a model that
            does not know the class `other` could say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cells: int
    other: int
    by_class: float
    by_doubt: float

    def __str__(self) -> str:
        return f"{self.by_class:.2f} (by doubt {self.by_doubt:.2f})"


def rejection(predictions: pd.DataFrame) -> Rejection | None:
    """The measures of the rows of a prediction table; None without the class `other`, or if all cells or none are of it."""
    classes = classes_of(predictions)
    if OTHER not in classes:
        return None
    truth = (predictions["label"] == OTHER).to_numpy(dtype=bool)
    if truth.all() or not truth.any():
        return None
    p, place = probabilities(predictions).astype(np.float64), classes.index(OTHER)
    doubt = doubts(np.delete(p, place, axis=1))
    return Rejection(
        cells=len(truth),
        other=int(truth.sum()),
        by_class=auroc(p[:, place], truth),
        by_doubt=auroc(doubt, truth),
    )


def doubts(known: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """1 less the largest share of a class in the probabilities `(N, classes)` of all of them."""
    found: npt.NDArray[np.float64] = 1 - known.max(1) / np.maximum(known.sum(1), 1e-12)
    return found


def auroc(values: npt.NDArray[Any], truth: npt.NDArray[np.bool_]) -> float:
    """Area under the ROC curve of values `(N,)` that should be larger where `truth` `(N,)` holds."""
    # Ranks, because torchmetrics takes values outside [0, 1] for logits.
    ranks = np.unique(values, return_inverse=True)[1] / max(1, len(values))
    return float(binary_auroc(torch.from_numpy(ranks), torch.from_numpy(truth.astype(np.int64))))
