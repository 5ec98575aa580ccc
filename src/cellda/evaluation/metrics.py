"""Measures of predictions, with 95 % intervals."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from io import StringIO

import numpy as np
import numpy.typing as npt
import pandas as pd
from rich.console import Console, Group
from torchmetrics.functional.classification import multiclass_calibration_error

from cellda.errors import DataError
from cellda.evaluation.bootstrap import RESAMPLES, group_counts, interval, resample
from cellda.evaluation.curves import tensors
from cellda.evaluation.estimate import ClassMetrics as ClassMetrics
from cellda.evaluation.estimate import Estimate as Estimate
from cellda.evaluation.estimate import Measured
from cellda.evaluation.exact import Ends, intervals, widened
from cellda.evaluation.maturation import StageDistance, stage_distance
from cellda.evaluation.predictions import RUN, classes_of
from cellda.evaluation.rates import MEASURES, MIN_CELLS, Floats, averaged_classes, rates
from cellda.evaluation.rejection import Rejection, rejection
from cellda.evaluation.shown_tables import ShownTable, as_html, as_rich
from cellda.text import counted

ECE_BINS = 15


class Metrics(Measured):
    """Measures of a set of predictions.

    Attributes:
        n: Number of cells.
        groups: Number of groups they come from.
        accuracy: Share of cells whose predicted class is the true one.
        balanced_accuracy: Mean recall over the averaged classes, hence equal to `macro_recall`.
        macro_precision, macro_recall, macro_f1: Means over the target's classes with at least 5 query cells.
            A class that is never predicted has precision 0.
        ece: Expected calibration error (15 bins, L1) of the most probable class.
        per_class: Measures of every class that has query cells, in class order.
        left_out: Classes with fewer than 5 query cells, which the averages leave out, with their counts.
        never_predicted: Classes with query cells that are never predicted, with their counts.
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
    never_predicted: dict[str, int]
    stages: StageDistance | None = None
    rejection: Rejection | None = None

    @property
    def averaged(self) -> str:
        """Over how many of the target's classes the averages go, in words."""
        every = len(self.per_class)
        return f"{every - len(self.left_out)} of {counted(every, '(class|classes)')}"

    @property
    def notes(self) -> list[str]:
        """What to know when reading the averages: which classes they leave out, and which are never predicted."""
        notes = []
        if self.left_out:
            few = _in_words(self.left_out)
            notes.append(f"* fewer than {MIN_CELLS} query cells, left out of the averages: {few}")
        if self.never_predicted:
            notes.append(f"never predicted, precision 0: {_in_words(self.never_predicted)}")
        return notes

    @property
    def summary(self) -> str:
        """The main measures in one line."""
        return (
            f"accuracy {self.accuracy}, macro precision {self.macro_precision}, "
            f"macro recall {self.macro_recall}, macro F1 {self.macro_f1} (macro: {self.averaged}) "
            f"on {counted(self.n, 'cell(s)')} of {counted(self.groups, 'group(s)')} (95 % intervals)"
        )

    def _shown(self) -> tuple[list[ShownTable], list[str]]:
        """Overall and per class, and notes."""
        groups = "each its own group" if self.groups == self.n else counted(self.groups, "group(s)")
        overall = []
        for name in MEASURES:
            over = "" if name == "accuracy" else f" ({self.averaged})"
            overall.append((name.replace("_", " ").replace(" f1", " F1") + over, str(getattr(self, name))))
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
        return tables, self.notes

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

    Where every cell is its own group, cells are independent, and intervals are exact ones of shares
    (`cellda.evaluation.exact`). Else they are percentile intervals of a bootstrap over groups, never narrower than groups that
    all agree allow; a class that a resample misses entirely is left out of that resample's averages, and one that only one
    group shows has no interval.

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
    ends = _ends(counts, averaged, point, resamples, seed)

    def of_class(name: str, index: int) -> Estimate:
        low, high = ends[name]
        return _estimate(point[name][index], low[index], high[index])

    cells, names = confusion.sum(1), classes_of(predictions)
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
            for i, name in enumerate(names)
            if cells[i]
        },
        left_out={name: int(cells[i]) for i, name in enumerate(names) if 0 < cells[i] < MIN_CELLS},
        never_predicted={
            name: int(cells[i]) for i, name in enumerate(names) if cells[i] and not confusion[:, i].any()
        },
    )


