"""The framing `cell`: it finds the nucleus by colour and cuts a square around it, a fixed multiple of its size.

Position and magnification are then the same in every image, whatever the microscope, the camera and the cropping.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy import ndimage

from cellda.framing import register
from cellda.framing.base import UNSURE, Box, Framing, Pixels
from cellda.framing.scale import LEAST, Found, Scale
from cellda.imaging.nucleus import LEAST_AREA, LEAST_CONTRAST, Mask, Plane, opened, otsu, violet_of

MOST_WIDTH = 0.8
"""As a share of the frame's shorter side. A wider region is not a nucleus but everything stained; it is divided again."""
CORE = 0.6
"""Touching nuclei are separated where they are thinner than this share of their thickest part."""
NEAR = 0.3
"""Distance from the centre, as a share of the shorter side, at which a part's weight falls to 1/e."""
AT_EDGE = 0.4
"""Weight of a part that the frame cuts off, which is more likely to be a neighbour."""
LOBE_AREA = 0.02
"""Parts smaller than this share of the nucleus are not lobes."""
TIGHT, WIDE = 0.15, 0.4
"""Largest gap between a lobe and the nucleus, in its diameters; `WIDE` if joining the lobe brings it nearer the centre."""


ALREADY = "The images are framed already, most of them more tightly than by a square around the nucleus"


@dataclass(frozen=True, eq=False)
class Nucleus:
    """Where a nucleus lies.

    Attributes:
        centre: `(x, y)` of its centre of mass, in pixels of the image.
        diameter: Of the disc with the same second moment, in pixels of the image; separate lobes make it larger.
        mask: `(h, w)` in the small copy of the image.
        filled: Whether what is stained was too wide for a nucleus at first, and was divided again.
    """

    centre: tuple[float, float]
    diameter: float
    mask: Mask
    filled: bool


@register("cell")
class Cell(Framing):
    """Find the nucleus by its violet colour and cut a square around it, a multiple of its size.

    Where the scale of the dataset is known, nuclei of an unusual size take the nearest usual one; where no nucleus is found,
    or one of a size that it cannot have, the middle of the image is shown at the usual size, or all of it if the cells of the
    dataset lie anywhere. No square is larger than the longer side of the image.

    Args:
        factor: Side of the square, in diameters of the nucleus.
        scale: Size of the cells of the dataset; by default learned from its images, if there are at least 20. A given one is
            replaced if the images are clearly of another scale.
    """

    least = LEAST

    def __init__(
        self, factor: Annotated[float, Field(ge=1, le=10)] = 2.0, scale: Scale | None = None
    ) -> None:
        self.factor = factor
        self.scale = scale

    def box(self, image: Pixels) -> Box | None:
        """The square around the nucleus, or None if there is none."""
        return self.judged(image)[0]

    def judged(self, image: Pixels) -> tuple[Box | None, float]:
        """The square, and how usual the nucleus is; see `Framing.judged`."""
        height, width = image.shape[:2]
        if self.scale is not None and self.scale.whole:
            return (0, 0, width, height), 1.0
        nucleus = find_nucleus(image)
        if self.scale is None:
            return (
                (None, 0.0)
                if nucleus is None
                else (self._square(image, nucleus.centre, nucleus.diameter), 1.0)
            )
        confidence = 0.0 if nucleus is None else self.scale.confidence(nucleus.diameter)
        if nucleus is None or confidence < UNSURE:
            if not self.scale.middle:
                return None, confidence
            return self._square(image, (width / 2, height / 2), self.scale.diameter), confidence
        return self._square(image, nucleus.centre, self.scale.limited(nucleus.diameter)), confidence

    def _square(self, image: Pixels, centre: tuple[float, float], diameter: float) -> Box:
        side = min(self.factor * diameter, max(image.shape[:2]))
        x, y = (place - side / 2 for place in centre)
        return round(x), round(y), max(1, round(side)), max(1, round(side))

    def measure(self, image: Pixels) -> Found | None:
        """The size of the nucleus."""
        nucleus = find_nucleus(image)
        if nucleus is None:
            return None
        height, width = image.shape[:2]
        away = float(np.hypot(nucleus.centre[0] - width / 2, nucleus.centre[1] - height / 2))
        diameter = nucleus.diameter
        return Found(diameter, diameter / min(height, width), away / diameter, nucleus.filled)

    def learned(self, found: Sequence[Found | None]) -> dict[str, Any]:
        """The scale, unless the given one agrees with the images."""
        scale = Scale.of(found, self.factor)
        agreed = scale is None or (self.scale is not None and self.scale.agrees(scale))
        return {} if agreed else {"scale": scale}

    def news(self, before: Framing) -> str:
        """Whether images are shown whole, or framed by another scale than that of a model."""
        scale, known = self.scale, getattr(before, "scale", None)
        if scale is None or scale == known:
            return ""
        if scale.whole:
            return f"{ALREADY}: they are shown whole."
        if known is None:
            return ""
        return (
            f"The images are of another scale than the cells of the model (nuclei of {scale.diameter:.0f} px in the median, "
            f"{known.diameter:.0f} px there): they are framed by their own."
        )


