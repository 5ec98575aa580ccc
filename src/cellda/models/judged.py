"""Which images a model cannot judge: no nucleus, a field of many cells, or unlike the cells that the model was trained on.

The last is measured: the Mahalanobis distance of an embedding to the nearest class of the training cells, with one covariance
for all (K. Lee, K. Lee, H. Lee, J. Shin: A simple unified framework for detecting out-of-distribution samples and adversarial
attacks, NeurIPS 2018), shrunk as far as the number of cells asks for (O. Ledoit, M. Wolf: A well-conditioned estimator for
large-dimensional covariance matrices, Journal of Multivariate Analysis 2004). The threshold is the conformal quantile of this
distance on cells that the Gaussians were not fitted to, so that at most the stated share of new cells like them is flagged (S.
Bates et al.: Testing for outliers with conformal p-values, Annals of Statistics 2023). docs/judging.md has the rates that were
measured on real cells.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Self

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor

from cellda.models.looks import FIELD, Looks
from cellda.plugins.settings import Settings

RATE = 0.01
"""Share of real cells that may be flagged as unlike the training cells, where there are cells enough to calibrate that."""
FOLDS = 10
"""Parts of the cells that are left out in turn where there are no further cells to calibrate on."""
ZOOM = 2.0
"""Images may be this many times smaller or larger than those that the model has seen."""
OCTAVE = 1.0
"""The variance of their Laplacian may be this many times two lower or higher."""
MOST_CENTRES = 10_000


class Flag(StrEnum):
    """Why an image cannot be judged, or is left for a person."""

    FIELD = "field"
    NO_NUCLEUS = "no_nucleus"
    SIZE = "size"
    SHARPNESS = "sharpness"
    UNLIKE = "unlike"
    DOUBTFUL = "doubtful"
    """By the error rate that was asked for (`cellda.models.told`)."""


WITHOUT_CLASS = frozenset({Flag.FIELD, Flag.NO_NUCLEUS})
"""An image with one of these flags shows no single cell, and is given no class."""

Finite = Annotated[float, Field(allow_inf_nan=False)]


class Ranges(Settings):
    """What the training cells of a model look like, and how far from them a cell may lie.

    Attributes:
        cells: Number of training cells that were measured.
        side: Smallest and largest shorter side of their images, in pixels; None if they were not read from image files.
        sharpness: Least and most sharp (`cellda.models.looks.Looks`).
        centres: Number of classes of training cells, those of every dataset for themselves.
        distance: Largest distance of a cell that is like the training cells.
        rate: Share of cells like the calibration cells that lie farther.
        calibrated: Number of calibration cells.
    """

    cells: int = Field(ge=1)
    side: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] | None
    sharpness: tuple[Finite, Finite]
    centres: int = Field(ge=1, le=MOST_CENTRES)
    distance: float = Field(ge=0, allow_inf_nan=False)
    rate: float = Field(gt=0, lt=1)
    calibrated: int = Field(ge=1)


@dataclass(frozen=True, eq=False)
class Gaussians:
    """One Gaussian for each class of embeddings, all with the same covariance.

    Attributes:
        whitening: `(D, D)`; the covariance of whitened embeddings, those multiplied by it, is the identity.
        centres: `(G, D)`, the whitened means.
    """

    whitening: Float[Tensor, "d d"]
    centres: Float[Tensor, "g d"]

    @classmethod
    def fitted(cls, embeddings: Float[Tensor, "n d"], groups: Int[Tensor, " n"]) -> Self:
        """The Gaussians of these groups of embeddings, numbered in any way."""
        from sklearn.covariance import LedoitWolf  # takes a second to load, which predicting does without

        values, numbers = embeddings.double(), torch.unique(groups, return_inverse=True)[1]
        counts = numbers.bincount().double()
        means = torch.zeros(len(counts), values.shape[1], dtype=values.dtype)
        means = means.index_add(0, numbers, values) / counts[:, None]
        # The residuals of n cells around their own k means are too small by (n - k) / n.
        scale = math.sqrt(len(values) / max(1, len(values) - len(counts)))
        residuals = (values - means[numbers]) * scale
        width = values.shape[1]
        shrunk = LedoitWolf(assume_centered=True)
        covariance = (
            shrunk.fit(residuals.numpy()).covariance_ if len(values) > 1 else np.zeros((width, width))
        )
        # For features that do not vary, or a single cell.
        floor = 1e-6 * max(float(np.trace(covariance)) / len(covariance), 1e-6)
        covariance += floor * np.eye(len(covariance))
        whitening = torch.linalg.inv(torch.linalg.cholesky(torch.from_numpy(covariance))).T
        return cls(whitening.float(), (means @ whitening).float())

    def distances(self, embeddings: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Mahalanobis distance of each embedding to the nearest centre."""
        whitened = embeddings.double() @ self.whitening.double()
        return torch.cdist(whitened, self.centres.double()).amin(1)


