"""What can be said of an image without a model: is there a nucleus, are there many, how large and how sharp is it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from scipy import ndimage

from cellda.imaging.nucleus import LEAST_AREA, LEAST_CONTRAST, Pixels, look, opened, otsu, violet_of
from cellda.imaging.padding import background

FIELD = 4
"""Nuclei apart from each other that make an image a field of many cells."""
FIELD_LOOK = 512
"""Pixels of the longer side of the copy in which nuclei are counted: nuclei of a field of 3,000 px are 15 px wide in it."""
SMALLEST = 6
"""Diameter of the smallest nucleus that is counted, in pixels of that copy."""
ALIKE = 0.3
"""Nuclei of one field have at least this share of the area of the largest; platelets and specks are smaller."""
APART = 0.6
"""Nuclei are apart if the gap is more than this share of the largest diameter; lobes of one nucleus are nearer."""
ALONE = 0.12
"""Diameter of the largest nucleus, as a share of the longer side, from which few in the small copy are few in the larger."""
LARGEST = 0.5
"""Diameter of the largest nucleus that is surely one, in the same measure; something wider may be a stained background."""


@dataclass(frozen=True)
class Looks:
    """What an image looks like.

    Attributes:
        side: Shorter side of the image in pixels; None if it was resized before, so that this says nothing.
        sharpness: Logarithm to base 2 of the variance of the Laplacian of the grey image that the network sees
            (J. L. Pech-Pacheco et al.: Diatom autofocusing in brightfield microscopy, ICPR 2000).
        nucleus: Whether a nucleus was found.
        nuclei: Number of nuclei apart from each other; 1 if they were not counted.
    """

    side: int | None
    sharpness: float
    nucleus: bool
    nuclei: int


def look_at(image: Pixels, seen: UInt8[np.ndarray, "s s 3"]) -> Looks:
    """Look at one image.

    Args:
        image: The whole image.
        seen: The part of it that the network sees, in the network's size.
    """
    width, parts = nuclei_at_a_glance(image)
    alone = width is not None and ALONE < width < LARGEST and parts < FIELD - 1
    nuclei = 1 if alone else count_nuclei(image)
    return Looks(min(image.shape[:2]), sharpness(seen), width is not None, nuclei)


def nuclei_at_a_glance(image: Pixels) -> tuple[float | None, int]:
    """Diameter of the largest part that is as violet as a nucleus, as a share of the longer side; and how many are alike.

    It is what `framing.cell` calls a nucleus, without choosing among several. The diameter is None if there is none.
    """
    violet, inside = violet_of(image)
    threshold, contrast = otsu(violet[inside])
    if contrast < LEAST_CONTRAST:
        return None, 0
    labels, _ = ndimage.label(opened(violet, threshold, inside))
    areas = np.bincount(labels.ravel())[1:]
    largest = int(areas.max(initial=0))
    if largest < LEAST_AREA * inside.size:
        return None, 0
    return 2 * float(np.sqrt(largest / np.pi)) / max(inside.shape), int((areas >= ALIKE * largest).sum())


def sharpness(image: UInt8[np.ndarray, "s s 3"]) -> float:
    """Logarithm to base 2 of one plus the variance of the Laplacian of the grey image, in 8-bit steps."""
    grey = np.asarray(Image.fromarray(image).convert("L"), np.float32)
    inner = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner
    return float(np.log2(1 + laplacian.var()))


def count_nuclei(image: Pixels) -> int:
    """Number of nuclei of similar size that lie apart from each other; 1 for a small image."""
    height, width = image.shape[:2]
    if max(height, width) < FIELD_LOOK // 2:
        return 1
    share = min(1.0, FIELD_LOOK / max(height, width))
    size = max(1, round(width * share)), max(1, round(height * share))
    small = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX), np.float32) / 255
    empty = background(*look(image))[0].numpy()
    density = -np.log(np.maximum(small[..., 1:], 1 / 255) / np.maximum(empty[1:], 1 / 255))
    violet = ndimage.uniform_filter(density[..., 0] - density[..., 1], 3)
    stained = violet > max(LEAST_CONTRAST, 0.5 * float(np.percentile(violet, 99.5)))
    labels, count = ndimage.label(ndimage.binary_opening(stained, np.ones((3, 3), bool)))
    if count < FIELD:
        return count
    areas = np.bincount(labels.ravel())[1:]
    kept = areas >= max(ALIKE * np.sort(areas)[-FIELD:].mean(), np.pi * SMALLEST**2 / 4)
    if kept.sum() < FIELD:
        return 1
    diameter = 2 * float(np.sqrt(areas[kept].max() / np.pi))
    nuclei = np.isin(labels, np.flatnonzero(kept) + 1)
    _, count = ndimage.label(ndimage.distance_transform_edt(~nuclei) <= APART * diameter / 2)
    return int(count)
