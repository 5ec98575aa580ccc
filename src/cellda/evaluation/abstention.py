"""Cells that are left for a person, so that the others are right as often as asked for (selective classification).

R. El-Yaniv, Y. Wiener: On the foundations of noise-free selective classification, JMLR 11, 2010; Y. Geifman, R. El-Yaniv:
Selective classification for deep neural networks, NeurIPS 2017.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cellda.evaluation.predictions import class_indices, probabilities

Floats = npt.NDArray[np.float64]


def risk_coverage(predictions: pd.DataFrame) -> pd.DataFrame:
    """How many cells are wrong if only the surest are decided.

    Args:
        predictions: Rows of a prediction table.

    Returns:
        One row for each number of decided cells, the surest first: `confidence` (the least of a decided cell), `coverage`
            (share that is decided) and `risk` (share of these that is wrong). Cells of equal confidence are decided together.
    """
    sure = probabilities(predictions).max(1).astype(np.float64)
    wrong = class_indices(predictions) != class_indices(predictions, "predicted")
    order = np.argsort(-sure, kind="stable")
    number = np.arange(1, len(sure) + 1)
    table = pd.DataFrame(
        {
            "confidence": sure[order],
            "coverage": number / len(sure),
            "risk": np.cumsum(wrong[order]) / number,
        }
    )
    return table.groupby("confidence", sort=False).tail(1).reset_index(drop=True)


def area(predictions: pd.DataFrame) -> float:
    """Area under the risk-coverage curve (AURC): the mean risk over all numbers of decided cells; lower is better."""
    sure = probabilities(predictions).max(1).astype(np.float64)
    wrong = class_indices(predictions) != class_indices(predictions, "predicted")
    order = np.argsort(-sure, kind="stable")
    return float((np.cumsum(wrong[order]) / np.arange(1, len(sure) + 1)).mean())


def by_confidence(found: npt.NDArray[Any], error: float) -> npt.NDArray[np.bool_]:
    """Which cells are decided, so that by their calibrated probabilities at most a share of them is wrong.

    As many as possible of the surest, whose mean probability of being wrong is at most `error`. It takes the cells at hand
    as they are, of whatever classes, and is as good as the calibration.

    Args:
        found: `(N, classes)` calibrated probabilities.
        error: In (0, 1).

    Returns:
        `(N,)`, True for a cell that is decided.
    """
    doubt = 1 - found.max(1).astype(np.float64)
    order = np.argsort(doubt, kind="stable")
    expected = np.cumsum(doubt[order]) / np.arange(1, len(doubt) + 1)
    number = int((expected <= error).sum())  # it grows with the number of cells
    decided = np.zeros(len(doubt), dtype=bool)
    decided[order[:number]] = True
    return decided


def threshold(held: pd.DataFrame, error: float) -> float | None:
    """The confidence from which, among labelled cells, at most a share is wrong; None if these cannot show it.

    The lowest confidence `t` with `(w + 1) / (n + 1) <= error`, where `w` of the `n` labelled cells that are at least as sure
    are wrong: as if one more cell were wrong, as in conformal risk control (A. Angelopoulos, S. Bates, A. Fisch, L. Lei, T.
    Schuster: Conformal risk control, ICLR 2024).

    Args:
        held: A prediction table of cells, each predicted by a model that has not learned from it.
        error: In (0, 1).
    """
    curve = risk_coverage(held)
    number = np.round(curve["coverage"].to_numpy() * len(held))
    wrong = np.round(curve["risk"].to_numpy() * number)
    good = np.flatnonzero((wrong + 1) / (number + 1) <= error)
    return float(curve["confidence"].iloc[good[-1]]) if len(good) else None
