"""What can be measured of a framed cell: the shape of its nucleus, its cytoplasm, and how both take the stain.

A second view of the cell beside a network's, of quantities that have names: a report can show them to a person. The nucleus
is found by its violet colour (`cellda.imaging.nucleus`), the cytoplasm is what is stained around it. All measures are
relative: to the size of the nucleus or of the frame, and to the light of the empty smear.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from cellda.imaging.nucleus import LEAST_CONTRAST, Mask, Plane, opened, otsu
from cellda.imaging.padding import background, find_smear

SIDE = 96
"""Side at which cells are measured, in pixels: larger images are reduced to it; for smaller ones, the widths below shrink."""
SMOOTH = 1.5
"""Standard deviation of the smoothing before the nucleus is found: it removes granules and keeps lobes."""
FINE, COARSE = 1.0, 2.5
"""Granules are what smoothing by `FINE` removes; clumps, what smoothing by `COARSE` then removes. Standard deviations."""
NEAR = 0.15
"""Distance from the middle, as a share of the frame, at which the weight of a violet part falls to 1/e."""
LOBE_AREA, LOBE_GAP = 0.05, 0.12
"""A part belongs to the nucleus if it has this share of the area of the main part, and lies within this share of the frame."""
CORE = 0.6
"""Lobes are separated where the nucleus is thinner than this share of its thickest part."""
AROUND = 1.0
"""The cytoplasm is looked for up to this distance from the nucleus, in radii of a disc of its area."""
STAINED = 0.175
"""Cytoplasm has at least this share of the median density of the nucleus."""
LEAST = 20
"""Pixels of the smallest cytoplasm that is measured as such; below it, the rim around the nucleus is."""

CHANNELS = ("red", "green", "blue")
SHAPE = (
    "nucleus_area",
    "nucleus_roundness",
    "nucleus_solidity",
    "nucleus_eccentricity",
    "nucleus_lobes",
    "nucleus_parts",
    "nucleus_thickness",
    "nucleus_spread",
    "cytoplasm_ratio",
    "nucleus_offset",
)
STAIN = (
    *(
        f"{kind}_{channel}"
        for kind in ("density", "unevenness", "granules", "clumps")
        for channel in CHANNELS
    ),
    "violet_low",
    "violet_high",
    "eosin_low",
    "eosin_high",
)
CONTRAST = (*(f"cytoplasm_share_{channel}" for channel in CHANNELS), "cytoplasm_hue")
NAMES = (*SHAPE, *(f"{part}_{name}" for part in ("nucleus", "cytoplasm") for name in STAIN), *CONTRAST)
"""In the order of the columns of `measure`.

- Shape. `nucleus_area`: share of the frame. `nucleus_roundness`: 4 pi area / perimeter^2. `nucleus_solidity`: share of its
  convex hull. `nucleus_eccentricity`: of the ellipse with its moments. `nucleus_lobes`, `nucleus_parts`: numbers of lobes and
  of separate parts. In radii of a disc of the nucleus's area: `nucleus_thickness`, radius of the largest disc inside;
  `nucleus_spread`, root mean square distance from its centre; `nucleus_offset`, distance of its centre from that of the cell.
  `cytoplasm_ratio`: area of the cytoplasm over that of the nucleus.
- Stain of both, in optical density (natural logarithm) relative to the empty smear. `density_*`: mean. `unevenness_*`:
  standard deviation. `granules_*`, `clumps_*`: standard deviation of details finer than `FINE`, and between `FINE` and
  `COARSE`. `violet_*`: 10th and 90th percentile of green minus blue; `eosin_*`: of green minus red.
- Contrast. `cytoplasm_share_*`: mean density of the cytoplasm; `cytoplasm_hue`: red minus green of it; both over the sum of
  the nucleus's three densities, so that they do not depend on how strongly the smear is stained.
