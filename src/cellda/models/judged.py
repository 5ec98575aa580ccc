"""Which images a model cannot judge: no nucleus, a field of many cells, or unlike the cells that the model was trained on.

The last is measured: the distance of an embedding, scaled to unit length, to its k-th nearest neighbour among stored
embeddings of training cells (Y. Sun, Y. Ming, X. Zhu, Y. Li: Out-of-distribution detection with deep nearest neighbors, ICML
2022). The threshold is the conformal quantile of this distance on cells that are not stored and, if there are others, were not
trained on, so that at most the stated share of new cells like them is flagged (S. Bates et al.: Testing for outliers with
conformal p-values, Annals of Statistics 2023). docs/judging.md has the rates that were measured on real cells.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from cellda.models.looks import FIELD, Looks
from cellda.plugins.settings import Settings

RATE = 0.01
"""Share of real cells that may be flagged as unlike the training cells, where there are cells enough to calibrate that."""
NEIGHBOURS = 3
ZOOM = 2.0
"""Images may be this many times smaller or larger than those that the model has seen."""
MOST_STORED = 10_000


class Flag(StrEnum):
    """Why an image cannot be judged."""

    FIELD = "field"
    NO_NUCLEUS = "no_nucleus"
    SIZE = "size"
    SHARPNESS = "sharpness"
    UNLIKE = "unlike"


WITHOUT_CLASS = frozenset({Flag.FIELD, Flag.NO_NUCLEUS})
"""An image with one of these flags shows no single cell, and is given no class."""

Finite = Annotated[float, Field(allow_inf_nan=False)]


class Ranges(Settings):
    """What the training cells of a model look like, and how far from them a cell may lie.

    Attributes:
        cells: Number of training cells that were measured.
        side: Smallest and largest shorter side of their images, in pixels; None if they were not read from image files.
        sharpness: Least and most sharp (`cellda.models.looks.Looks`).
        stored: Number of stored embeddings.
        neighbours: Which neighbour's distance is measured.
        distance: Largest distance of a cell that is like the training cells.
        rate: Share of cells like the calibration cells that lie farther.
        calibrated: Number of calibration cells.
    """

    cells: int = Field(ge=1)
    side: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] | None
    sharpness: tuple[Finite, Finite]
    stored: int = Field(ge=1, le=MOST_STORED)
    neighbours: int = Field(ge=1, le=MOST_STORED)
    distance: float = Field(ge=0, le=2)
    rate: float = Field(gt=0, lt=1)
    calibrated: int = Field(ge=1)


@dataclass(frozen=True, eq=False)
class Seen:
    """What a model has seen.

    Attributes:
        ranges: Ranges and thresholds.
        embeddings: `(stored, D)` embeddings of training cells, of unit length.
    """

    ranges: Ranges
    embeddings: Float[Tensor, "m d"]

    def __deepcopy__(self, memo: Any) -> "Seen":
        return self  # nothing changes it

    def flags(self, looks: Looks, distance: float) -> list[Flag]:
        """Why an image with these looks and this distance is unlike what the model has seen."""
        ranges = self.ranges
        smallest, largest = ranges.side or (1, math.inf)
        low, high = ranges.sharpness
        wrong = {
            Flag.SIZE: not smallest / ZOOM <= looks.side <= largest * ZOOM,
            Flag.SHARPNESS: not low <= looks.sharpness <= high,
            Flag.UNLIKE: distance > ranges.distance,
        }
        return [flag for flag, applies in wrong.items() if applies]


def flags_of(looks: Looks, seen: Seen | None, distance: float) -> str:
    """The flags of an image, joined by `+`; empty if nothing speaks against its class.

    Args:
        looks: What it looks like.
        seen: What the model has seen; None if this is not known.
        distance: Distance of its embedding from the stored ones.
    """
    if looks.nuclei >= FIELD:
        return Flag.FIELD  # many cells are no single one, whatever else they are
    found = [] if looks.nucleus else [Flag.NO_NUCLEUS]
    return "+".join([*found, *(seen.flags(looks, distance) if seen else [])])


def has_class(flags: str) -> bool:
    """Whether an image with these flags may be given a class."""
    return not WITHOUT_CLASS & set(flags.split("+"))


def distances(
    embeddings: Float[Tensor, "n d"], stored: Float[Tensor, "m d"], neighbours: int
) -> Float[Tensor, " n"]:
    """Distance of each embedding to its k-th nearest stored one, after scaling to unit length; in [0, 2].

    Args:
        embeddings: Any length.
        stored: Of unit length.
        neighbours: k; all stored embeddings if there are fewer.
    """
    cosines = F.normalize(embeddings.float(), dim=1) @ stored.T
    nearest = cosines.topk(min(neighbours, len(stored)), dim=1).values[:, -1]
    return (2 - 2 * nearest).clamp_min(0).sqrt()


def quantile(calibration: Float[Tensor, " n"], rate: float) -> tuple[float, float]:
    """The threshold that a new value exceeds with a probability of at most a rate, and that rate.

    It is the conformal quantile, the value number `ceil((n + 1) (1 - rate))` of `n` sorted ones. If `n` is too small for the
    rate, the largest value is the threshold, and the rate is `1 / (n + 1)`.
    """
    number = len(calibration)
    place = min(number, math.ceil((number + 1) * (1 - rate)))
    return float(calibration.sort().values[place - 1]), max(rate, 1 / (number + 1))


def seen_of(
    stored: Float[Tensor, "m d"],
    calibration: Float[Tensor, "n d"] | None,
    looks: Sequence[float],
    sides: Sequence[int],
) -> Seen:
    """What a model has seen, from embeddings and looks of its training cells.

    Args:
        stored: Embeddings of training cells.
        calibration: Embeddings of cells that it was not trained on; None measures each stored cell against the others.
        looks: Sharpness of training cells.
        sides: Shorter side of the images of training cells, in pixels; empty if not known.
    """
    unit = F.normalize(stored.float(), dim=1)
    itself = calibration is None  # then the nearest stored embedding is the cell's own
    others = distances(unit if calibration is None else calibration, unit, NEIGHBOURS + itself)
    threshold, rate = quantile(others, RATE)
    ranges = Ranges(
        cells=len(looks),
        side=(min(sides), max(sides)) if sides else None,
        sharpness=(float(np.min(looks)), float(np.max(looks))),
        stored=len(unit),
        neighbours=NEIGHBOURS,
        distance=min(2.0, threshold),
        rate=rate,
        calibrated=len(others),
    )
    return Seen(ranges, unit)
