"""Precision-recall curves averaged over runs."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cellda.evaluation.curves import PrecisionRecallCurve, interpolated, precision_recall_curves
from cellda.evaluation.predictions import RUN
from cellda.evaluation.rates import Floats

RECALLS: Floats = np.linspace(0, 1, 101)
"""The recalls at which curves of several runs are averaged."""


@dataclass(frozen=True)
class AverageCurve:
    """A precision-recall curve averaged over runs.

    Each run's precision at a recall is the best it reaches at that recall or more, so that curves with
    other thresholds meet on one grid.

    Attributes:
        recall: `(101,)`, from 0 to 1.
        precision: `(101,)`, mean over runs, in [0, 1].
        sd: `(101,)`, standard deviation over runs; zeros for a single run.
        average_precision: Mean over runs of each curve's own average precision (not of the mean curve).
        average_precision_sd: Its standard deviation; NaN for a single run.
        runs: Number of runs.
    """

    recall: Floats
    precision: Floats
    sd: Floats
    average_precision: float
    average_precision_sd: float
    runs: int


def average_curves(predictions: pd.DataFrame) -> dict[str, AverageCurve]:
    """Curves of every class with at least 5 query cells, and of `"macro"`, their mean, over all runs.

    Args:
        predictions: Predictions of one condition on one target under one protocol. A class counts in the
            runs where it has at least 5 query cells.
    """
    found: dict[str, list[PrecisionRecallCurve]] = {}
    for _, part in predictions.groupby(list(RUN), sort=False):
        for name, curve in precision_recall_curves(part).items():
            found.setdefault(name, []).append(curve)
    averaged = {name: _average(curves) for name, curves in sorted(found.items()) if name != "macro"}
    return averaged | ({"macro": _average(found["macro"])} if "macro" in found else {})


def _average(curves: list[PrecisionRecallCurve]) -> AverageCurve:
    levels = np.stack([interpolated(curve, RECALLS) for curve in curves])
    areas = np.array([curve.average_precision for curve in curves])
    several = len(curves) > 1
    return AverageCurve(
        recall=RECALLS,
        precision=levels.mean(0),
        sd=levels.std(0, ddof=1) if several else np.zeros(len(RECALLS)),
        average_precision=float(areas.mean()),
        average_precision_sd=float(areas.std(ddof=1)) if several else float("nan"),
        runs=len(curves),
    )
