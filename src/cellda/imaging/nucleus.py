"""Where an image is as violet as a nucleus; framings cut by it, and `cellda.models.looks` asks whether there is any.

Both examine a small copy of the image, relative to its own empty smear.
"""

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, UInt8
from PIL import Image
from scipy import ndimage
from torch import Tensor

from cellda.imaging.padding import background, find_smear

Pixels = UInt8[np.ndarray, "h w 3"]
Plane = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

LOOK = 96
"""Pixels of the longer side of the small copy: nuclei stay 10 px wide, granules vanish."""
BLUR = 1.5
"""Standard deviation of the smoothing, in pixels of the small copy: it removes granules and camera noise and keeps lobes."""
LEAST_CONTRAST = 0.15
"""A nucleus is more violet than the rest by at least this optical density; empty smears and red cells are not."""
LEAST_AREA = 0.008
"""A nucleus fills at least this share of the frame; platelets and specks are smaller."""


def look(image: Pixels) -> tuple[Float[Tensor, "1 3 h w"], Bool[Tensor, "1 h w"]]:
    """A small copy of an image in [0, 1], and a mask of its smear: true outside black padding."""
    height, width = image.shape[:2]
    share = min(1.0, LOOK / max(height, width))
    size = max(1, round(width * share)), max(1, round(height * share))
    resized = np.array(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    small = torch.from_numpy(resized).permute(2, 0, 1)[None].float() / 255
    smear = find_smear(small)
    return small, torch.ones_like(small[:, 0], dtype=torch.bool) if smear is None else smear


def violet_of(image: Pixels) -> tuple[Plane, Mask]:
    """How violet the small copy of an image is, and where its smear is.

    Nuclei absorb green and transmit blue; red cells absorb both, so the difference of the two optical densities distinguishes
    them in every Romanowsky stain.

    Returns:
        `(h, w)` optical density in green minus that in blue, relative to the empty smear, of the smoothed copy; and its smear.
    """
    small, smear = look(image)
    inside = smear[0].numpy()
    rgb, empty = small[0].double().numpy(), background(small, smear)[0].double().numpy()
    planes = []
    for plane, light in zip(rgb[1:], empty[1:], strict=True):
        smooth = ndimage.gaussian_filter(np.where(inside, plane, light), BLUR)
        planes.append(-np.log(np.maximum(smooth, 1 / 255) / max(light, 1 / 255)))
    return np.asarray(planes[0] - planes[1]), inside


def otsu(values: Plane) -> tuple[float, float]:
    """Otsu's threshold (1979), and the distance between the means of the two classes."""
    counts, edges = np.histogram(values, 128)
    centres = (edges[1:] + edges[:-1]) / 2
    low = np.cumsum(counts)[:-1]
    high = counts.sum() - low
    sums = np.cumsum(counts * centres)
    apart = (sums[-1] - sums[:-1]) / np.maximum(high, 1) - sums[:-1] / np.maximum(low, 1)
    best = int(np.argmax(low * high * apart**2))
    return float(edges[best + 1]), float(apart[best])


def opened(violet: Plane, threshold: float, inside: Mask) -> Mask:
    """Where an image is more violet than a threshold, without specks."""
    return np.asarray(ndimage.binary_opening((violet > threshold) & inside, np.ones((3, 3), bool)))
