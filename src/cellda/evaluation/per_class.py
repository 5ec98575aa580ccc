"""Precision and recall of single classes, run by run and averaged over runs."""

import numpy as np
import pandas as pd

from cellda.errors import DataError
from cellda.evaluation.bootstrap import RESAMPLES, group_counts, interval, resample
from cellda.evaluation.exact import widened
from cellda.evaluation.metrics import ClassMetrics, Estimate, groups_behind, measure
from cellda.evaluation.predictions import RUN, classes_of, single
from cellda.evaluation.rates import Floats, rates

RATES = ("precision", "recall", "f1")
"""The measures of a class."""


def class_scores(predictions: pd.DataFrame) -> pd.DataFrame:
    """Measures of every class in every run.

    Returns:
        One row per run and class with query cells: `condition, target, draw, seed, protocol, class, n`
            (query cells of the class), `precision, recall, f1`, in [0, 1].
    """
    rows = []
    for run, part in predictions.groupby(list(RUN), sort=False):
        confusion = group_counts(part).sum((0, 1))
        found = rates(confusion, np.array(True))
        rows += [
            dict(zip(RUN, run, strict=True))
            | {"class": name, "n": int(confusion[i].sum())}
            | {rate: float(getattr(found, rate)[i]) for rate in RATES}
            for i, name in enumerate(classes_of(predictions))
            if confusion[i].any()
        ]
    return pd.DataFrame(rows)


def average_classes(
    predictions: pd.DataFrame, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, ClassMetrics]:
    """Measures of every class, averaged over the runs of one condition on one target (paper Table 4).

    One run is measured as by `cellda.evaluation.metrics.measure`. Of several, the bootstrap is that of
    `cellda.evaluation.metrics.average`: a group holds its images in all runs.

    Args:
        predictions: Predictions of one condition on one target under one protocol.
        resamples: Bootstrap resamples; 0 leaves the intervals NaN, as does a single group that shows the class.
        seed: Seed of the bootstrap.

    Returns:
        Class -> measures, in class order, of classes with query cells; `support` is the mean number of query
            cells over the runs, rounded.

    Raises:
        DataError: If there is no row.
        ConfigurationError: If several conditions, targets or protocols are mixed.
    """
    if predictions.empty:
        raise DataError("There are no predictions to average.")
    for column in ("condition", "target", "protocol"):
        single(predictions, column)
    runs = predictions.groupby(list(RUN)).ngroup().to_numpy().astype(np.int64)
    if not runs.any():
        return measure(predictions, resamples, seed).per_class
    counts = group_counts(predictions, runs)
    groups = groups_behind(counts)
    confusion = counts.sum(0)
    cells = confusion.sum(-1)
    point = rates(confusion, np.array(True))
    drawn = None
    if len(counts) > 1 and resamples:
        drawn = rates(resample(counts, resamples, seed), np.array(True))

    def estimate(rate: str, index: int) -> Estimate:
        value = float(np.nanmean(getattr(point, rate)[:, index]))
        if drawn is None:
            return Estimate(value=value, low=np.nan, high=np.nan)
        ends = interval(_mean_over_runs(getattr(drawn, rate)[..., index]))
        low, high = widened(np.asarray(value), ends, groups[rate][index])
        return Estimate(value=value, low=float(low), high=float(high))

    return {
        name: ClassMetrics(
            **{rate: estimate(rate, i) for rate in RATES},
            support=round(float(cells[:, i].mean())),
        )
        for i, name in enumerate(classes_of(predictions))
        if cells[:, i].any()
    }


def _mean_over_runs(values: Floats) -> Floats:
    """Mean `(B,)` of `(B, R)` over the runs in which the class was drawn; NaN where it was in none."""
    defined = ~np.isnan(values)
    total = np.where(defined, values, 0).sum(-1)
    mean: Floats = np.divide(total, defined.sum(-1), out=np.full(len(values), np.nan), where=defined.any(-1))
    return mean
