"""Calibration of probabilities: among cells of which a model says 0.8, eight of ten are right.

`p_k -> p_k^(1/T) exp(b_k)`, renormalised: a temperature for all classes, and a shift of each (C. Guo, G. Pleiss, Y. Sun, K.
Weinberger: On calibration of modern neural networks, ICML 2017, temperature and vector scaling, here of final
probabilities). They are fitted on cells that the model has not learned from. Few cells say little: both are drawn towards
what changes nothing, by a normal prior on `log T` and on each shift, as in penalised logistic regression.
"""

from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from jaxtyping import Float
from pydantic import Field
from scipy.optimize import brentq, minimize
from scipy.special import log_softmax
from torch import Tensor

from cellda.evaluation.calibration_kinds import Kind
from cellda.evaluation.predictions import class_indices, classes_of, probabilities, probability_columns
from cellda.plugins.settings import Settings

Floats = npt.NDArray[np.float64]

SPREAD = 0.5
"""Standard deviation of `log T` before any cell is seen: two of three temperatures lie between 0.6 and 1.6."""
SHIFT = 0.5
"""The same of a shift."""
LEAST, MOST = 0.05, 1000.0
"""Bounds of a temperature."""
BINS = 15
_TINY = 1e-12


class Calibration(Settings):
    """How the probabilities of a model are calibrated.

    Attributes:
        temperature: `T`; above 1, the model becomes less sure.
        shifts: `b_k`, one for each class; empty if they are all 0. They can change which class is the most probable.
    """

    temperature: float = Field(default=1.0, ge=LEAST, le=MOST, allow_inf_nan=False)
    shifts: tuple[Annotated[float, Field(allow_inf_nan=False)], ...] = ()

    def applied(self, found: Float[Tensor, "n classes"]) -> Float[Tensor, "n classes"]:
        """Calibrated probabilities; what is 0 stays 0."""
        logits = found.log() / self.temperature
        if self.shifts:
            logits = logits + torch.tensor(self.shifts, dtype=found.dtype, device=found.device)
        return logits.softmax(1)

    def of(self, predictions: pd.DataFrame) -> pd.DataFrame:
        """A prediction table with calibrated probabilities, and the classes that are then the most probable."""
        found = self.applied(torch.from_numpy(probabilities(predictions).astype(np.float64)))
        classes = classes_of(predictions)
        columns = probability_columns(classes)
        table = predictions.assign(**dict(zip(columns, found.float().numpy().T, strict=True)))
        if not self.shifts:  # a temperature keeps the order; ties by rounding must not change a class
            return table
        return table.assign(predicted=[classes[place] for place in found.argmax(1).tolist()])


def fitted(found: npt.NDArray[Any], labels: npt.NDArray[np.int64], kind: Kind) -> Calibration:
    """The calibration that makes some cells most likely.

    Args:
        found: `(N, classes)` probabilities of cells that the model has not learned from.
        labels: `(N,)` their class indices.
        kind: `"temperature"` or `"classwise"`; `"none"` changes nothing.
    """
    if kind == "none" or not len(labels):
        return Calibration()
    logs = np.log(np.maximum(found.astype(np.float64), _TINY))
    number = logs.shape[1] if kind == "classwise" else 0

    def loss(values: Floats) -> float:
        scaled = logs / np.exp(values[0]) + (values[1:] if number else 0)
        told = log_softmax(scaled, axis=1)[np.arange(len(labels)), labels]
        return float(-told.sum() + (values[0] / SPREAD) ** 2 / 2 + ((values[1:] / SHIFT) ** 2).sum() / 2)

    bounds = [(np.log(LEAST), np.log(MOST)), *[(-5.0, 5.0)] * number]
    best = minimize(loss, np.zeros(1 + number), method="L-BFGS-B", bounds=bounds).x
    return Calibration(
        temperature=float(np.exp(best[0]).clip(LEAST, MOST)), shifts=tuple(map(float, best[1:]))
    )


def with_confidence(found: npt.NDArray[Any], mean: float) -> Calibration:
    """The temperature at which the largest probability of some cells has a given mean.

    Args:
        found: `(N, classes)` probabilities.
        mean: The mean of the largest probabilities, in (0, 1).
    """
    logs = np.log(np.maximum(found.astype(np.float64), _TINY))

    def over(log_temperature: float) -> float:
        scaled = log_softmax(logs / np.exp(log_temperature), axis=1)
        return float(np.exp(scaled.max(1)).mean() - mean)

    low, high = float(np.log(LEAST)), float(np.log(MOST))
    if over(low) <= 0:  # already less sure than that at its surest
        return Calibration(temperature=LEAST)
    if over(high) >= 0:
        return Calibration(temperature=MOST)
    return Calibration(temperature=float(np.exp(brentq(over, low, high))))


def reliability(predictions: pd.DataFrame, bins: int = BINS) -> pd.DataFrame:
    """How often predictions of each confidence are right.

    Args:
        predictions: Rows of a prediction table.
        bins: Number of bins of equal width of the largest probability.

    Returns:
        One row for every bin with cells: `low, high` (its ends), `cells`, `confidence` (mean), `accuracy`. The expected
            calibration error is the mean distance of the last two, weighted by cells.
    """
    found = probabilities(predictions).astype(np.float64)
    sure = found.max(1)
    right = class_indices(predictions) == class_indices(predictions, "predicted")
    place = np.minimum((sure * bins).astype(int), bins - 1)
    table = pd.DataFrame({"place": place, "confidence": sure, "accuracy": right.astype(float)})
    grouped = table.groupby("place", sort=True)
    means = grouped.mean().assign(cells=grouped.size()).reset_index()
    means.insert(0, "low", means["place"] / bins)
    means.insert(1, "high", (means["place"] + 1) / bins)
    return means.drop(columns="place")[["low", "high", "cells", "confidence", "accuracy"]]
