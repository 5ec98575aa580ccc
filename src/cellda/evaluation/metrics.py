"""Measures of predictions, with 95 % bootstrap intervals."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from io import StringIO

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from rich.console import Console, Group
from torch import Tensor
from torchmetrics.functional.classification import (
    binary_average_precision,
    binary_precision_recall_curve,
    multiclass_calibration_error,
)

from cellda.errors import DataError
from cellda.evaluation.bootstrap import RESAMPLES, group_counts, interval, resample
from cellda.evaluation.estimate import ClassMetrics as ClassMetrics
from cellda.evaluation.estimate import Estimate as Estimate
from cellda.evaluation.estimate import Measured
from cellda.evaluation.maturation import StageDistance, stage_distance
from cellda.evaluation.predictions import RUN, class_indices, classes_of, probabilities
from cellda.evaluation.rates import MEASURES, MIN_CELLS, averaged_classes, rates
from cellda.evaluation.rejection import Rejection, rejection
from cellda.evaluation.shown_tables import ShownTable, as_html, as_rich
from cellda.text import counted

Floats = npt.NDArray[np.float64]

ECE_BINS = 15


class Metrics(Measured):
    """Measures of a set of predictions.

    Attributes:
        n: Number of cells.
        groups: Number of groups they come from, over which the intervals are bootstrapped.
        accuracy: Share of cells whose predicted class is the true one.
        balanced_accuracy: Mean recall over the averaged classes, hence equal to `macro_recall`.
        macro_precision, macro_recall, macro_f1: Means over the target's classes with at least 5 query cells.
            A class that is never predicted has precision 0.
        ece: Expected calibration error (15 bins, L1) of the most probable class.
        per_class: Measures of every class that has query cells, in class order.
        left_out: Classes with fewer than 5 query cells, which the averages leave out, with their counts.
        stages: How far apart true and predicted stages of maturation are; None if the classes are no stages.
        rejection: How well cells of the class `other` are told from the others; None without that class.
    """

    n: int
    groups: int
    accuracy: Estimate
    balanced_accuracy: Estimate
    macro_precision: Estimate
    macro_recall: Estimate
    macro_f1: Estimate
    ece: float
    per_class: dict[str, ClassMetrics]
    left_out: dict[str, int]
    stages: StageDistance | None = None
    rejection: Rejection | None = None

    @property
    def summary(self) -> str:
        """The main measures in one line."""
        return (
            f"accuracy {self.accuracy}, macro precision {self.macro_precision}, "
            f"macro recall {self.macro_recall}, macro F1 {self.macro_f1} "
            f"on {counted(self.n, 'cell(s)')} of {counted(self.groups, 'group(s)')} (95 % intervals)"
        )

    def _shown(self) -> tuple[list[ShownTable], str]:
        """Overall and per class, and a note."""
        groups = "each its own group" if self.groups == self.n else counted(self.groups, "group(s)")
        overall = [
            (name.replace("_", " ").replace(" f1", " F1"), str(getattr(self, name))) for name in MEASURES
        ]
        overall.append(("calibration error (ECE)", f"{self.ece:.2f}"))
        if self.stages is not None:
            overall.append(("stages apart", str(self.stages)))
        if self.rejection is not None:
            overall.append(("other cells found (AUROC)", str(self.rejection)))
        classes = [
            (
                name + "*" * (name in self.left_out),
                str(one.precision),
                str(one.recall),
                str(one.f1),
                str(one.support),
            )
            for name, one in self.per_class.items()
        ]
        tables = [
            ShownTable(
                f"{counted(self.n, 'cell(s)')}, {groups}", ("measure", "value [95 % interval]"), overall
            ),
            ShownTable("per class", ("class", "precision", "recall", "F1", "cells"), classes),
        ]
        note = f"* fewer than {MIN_CELLS} query cells: left out of the averages" if self.left_out else ""
        return tables, note

    def __rich__(self) -> Group:
        return as_rich(*self._shown())

    def _repr_html_(self) -> str:
        return as_html(*self._shown())

    def __str__(self) -> str:
        console = Console(file=StringIO(), width=100)
        with console.capture() as captured:
            console.print(self)
        return captured.get().rstrip()


def measure(predictions: pd.DataFrame, resamples: int = RESAMPLES, seed: int = 0) -> Metrics:
    """Measure the predictions of one run, or any rows that form one sample.

    Intervals are percentile intervals of a bootstrap over groups (over images if there are no groups). A class
    that a resample misses entirely is left out of that resample's averages.

    Args:
        predictions: Rows of a prediction table.
        resamples: Number of bootstrap resamples; 0 leaves the intervals NaN.
        seed: Seed of the bootstrap.

    Raises:
        DataError: If there is no row.
    """
    counts = _counts(predictions)
    confusion = counts.sum((0, 1))
    averaged = averaged_classes(confusion)
    point = asdict(rates(confusion, averaged))
    spread = asdict(rates(_resampled(counts, resamples, seed)[:, 0], averaged))
    ends = {name: interval(values) for name, values in spread.items()}

    def of_class(name: str, index: int) -> Estimate:
        low, high = ends[name]
        return _estimate(point[name][index], low[index], high[index])

    cells = confusion.sum(1)
    return Metrics(
        n=int(confusion.sum()),
        groups=len(counts),
        **{name: _estimate(point[name], *ends[name]) for name in MEASURES},
        ece=expected_calibration_error(predictions),
        stages=stage_distance(predictions),
        rejection=rejection(predictions),
        per_class={
            name: ClassMetrics(
                precision=of_class("precision", i),
                recall=of_class("recall", i),
                f1=of_class("f1", i),
                support=int(cells[i]),
            )
            for i, name in enumerate(classes_of(predictions))
            if cells[i]
        },
        left_out={
            name: int(cells[i]) for i, name in enumerate(classes_of(predictions)) if 0 < cells[i] < MIN_CELLS
        },
    )


def average(predictions: pd.DataFrame, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Estimate]:
    """Average measures: over the runs of each target, then over targets, each target counting the same.

    The bootstrap is stratified by target: every resample redraws the groups of each target and takes the same
    average. A group holds its images in all runs of its target, because draws share query images and are
    not independent. The interval therefore covers the choice of images, with draws and trained models fixed;
    the standard deviation across draws shows how much those matter.

    Args:
        predictions: Rows of a prediction table; runs are identified by condition, target, draw, seed and
            protocol.
        resamples: Number of bootstrap resamples; 0 leaves the intervals NaN.
        seed: Seed of the bootstrap.

    Returns:
        One estimate for each of `MEASURES`.

    Raises:
        DataError: If there is no row.
    """
    points: list[dict[str, Floats]] = []
    spreads: list[dict[str, Floats]] = []
    for stratum, (_, rows) in enumerate(predictions.groupby("target")):
        counts = _counts(rows, rows.groupby(list(RUN)).ngroup().to_numpy().astype(np.int64))
        confusion = counts.sum(0)
        averaged = averaged_classes(confusion)
        points.append(_run_means(asdict(rates(confusion, averaged))))
        drawn = _resampled(counts, resamples, seed + stratum)
        spreads.append(_run_means(asdict(rates(drawn, averaged))))
    if not points:
        raise DataError("There are no predictions to average.")
    estimates = {}
    for name in MEASURES:
        ends = interval(np.mean([spread[name] for spread in spreads], axis=0))
        estimates[name] = _estimate(np.mean([point[name] for point in points]), *ends)
    return estimates


def expected_calibration_error(predictions: pd.DataFrame) -> float:
    """Expected calibration error of the most probable class, 15 bins, L1 (Guo et al. 2017), in [0, 1]."""
    p, labels = _tensors(predictions)
    return float(multiclass_calibration_error(p, labels, num_classes=p.shape[1], n_bins=ECE_BINS, norm="l1"))


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
    p, labels = _tensors(predictions)
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


def _counts(predictions: pd.DataFrame, runs: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.int64]:
    if predictions.empty:
        raise DataError("There are no predictions to measure.")
    return group_counts(predictions, runs)


def _resampled(counts: npt.NDArray[np.int64], resamples: int, seed: int) -> npt.NDArray[np.float64]:
    """Resampled confusion matrices `(B, R, classes, classes)`; NaN without resamples or with only one group."""
    if len(counts) < 2 or resamples == 0:
        return np.full((1, *counts.shape[1:]), np.nan)
    return resample(counts, resamples, seed).astype(np.float64)


def _run_means(values: Mapping[str, Floats]) -> dict[str, Floats]:
    return {name: values[name].mean(-1) for name in MEASURES}


def _estimate(value: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike) -> Estimate:
    return Estimate(value=float(np.asarray(value)), low=float(np.asarray(low)), high=float(np.asarray(high)))


def _tensors(predictions: pd.DataFrame) -> tuple[Tensor, Tensor]:
    """Probabilities `(N, classes)` and class indices `(N,)`."""
    # torchmetrics takes values outside [0, 1], even by rounding, for logits.
    p = torch.from_numpy(probabilities(predictions).clip(0, 1))
    return p, torch.from_numpy(class_indices(predictions))
