"""How large the cells of one dataset are, from what a framing found in its images; no label is used."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Self

import numpy as np
from pydantic import Field

from cellda.plugins.settings import Settings

LEAST = 20
"""Images with a nucleus, below which the size of one is not told by the others."""
ALIKE = 1.4
"""Largest factor between a usual nucleus and the dataset's median: beyond it, a size is more often wrong than unusual. Sets of
images whose medians differ by more are not of one scale."""

MOST, MIDDLE = 0.9, 0.5
"""Cells lie in the middle if this share of their nuclei is nearer to it than this, in diameters of the nucleus: a square of
two diameters around the middle then shows them."""


@dataclass(frozen=True)
class Found:
    """The size of a nucleus.

    Attributes:
        diameter: In pixels.
        share: The same, as a share of the image's shorter side.
        away: Distance of its centre from that of the image, in diameters.
        filled: Whether nearly the whole image was as violet as a nucleus at first.
    """

    diameter: float
    share: float
    away: float
    filled: bool


class Scale(Settings):
    """The size of the cells of one dataset.

    Attributes:
        diameter: The usual diameter of a nucleus, in pixels of the images: the median.
        images: Number of images it was found in.
        whole: Whether the images are framed already, so tightly that most squares would be larger than their image: then
            images are shown whole.
        middle: Whether cells lie in the middle of their images, so that a nucleus that is not found is there as well.
    """

    diameter: Annotated[float, Field(gt=0)]
    images: Annotated[int, Field(ge=1)]
    whole: bool = False
    middle: bool = True

    @classmethod
    def of(cls, found: Sequence[Found | None], factor: float) -> Self | None:
        """The scale of a dataset; it does not depend on the order of the images.

        Args:
            found: What was found in each image; None where nothing was.
            factor: Side of a square, in diameters of the nucleus.

        Returns:
            None if a nucleus was found in fewer than `LEAST` images. In tight crops it often is not: where at least `LEAST`
            were looked at, and in most nothing was found or a square would be larger, they are framed already.
        """
        known = [one for one in found if one is not None]
        tight = np.mean([one.filled or factor * one.share > 1 for one in known]) if known else 0.0
        if len(known) < LEAST:
            tight = (tight * len(known) + len(found) - len(known)) / max(1, len(found))
            if not known or len(found) < LEAST or tight <= 0.5:
                return None
        # Rounded, so that a saved description reads as the very same number.
        diameter = round(float(np.median([one.diameter for one in known])), 3)
        away = np.quantile([one.away for one in known], MOST)
        return cls(diameter=diameter, images=len(known), whole=bool(tight > 0.5), middle=bool(away < MIDDLE))

    def agrees(self, other: "Scale") -> bool:
        """Whether two sets of images may be of one microscope and cropped alike."""
        return self.whole == other.whole and self.usual(other.diameter)

    def usual(self, diameter: float) -> bool:
        """Whether a diameter is that of a usual nucleus."""
        return self.confidence(diameter) >= 1 / ALIKE

    def confidence(self, diameter: float) -> float:
        """How usual a diameter is: the ratio of the smaller one to the larger one, in (0, 1]."""
        return min(diameter / self.diameter, self.diameter / diameter)

    def limited(self, diameter: float) -> float:
        """A diameter, or the nearest usual one."""
        return min(max(diameter, self.diameter / ALIKE), self.diameter * ALIKE)
