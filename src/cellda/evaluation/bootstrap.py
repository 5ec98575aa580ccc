"""Percentile bootstrap over groups of images, on counts instead of rows (Efron & Tibshirani 1993, ch. 13)."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from cellda.evaluation.predictions import class_indices, classes_of, effective_groups

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

RESAMPLES = 1000
LEVEL = 0.95
_CHUNK = 2_000_000
"""Resampled counts that are held in memory at once: 16 MB."""


def group_counts(predictions: pd.DataFrame, runs: Ints | None = None) -> Ints:
    """Confusion matrices of every group of images in every run.

    Args:
        predictions: Rows of a prediction table.
        runs: `(N,)` run of every row, 0..R-1; None treats all rows as one run.

    Returns:
        `(G, R, classes, classes)` counts; rows are true classes, columns predicted ones, in class order. Their sum over
        the first axis is each run's confusion matrix.
    """
    groups, names = pd.factorize(effective_groups(predictions))
    run = np.zeros(len(predictions), dtype=np.int64) if runs is None else runs
    number = len(classes_of(predictions))
    shape = (len(names), int(run.max(initial=0)) + 1, number, number)
    cell = (groups, run, class_indices(predictions, "label"), class_indices(predictions, "predicted"))
    flat = np.ravel_multi_index(cell, shape)
    return np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape)


def resample(counts: Ints, resamples: int = RESAMPLES, seed: int = 0) -> Ints:
    """Draw as many groups as there are, with replacement, and sum their counts; repeated `resamples` times.

    A group is drawn with everything it holds, so its images (and its rows in several runs) stay together.
    Groups with equal counts are interchangeable, so how often each distinct count is drawn is one multinomial
    draw: the same distribution as drawing groups one by one, at a fraction of the work.

    Args:
        counts: `(G, ...)` counts of each group.
        resamples: Number B of resamples.
        seed: Seed of the draws.

    Returns:
        `(B, ...)` counts.
    """
    distinct, times = _distinct(counts.reshape(len(counts), -1))
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // len(distinct))
    # Float64 products run in BLAS and are exact for counts.
    patterns = distinct.astype(np.float64)
    sums = [
        rng.multinomial(len(counts), times / len(counts), size=min(step, resamples - start)) @ patterns
        for start in range(0, resamples, step)
    ]
    return np.concatenate(sums).round().astype(np.int64).reshape(resamples, *counts.shape[1:])


def _distinct(counts: Ints) -> tuple[Ints, Ints]:
    """The distinct rows `(D, K)` of counts, in ascending order, and how often each occurs."""
    # The same result as np.unique(axis=0), 20 times faster: big-endian bytes sort like the numbers, and whole rows
    # are compared at once.
    wide = np.ascontiguousarray(counts, dtype=">u4")
    rows, times = np.unique(wide.view(f"V{wide.itemsize * wide.shape[1]}").ravel(), return_counts=True)
    return rows.view(wide.dtype).reshape(len(rows), -1).astype(np.int64), times


def interval(values: Floats) -> tuple[Floats, Floats]:
    """Lower and upper end of the 95 % percentile interval over the first axis; NaN values are ignored.

    Args:
        values: `(B, ...)` resampled values.
    """
    tail = (1 - LEVEL) / 2
    defined = ~np.isnan(values).all(axis=0)
    ends = np.full((2, *values.shape[1:]), np.nan)
    ends[:, defined] = np.nanquantile(values[:, defined], [tail, 1 - tail], axis=0)
    return ends[0], ends[1]