def average(predictions: pd.DataFrame, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Estimate]:
    """Average measures: over the runs of each target, then over targets, each target counting the same.

    One run is measured as by `measure`. Of several, the bootstrap is stratified by target: every resample redraws the groups
    of each target and takes the same average. A group holds its images in all runs of its target, because draws share query
    images and are not independent. The interval therefore covers the choice of images, with draws and trained models fixed;
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
    if predictions.groupby(list(RUN)).ngroups == 1:
        alone = measure(predictions, resamples, seed)
        return {name: getattr(alone, name) for name in MEASURES}
    fewest = math.inf
    points: list[dict[str, Floats]] = []
    spreads: list[dict[str, Floats]] = []
    for stratum, (_, rows) in enumerate(predictions.groupby("target")):
        counts = _counts(rows, rows.groupby(list(RUN)).ngroup().to_numpy().astype(np.int64))
        confusion = counts.sum(0)
        averaged = averaged_classes(confusion)
        points.append(_run_means(asdict(rates(confusion, averaged))))
        fewest = min(fewest, len(counts))
        drawn = _resampled(counts, resamples, seed + stratum)
        spreads.append(_run_means(asdict(rates(drawn, averaged))))
    if not points:
        raise DataError("There are no predictions to average.")
    estimates = {}
    for name in MEASURES:
        value = np.asarray(np.mean([point[name] for point in points]))
        ends = interval(np.mean([one[name] for one in spreads], axis=0))
        estimates[name] = _estimate(value, *widened(value, ends, fewest))
    return estimates


def expected_calibration_error(predictions: pd.DataFrame) -> float:
    """Expected calibration error of the most probable class, 15 bins, L1 (Guo et al. 2017), in [0, 1]."""
    p, labels = tensors(predictions)
    return float(multiclass_calibration_error(p, labels, num_classes=p.shape[1], n_bins=ECE_BINS, norm="l1"))


def _counts(predictions: pd.DataFrame, runs: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.int64]:
    if predictions.empty:
        raise DataError("There are no predictions to measure.")
    return group_counts(predictions, runs)


def _ends(
    counts: npt.NDArray[np.int64],
    averaged: npt.NDArray[np.bool_],
    point: Mapping[str, Floats],
    resamples: int,
    seed: int,
) -> dict[str, Ends]:
    """Intervals of all rates of one run: exact where every cell is its own group, else of a bootstrap over groups."""
    if len(counts) == counts.sum() and resamples:
        return intervals(counts.sum((0, 1)), averaged)
    spread = asdict(rates(_resampled(counts, resamples, seed)[:, 0], averaged))
    groups = groups_behind(counts)
    return {
        name: widened(point[name], interval(values), groups.get(name, len(counts)))
        for name, values in spread.items()
    }


def groups_behind(counts: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[np.int64]]:
    """How many groups `(classes,)` each rate of a class comes from: those that hold cells of it, or in which it is predicted.

    Args:
        counts: `(G, R, classes, classes)`, as returned by `group_counts`.
    """
    held, predicted = counts.sum((1, 3)) > 0, counts.sum((1, 2)) > 0
    return {"recall": held.sum(0), "precision": predicted.sum(0), "f1": (held | predicted).sum(0)}


def _resampled(counts: npt.NDArray[np.int64], resamples: int, seed: int) -> npt.NDArray[np.float64]:
    """Resampled confusion matrices `(B, R, classes, classes)`; NaN without resamples or with only one group."""
    if len(counts) < 2 or resamples == 0:
        return np.full((1, *counts.shape[1:]), np.nan)
    return resample(counts, resamples, seed).astype(np.float64)


def _run_means(values: Mapping[str, Floats]) -> dict[str, Floats]:
    return {name: values[name].mean(-1) for name in MEASURES}


def _in_words(cells: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({counted(count, 'cell(s)')})" for name, count in cells.items())


def _estimate(value: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike) -> Estimate:
    return Estimate(value=float(np.asarray(value)), low=float(np.asarray(low)), high=float(np.asarray(high)))