"""


@torch.no_grad()
def measure(images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b m"]:
    """Measure framed cells.

    Args:
        images: `(B, 3, S, S)` RGB in [0, 1], the cell in the middle, a square of about two diameters of its nucleus.

    Returns:
        `(B, len(NAMES))` on the CPU; NaN for an image without a nucleus.
    """
    pixels = images.detach().float().cpu()
    if pixels.shape[-1] > SIDE:
        pixels = F.interpolate(pixels, size=SIDE, mode="bilinear", antialias=True).clamp(0, 1)
    smear = find_smear(pixels)
    inside = torch.ones_like(pixels[:, 0], dtype=torch.bool) if smear is None else smear
    light = background(pixels, inside).clamp(min=1 / 255)
    density = -(pixels.clamp(min=1 / 255) / light[..., None, None]).log() * inside[:, None]
    rows = [_measured(*each) for each in _filtered(density.numpy(), inside.numpy())]
    return torch.from_numpy(np.array(rows, np.float32)).reshape(len(pixels), len(NAMES))


@dataclass(frozen=True, eq=False)
class Region:
    """Nucleus and cytoplasm of one image, and what belongs to it.

    Attributes:
        nucleus: `(s, s)`.
        cytoplasm: `(s, s)`; empty where the cell is all nucleus.
        parts: Number of separate parts of the nucleus.
        radius: Of a disc of the nucleus's area, in pixels.
    """

    nucleus: Mask
    cytoplasm: Mask
    parts: int
    radius: float


def regions(smooth: Plane, inside: Mask) -> Region | None:
    """Find nucleus and cytoplasm.

    Args:
        smooth: `(3, s, s)` smoothed optical densities.
        inside: `(s, s)`, true where there is smear.

    Returns:
        Both, or None if nothing is as violet as a nucleus.
    """
    violet = smooth[1] - smooth[2]
    threshold, contrast = otsu(violet[inside])
    stained = opened(violet, threshold, inside)
    labels, number = ndimage.label(stained)
    if contrast < LEAST_CONTRAST or number == 0:
        return None
    side = inside.shape[-1]
    rows, columns = np.indices(inside.shape)
    away = np.hypot(rows - (side - 1) / 2, columns - (side - 1) / 2) / side
    index = np.arange(1, number + 1)
    areas = np.bincount(labels.ravel())[1:]
    main = int(np.argmax(areas * np.exp(-ndimage.minimum(away, labels, index) / NEAR)))
    gaps = ndimage.minimum(ndimage.distance_transform_edt(labels != main + 1), labels, index)
    lobes = (areas >= LOBE_AREA * areas[main]) & (areas <= areas[main]) & (gaps < LOBE_GAP * side)
    lobes[main] = True
    nucleus = np.isin(labels, index[lobes])
    radius = float(np.sqrt(nucleus.sum() / np.pi))
    outside = ndimage.distance_transform_edt(~nucleus)
    total = smooth.sum(0)
    around = (outside > 0) & (outside < AROUND * radius) & inside & ~stained
    cytoplasm = around & (total > STAINED * np.median(total[nucleus]))
    if cytoplasm.sum() < LEAST:
        cytoplasm = (outside > 0) & (outside < 0.35 * radius + 0.025 * side) & inside
    return Region(nucleus, cytoplasm, int(lobes.sum()), radius)


def _filtered(density: Plane, inside: Mask) -> Iterator[tuple[Plane, Plane, Plane, Plane, Mask]]:
    """Of each image: densities, the smoothed ones, granules, clumps, and the smear."""
    scale = density.shape[-1] / SIDE
    for each, smear in zip(density, inside, strict=True):
        fine, smooth, coarse = (
            ndimage.gaussian_filter(each, (0, width * scale, width * scale), truncate=3)
            for width in (FINE, SMOOTH, COARSE)
        )
        yield each, smooth, each - fine, fine - coarse, smear


def _measured(density: Plane, smooth: Plane, granules: Plane, clumps: Plane, inside: Mask) -> list[float]:
    """All measures of one image."""
    found = regions(smooth, inside)
    if found is None:
        return [np.nan] * len(NAMES)
    row, means = _shape(found), []
    for mask in (found.nucleus, found.cytoplasm if found.cytoplasm.any() else found.nucleus):
        own = density[:, mask]
        means.append(own.mean(1))
        row += [*means[-1], *own.std(1), *granules[:, mask].std(1), *clumps[:, mask].std(1)]
        row += [*np.percentile(own[1] - own[2], (10, 90)), *np.percentile(own[1] - own[0], (10, 90))]
    shares = means[1] / max(float(means[0].sum()), 1e-6)
    return [*row, *shares, shares[0] - shares[1]]


def _shape(found: Region) -> list[float]:
    nucleus, cell = _properties(found.nucleus), _properties(found.nucleus | found.cytoplasm)
    depth = ndimage.distance_transform_edt(found.nucleus)
    moments = np.sqrt(max(0.0, float(np.trace(nucleus.inertia_tensor))))
    offset = np.hypot(*np.subtract(nucleus.centroid, cell.centroid))
    return [
        nucleus.area / found.nucleus.size,
        4 * np.pi * nucleus.area / max(nucleus.perimeter, 1.0) ** 2,
        nucleus.solidity,
        nucleus.eccentricity,
        ndimage.label(depth > CORE * depth.max())[1],
        found.parts,
        depth.max() / found.radius,
        moments / found.radius,
        found.cytoplasm.sum() / nucleus.area,
        offset / found.radius,
    ]


def _properties(mask: Mask) -> Any:
    """scikit-image's properties of a region."""
    from skimage.measure import regionprops  # takes a second to import, and models import this module

    return regionprops(mask.astype(np.uint8))[0]