def find_nucleus(image: Pixels) -> Nucleus | None:
    """Find the nucleus of the cell in the middle, or None if nothing in the image is as violet as one.

    Otsu's threshold divides the image by how violet it is (`cellda.imaging.nucleus`), and touching nuclei are separated at
    their waist. The large, central part is chosen and its lobes are joined to it.

    Args:
        image: `(H, W, 3)` uint8 RGB.
    """
    mask, filled = _nucleus(*violet_of(image))
    if mask is None:
        return None
    (y, x), diameter = _centre_and_diameter(mask)
    scale = image.shape[0] / mask.shape[0], image.shape[1] / mask.shape[1]
    centre = (x + 0.5) * scale[1], (y + 0.5) * scale[0]
    return Nucleus(centre, diameter * float(np.sqrt(scale[0] * scale[1])), mask, filled)


def _nucleus(violet: Plane, inside: Mask) -> tuple[Mask | None, bool]:
    threshold, contrast = otsu(violet[inside])
    if contrast < LEAST_CONTRAST:
        return None, False
    filled = False
    while True:
        stained = opened(violet, threshold, inside)
        mask = _central(stained)
        if mask is None or _centre_and_diameter(mask)[1] <= MOST_WIDTH * min(mask.shape):
            return mask, filled
        filled = True
        threshold, contrast = otsu(violet[stained])
        if contrast < LEAST_CONTRAST:
            return mask, filled


def _central(stained: Mask) -> Mask | None:
    """The part that is large and near the centre, with its lobes; None if all parts are too small."""
    parts = _parts(stained)
    numbers = np.arange(1, parts.max() + 1)
    if len(numbers) == 0:
        return None
    middle = (np.array(stained.shape) - 1) / 2
    areas = ndimage.sum_labels(stained, parts, numbers)
    centres = np.array(ndimage.center_of_mass(stained, parts, numbers))
    away = np.hypot(*(centres - middle).T) / min(stained.shape)
    at_edge = np.isin(numbers, np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
    first = int(np.argmax(areas * np.exp(-((away / NEAR) ** 2)) * np.where(at_edge, AT_EDGE, 1)))
    if areas[first] < LEAST_AREA * stained.size:
        return None
    lobes = (areas >= LOBE_AREA * areas[first]) & (~at_edge | at_edge[first])
    taken = parts == numbers[first]
    while (lobe := _next_lobe(taken, parts, numbers[lobes], middle)) is not None:
        taken = np.asarray(taken | (parts == lobe))
    return np.asarray(taken)


def _parts(stained: Mask) -> npt.NDArray[np.int64]:
    """Label the connected parts, separating those that touch only at a waist; 0 where nothing is stained."""
    labels, count = ndimage.label(stained)
    if count == 0:
        return np.asarray(labels, np.int64)
    # A nucleus continues beyond the frame.
    depth = ndimage.distance_transform_edt(np.pad(stained, 1, mode="edge"))[1:-1, 1:-1]
    deepest = np.concatenate([[np.inf], ndimage.maximum(depth, labels, np.arange(1, count + 1))])
    cores, _ = ndimage.label(depth >= CORE * deepest[labels], np.ones((3, 3)))
    nearest = ndimage.distance_transform_edt(cores == 0, return_distances=False, return_indices=True)
    return np.where(stained, cores[tuple(nearest)], 0).astype(np.int64)


def _next_lobe(
    taken: Mask, parts: npt.NDArray[np.int64], lobes: npt.NDArray[np.int64], middle: Plane
) -> int | None:
    """The nearest part that belongs to the nucleus and has not been joined yet; None if there is none."""
    lobes = lobes[~np.isin(lobes, parts[taken])]
    if len(lobes) == 0:
        return None
    centre, diameter = _centre_and_diameter(taken)
    gaps = np.atleast_1d(ndimage.minimum(ndimage.distance_transform_edt(~taken), parts, lobes))
    for number in np.argsort(gaps, kind="stable"):
        joined, _ = _centre_and_diameter(taken | (parts == lobes[number]))
        closer = np.hypot(*(joined - middle)) < np.hypot(*(centre - middle))
        if gaps[number] <= (WIDE if closer else TIGHT) * diameter:
            return int(lobes[number])
    return None


def _centre_and_diameter(mask: Mask) -> tuple[Plane, float]:
    """Centre of mass `(y, x)` in pixel indices, and the diameter of the disc with the same second moment."""
    places = np.argwhere(mask)
    centre = places.mean(0)
    # A pixel is a square, with a second moment of 1/6.
    moment = ((places - centre) ** 2).sum(1).mean() + 1 / 6
    return centre, float(2 * np.sqrt(2 * moment))
