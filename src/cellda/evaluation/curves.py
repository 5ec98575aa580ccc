"""Precision-recall curves of classes, and their average."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torchmetrics.functional.classification import binary_average_precision, binary_precision_recall_curve

from cellda.evaluation.predictions import class_indices, classes_of, probabilities
from cellda.evaluation.rates import MIN_CELLS, Floats


@dataclass(frozen=True)
class PrecisionRecallCurve:
    """Precision against recall of one class, or averaged over classes.

    Attributes:
        precision, recall: `(T,)`, in [0, 1], by decreasing recall.
        average_precision: Area under the curve as the sum of precisions weighted by the increase in recall.
        support: Number of cells of the class, or of the averaged classes.
    """

    precision: Floats
    recall: Floats
    average_precision: float
    support: int


def precision_recall_curves(predictions: pd.DataFrame) -> dict[str, PrecisionRecallCurve]:
    """Precision-recall curve of every class with at least 5 query cells, and `"macro"`, their average.

    The average curve has 101 recalls from 1 to 0; its precision at each is the mean of the best precisions
    that the classes reach at that recall or more. Its average precision is the mean of the classes' own.
    """
    p, labels = tensors(predictions)
    curves: dict[str, PrecisionRecallCurve] = {}
    for index, name in enumerate(classes_of(predictions)):
        truth = (labels == index).long()
        support = int(truth.sum())
        if support < MIN_CELLS:
            continue
        precision, recall, _ = binary_precision_recall_curve(p[:, index], truth)
        area = float(binary_average_precision(p[:, index], truth))
        curves[name] = PrecisionRecallCurve(
            precision.double().numpy(), recall.double().numpy(), area, support
        )
    if curves:
        grid = np.linspace(1, 0, 101)
        levels = [interpolated(curve, grid) for curve in curves.values()]
        area = float(np.mean([c.average_precision for c in curves.values()]))
        support = sum(c.support for c in curves.values())
        curves["macro"] = PrecisionRecallCurve(np.mean(levels, axis=0), grid, area, support)
    return curves


def interpolated(curve: PrecisionRecallCurve, recalls: Floats) -> Floats:
    """The best precision that a curve reaches at each of `recalls` or more."""
    best: Floats = np.maximum.accumulate(curve.precision)
    # The curve's recalls are float32 shares: equal ones may differ in the last bit.
    return best[np.searchsorted(-curve.recall, 1e-6 - recalls, side="right") - 1]


def tensors(predictions: pd.DataFrame) -> tuple[Tensor, Tensor]:
    """Probabilities `(N, classes)` and class indices `(N,)`."""
    # torchmetrics takes values outside [0, 1], even by rounding, for logits.
    p = torch.from_numpy(probabilities(predictions).clip(0, 1))
    return p, torch.from_numpy(class_indices(predictions))
