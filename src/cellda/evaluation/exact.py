"""Exact intervals of shares of independent cells, and of means of such shares, in closed form.

The bootstrap fails where cells are few: of four cells that are all right it says `1.00 [1.00-1.00]`, and for 5 to 10 cells a
class its 95 % intervals of balanced accuracy hold the truth in 38 to 94 % of cases.
"""

import math

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

from cellda.evaluation.bootstrap import LEVEL
from cellda.evaluation.rates import Floats, rates

Ends = tuple[Floats, Floats]
"""Lower and upper ends."""


def of_share(hits: npt.ArrayLike, cells: npt.ArrayLike) -> Ends:
    """The Clopper-Pearson interval of `hits` of `cells`; [0, 1] where there are no cells (Clopper & Pearson 1934).

    Of the intervals of a share it is the one that holds the truth in at least 95 % of cases for every number of cells.

    Args:
        hits: `(...)` counts.
        cells: `(...)` counts, at least as many.
    """
    k, n = np.asarray(hits, dtype=np.float64), np.asarray(cells, dtype=np.float64)
    tail = (1 - LEVEL) / 2
    low = np.where(k > 0, beta.ppf(tail, np.maximum(k, 1), n - k + 1), 0.0)
    high = np.where(k < n, beta.ppf(1 - tail, k + 1, np.maximum(n - k, 1)), 1.0)
    return low, high


def of_mean(values: Floats, ends: Ends, widened: float = 1.0) -> Ends:
    """The interval of the mean of independent values `(K,)` from their own intervals (MOVER; Zou & Donner 2008).

    Args:
        values: `(K,)`.
        ends: Their intervals.
        widened: A factor for values that are not independent.
    """
    mean, (low, high) = values.mean(), ends
    down, up = (widened * math.hypot(*(values - low)), widened * math.hypot(*(high - values)))
    return np.maximum(mean - down / len(values), 0), np.minimum(mean + up / len(values), 1)


def intervals(confusion: npt.NDArray[np.int64], averaged: npt.NDArray[np.bool_]) -> dict[str, Ends]:
    """Intervals of all rates (`cellda.evaluation.rates`) of one confusion matrix of independent cells.

    Accuracy, recall and precision are shares. F1 is 2 J / (1 + J), where J is the share of hits among the cells that are
    of the class or taken for it (Lam, Gopal & Qian 2023). Averages combine the intervals of their classes. Every wrong cell
    lowers the F1 of two classes at once, so the interval of macro F1 is wider by the square root of 2.

    Args:
        confusion: `(classes, classes)` counts.
        averaged: `(classes,)`, the classes that the averages include.

    Returns:
        Rate -> ends: of a number, or `(classes,)`.
    """
    hits = np.diagonal(confusion)
    cells, predicted = confusion.sum(1), confusion.sum(0)
    low, high = of_share(hits, cells + predicted - hits)
    ends = {
        "accuracy": of_share(hits.sum(), cells.sum()),
        "recall": of_share(hits, cells),
        "precision": of_share(hits, predicted),
        "f1": (2 * low / (1 + low), 2 * high / (1 + high)),
    }
    point = rates(confusion, averaged)
    for rate in ("recall", "precision", "f1"):
        low, high = ends[rate]
        used = getattr(point, rate)[averaged], (low[averaged], high[averaged])
        undefined = np.full((), np.nan)
        mean = (
            of_mean(*used, math.sqrt(2) if rate == "f1" else 1.0)
            if averaged.any()
            else (undefined, undefined)
        )
        ends[f"macro_{rate}"] = mean
    return ends | {"balanced_accuracy": ends["macro_recall"]}


def widened(value: Floats, ends: Ends, groups: npt.ArrayLike) -> Ends:
    """Bootstrap intervals of shares over groups, never narrower than groups that all agree allow.

    Where every group is right, or every one wrong, each resample says the same. What is known then is that so many groups
    of as many agree: their Clopper-Pearson interval. A single group says nothing of others: NaN.

    Args:
        value: `(...)`.
        ends: Their bootstrap intervals.
        groups: `(...)` numbers of groups that each value is computed from.
    """
    number = np.asarray(groups)
    low, high = (np.where(number > 1, end, np.nan) for end in ends)
    all_right, all_wrong = (low == 1) & (value == 1), (high == 0) & (value == 0)
    least, _ = of_share(number, number)
    _, most = of_share(np.zeros_like(number), number)
    return np.where(all_right, least, low), np.where(all_wrong, most, high)