@dataclass(frozen=True, eq=False)
class Seen:
    """What a model has seen.

    Attributes:
        ranges: Ranges and thresholds.
        gaussians: The embeddings of training cells.
    """

    ranges: Ranges
    gaussians: Gaussians

    def __deepcopy__(self, memo: Any) -> "Seen":
        return self  # nothing changes it

    def flags(self, looks: Looks, distance: float) -> list[Flag]:
        """Why an image with these looks and this distance is unlike what the model has seen."""
        ranges = self.ranges
        smallest, largest = ranges.side or (1, math.inf)
        low, high = ranges.sharpness
        low, high = low - OCTAVE, high + OCTAVE
        wrong = {
            Flag.SIZE: looks.side is not None and not smallest / ZOOM <= looks.side <= largest * ZOOM,
            Flag.SHARPNESS: not low <= looks.sharpness <= high,
            Flag.UNLIKE: distance > ranges.distance,
        }
        return [flag for flag, applies in wrong.items() if applies]


def flags_of(looks: Looks, seen: Seen | None, distance: float) -> str:
    """The flags of an image, joined by `+`; empty if nothing speaks against its class.

    Args:
        looks: What it looks like.
        seen: What the model has seen; None if this is not known.
        distance: Distance of its embedding from those of training cells.
    """
    if looks.nuclei >= FIELD:
        return Flag.FIELD  # many cells are no single one, whatever else they are
    found = [] if looks.nucleus else [Flag.NO_NUCLEUS]
    return "+".join([*found, *(seen.flags(looks, distance) if seen else [])])


def has_class(flags: str) -> bool:
    """Whether an image with these flags may be given a class."""
    return not WITHOUT_CLASS & set(flags.split("+"))


def quantile(calibration: Float[Tensor, " n"], rate: float) -> tuple[float, float]:
    """The threshold that a new value exceeds with a probability of at most a rate, and that rate.

    It is the conformal quantile, the value number `ceil((n + 1) (1 - rate))` of `n` sorted ones. If `n` is too small for the
    rate, the largest value is the threshold, and the rate is `1 / (n + 1)`.
    """
    number = len(calibration)
    place = min(number, math.ceil((number + 1) * (1 - rate)))
    return float(calibration.sort().values[place - 1]), max(rate, 1 / (number + 1))


def seen_of(
    embeddings: Float[Tensor, "n d"],
    groups: Int[Tensor, " n"],
    judged: Float[Tensor, "m d"] | Bool[Tensor, " n"],
    sharpness: Sequence[float],
    sides: Sequence[int],
) -> Seen:
    """What a model has seen, from embeddings and looks of its training cells.

    Args:
        embeddings: Embeddings of training cells.
        groups: Dataset and class of each, as a number.
        judged: What the threshold is calibrated on: embeddings of other cells, or which of the training cells; these are
            measured by Gaussians that were fitted without them.
        sharpness: Sharpness of training cells.
        sides: Shorter side of the images of training cells, in pixels; empty if not known.
    """
    gaussians = Gaussians.fitted(embeddings, groups)
    if judged.dtype == torch.bool:
        far = _left_out(embeddings, groups, judged.nonzero().flatten())
    else:
        far = gaussians.distances(judged)
    threshold, rate = quantile(far, RATE)
    ranges = Ranges(
        cells=len(sharpness),
        side=(min(sides), max(sides)) if sides else None,
        sharpness=(float(np.min(sharpness)), float(np.max(sharpness))),
        centres=len(gaussians.centres),
        distance=threshold,
        rate=rate,
        calibrated=len(far),
    )
    return Seen(ranges, gaussians)


def _left_out(
    embeddings: Float[Tensor, "n d"], groups: Int[Tensor, " n"], rows: Int[Tensor, " m"]
) -> Float[Tensor, " m"]:
    """Distances of some cells, each from Gaussians that were fitted without it."""
    far = torch.zeros(len(rows), dtype=torch.float64)
    folds = torch.arange(len(rows)) % min(FOLDS, len(rows))
    for fold in range(int(folds.max()) + 1):
        kept = torch.ones(len(embeddings), dtype=torch.bool)
        kept[rows[folds == fold]] = False
        if kept.any():
            fitted = Gaussians.fitted(embeddings[kept], groups[kept])
            far[folds == fold] = fitted.distances(embeddings[rows[folds == fold]])
    return far
