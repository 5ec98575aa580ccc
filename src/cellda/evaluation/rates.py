"""Rates of confusion matrices: the one place where accuracy, precision, recall and F1 are computed."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MIN_CELLS = 5
"""Classes with fewer query cells are left out of macro and balanced averages."""

MEASURES = ("accuracy", "balanced_accuracy", "macro_precision", "macro_recall", "macro_f1")
"""The measures that carry intervals."""


@dataclass(frozen=True)
class Rates:
    """Rates of `(...)` confusion matrices; NaN where there are no cells to divide by.

    Attributes:
        accuracy, balanced_accuracy, macro_precision, macro_recall, macro_f1: `(...)`, in [0, 1].
        precision, recall, f1: `(..., classes)`, in [0, 1], in class order; NaN for a class without cells.
    """

    accuracy: Floats
    balanced_accuracy: Floats
    macro_precision: Floats
    macro_recall: Floats
    macro_f1: Floats
    precision: Floats
    recall: Floats
    f1: Floats


def rates(confusion: npt.ArrayLike, averaged: npt.NDArray[np.bool_]) -> Rates:
    """Rates of confusion matrices.

    A class that is never predicted has precision 0 and F1 0. A class without cells (in a bootstrap resample)
    has no rates and is left out of that matrix's averages.

    Args:
        confusion: `(..., classes, classes)` counts; rows are true classes, columns predicted ones.
        averaged: `(classes,)` or `(..., classes)`, the classes that macro and balanced averages include.
    """
    counts = np.asarray(confusion, dtype=np.float64)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    cells, predicted = counts.sum(-1), counts.sum(-2)
    present = cells > 0
    precision = np.where(present, _ratio(hits, np.maximum(predicted, 1)), np.nan)
    recall = _ratio(hits, cells)
    f1 = _ratio(2 * hits, cells + np.where(present, predicted, np.nan))
    used = present & averaged
    macro = [_ratio(np.where(used, rate, 0).sum(-1), used.sum(-1)) for rate in (precision, recall, f1)]
    return Rates(
        accuracy=_ratio(hits.sum(-1), cells.sum(-1)),
        balanced_accuracy=macro[1],
        macro_precision=macro[0],
        macro_recall=macro[1],
        macro_f1=macro[2],
        precision=precision,
        recall=recall,
        f1=f1,
    )


def _ratio(part: Floats, whole: npt.NDArray[np.generic]) -> Floats:
    ratio: Floats = np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=np.asarray(whole) != 0)
    return ratio


def averaged_classes(confusion: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which classes `(..., classes)` have at least `MIN_CELLS` query cells in `(..., classes, classes)` confusion matrices."""
    enough: npt.NDArray[np.bool_] = confusion.sum(-1) >= MIN_CELLS
    return enough
