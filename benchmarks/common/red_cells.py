"""Red cells as a ruler: the circles of those that lie beside a white cell, found by colour and shape, without a label.

Red cells are about 7.2 um wide in every smear, so the width of one gives the scale of an image.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from scipy import ndimage
from skimage.morphology import h_maxima
from skimage.segmentation import watershed

from cellda.imaging.nucleus import LEAST_CONTRAST, Mask, Pixels, Plane, otsu
from cellda.imaging.padding import background, find_smear

RED_CELL = 7.2
"""Diameter of a red cell in micrometres."""
LOOK = 192
"""Pixels of the longer side of the copy in which circles are fitted: red cells are 20 to 90 px wide there."""
BLUR = 1.0
"""Standard deviation of the smoothing, in pixels of the copy."""
LEAST_STAIN = 0.12
"""Red cells absorb more green than the empty smear by at least this optical density."""
WAIST = 1.0
"""Touching cells are separated where the inscribed circle is smaller by this, in pixels of the copy."""
LEAST_RADIUS = 6.0
"""Smaller circles are platelets and specks, in pixels of the copy."""
OFF = 0.06
"""Largest root mean square distance of an outline from its circle, in radii."""
SEEN = 0.45
"""Least share of a circle that is outline: the rest may lie outside the image or under a neighbour."""
SECTORS = 36
VIOLET = 0.02
"""Largest violet share of a red cell; white cells and platelets have more."""


@dataclass(frozen=True)
class Disc:
    """A red cell: its centre and its diameter, in pixels of the image."""

    x: float
    y: float
    diameter: float


def find_red_cells(image: Pixels) -> list[Disc]:
    """The red cells that are round, and seen for nearly half of their outline or more.

    What absorbs green is divided from the empty smear by Otsu's threshold, once nuclei are left out; pallor is filled,
    touching cells are separated at their waist, and a circle is fitted to the outline of each (least squares; Kasa 1976),
    without the border of the image and what touches another cell.

    Args:
        image: `(H, W, 3)` uint8 RGB.
    """
    share = min(1.0, LOOK / max(image.shape[:2]))
    green, violet, inside = _densities(image, share)
    stained = _stained(green, violet, inside)
    if stained is None:
        return []
    mask, nuclei = stained
    depth = ndimage.gaussian_filter(
        ndimage.distance_transform_edt(np.pad(mask, 1, mode="edge"))[1:-1, 1:-1], 1
    )
    parts = watershed(-depth, ndimage.label(h_maxima(depth, WAIST))[0], mask=mask)
    discs = []
    # The frame cuts cells off: its border is not an outline.
    seen = np.zeros_like(mask)
    seen[1:-1, 1:-1] = ndimage.binary_erosion(inside, iterations=2, border_value=1)[1:-1, 1:-1]
    for number, (rows, columns) in enumerate(ndimage.find_objects(parts), 1):
        around = (
            slice(max(0, rows.start - 3), rows.stop + 3),
            slice(max(0, columns.start - 3), columns.stop + 3),
        )
        part = parts[around] == number
        if nuclei[around][part].mean() > VIOLET:
            continue
        others = ndimage.binary_dilation(mask[around] & ~part, iterations=2)
        outline = part & ~ndimage.binary_erosion(part, border_value=1) & ~others & seen[around]
        circle = _circle(np.argwhere(outline).astype(float))
        if circle is not None:
            y, x, radius = circle
            place = (x + around[1].start + 0.5) / share, (y + around[0].start + 0.5) / share
            # The outline's pixels lie inside the cell, by half of their width.
            discs.append(Disc(*place, (2 * radius + 1) / share))
    return discs


def _densities(image: Pixels, share: float) -> tuple[Plane, Plane, Mask]:
    """Optical density of a small copy in green, the same less that in blue, and where its smear is."""
    size = max(1, round(image.shape[1] * share)), max(1, round(image.shape[0] * share))
    resized = np.array(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    small = torch.from_numpy(resized).permute(2, 0, 1)[None].float() / 255
    found = find_smear(small)
    smear = torch.ones_like(small[:, 0], dtype=torch.bool) if found is None else found
    inside = smear[0].numpy()
    rgb, empty = small[0].double().numpy(), background(small, smear)[0].double().numpy()
    green, blue = (
        -np.log(
            np.maximum(ndimage.gaussian_filter(np.where(inside, plane, light), BLUR), 1 / 255)
            / max(light, 1 / 255)
        )
        for plane, light in zip(rgb[1:], empty[1:], strict=True)
    )
    return green, green - blue, inside


def _stained(green: Plane, violet: Plane, inside: Mask) -> tuple[Mask, Mask] | None:
    """All cells, filled, and what is violet in them; None if nothing but that is stained."""
    square = np.ones((3, 3), bool)
    threshold, contrast = otsu(violet[inside])
    nuclei = np.zeros_like(inside)
    if contrast >= LEAST_CONTRAST:
        nuclei = ndimage.binary_opening((violet > threshold) & inside, square)
    rest = inside & ~ndimage.binary_dilation(nuclei, iterations=2)
    if rest.sum() < (2 * LEAST_RADIUS) ** 2:
        return None
    threshold, contrast = otsu(green[rest])
    if contrast < LEAST_STAIN:
        return None
    filled = ndimage.binary_fill_holes((green > threshold) & inside | nuclei)
    return np.asarray(ndimage.binary_opening(filled, square)), np.asarray(nuclei)


def _circle(points: npt.NDArray[np.float64]) -> tuple[float, float, float] | None:
    """The circle `(y, x, radius)` through an outline; None if the outline is not one, or too little of one."""
    if len(points) < SECTORS * SEEN:
        return None
    equations = np.column_stack([2 * points, np.ones(len(points))])
    y, x, rest = np.linalg.lstsq(equations, (points**2).sum(1), rcond=None)[0]
    radius = float(np.sqrt(max(rest + y**2 + x**2, 0)))
    away = points - (y, x)
    sectors = np.floor(np.arctan2(*away.T) / (2 * np.pi) * SECTORS)
    off = np.sqrt(((np.hypot(*away.T) - radius) ** 2).mean())
    if radius < LEAST_RADIUS or off > OFF * radius or len(np.unique(sectors)) < SEEN * SECTORS:
        return None
    return float(y), float(x), radius
