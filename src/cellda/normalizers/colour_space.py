"""The two colour spaces of the Reinhard transform, each as matrix, nonlinearity, matrix.

In both spaces a pixel's coordinates are `matrix @ curve(rgb) + offset`, where `curve` is the costly part
(logarithms or roots). A transform that is affine in the coordinates therefore needs the curve once, its inverse once,
and 3x3 matrices in between.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

SpaceName = Literal["lalphabeta", "lab"]
Rows = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]

DARKEST = 1 / 255
"""Channels are raised to this before a logarithm: one grey level of an 8-bit image."""

# Reinhard et al. 2001, RGB to LMS and its published inverse (rounded: their product is the identity to 0.008).
_LMS_OF_RGB: Rows = ((0.3811, 0.5783, 0.0402), (0.1967, 0.7244, 0.0782), (0.0241, 0.1288, 0.8444))
_RGB_OF_LMS: Rows = ((4.4679, -3.5873, 0.1193), (-1.2186, 2.3809, -0.1624), (0.0497, -0.2439, 1.2045))

# Linear sRGB to XYZ over the D65 white and back, with the constants of kornia.
_WHITE = (0.95047, 1.0, 1.08883)
_XYZ_OF_RGB: Rows = (
    (0.412453 / _WHITE[0], 0.357580 / _WHITE[0], 0.180423 / _WHITE[0]),
    (0.212671, 0.715160, 0.072169),
    (0.019334 / _WHITE[2], 0.119193 / _WHITE[2], 0.950227 / _WHITE[2]),
)
_RGB_OF_XYZ: Rows = (
    (3.2404813432005266 * _WHITE[0], -1.5371515162713185, -0.4985363261688878 * _WHITE[2]),
    (-0.9692549499965682 * _WHITE[0], 1.8759900014898907, 0.0415559265582928 * _WHITE[2]),
    (0.0556466391351772 * _WHITE[0], -0.2040413383665112, 1.0573110696453443 * _WHITE[2]),
)


@dataclass(frozen=True)
class ColourSpace:
    """Coordinates are `matrix @ curve(rgb) + offset`.

    Attributes:
        curve: `(B, 3, N)` RGB in [0, 1] to the nonlinear values; a fresh tensor the caller may overwrite.
        uncurve: The way back to RGB, clipped to [0, 1]; may overwrite its argument.
        matrix: From nonlinear values to coordinates, without the offset.
        inverse: From coordinates, less the offset, to nonlinear values.
        offset: Added to the coordinates.
    """

    curve: Callable[[Float[Tensor, "b 3 n"]], Float[Tensor, "b 3 n"]]
    uncurve: Callable[[Float[Tensor, "b 3 n"]], Float[Tensor, "b 3 n"]]
    matrix: Rows
    inverse: Rows
    offset: tuple[float, float, float]


def _mix(rows: Rows, pixels: Float[Tensor, "b 3 n"]) -> Float[Tensor, "b 3 n"]:
    """One 3x3 matrix on every pixel; bmm, because matmul would fold the batch by copying it."""
    return torch.bmm(pixels.new_tensor(rows).expand(len(pixels), 3, 3), pixels)


def _log_lms(rgb: Float[Tensor, "b 3 n"]) -> Float[Tensor, "b 3 n"]:
    return _mix(_LMS_OF_RGB, rgb.clamp(min=DARKEST)).log_()


def _rgb_of_log_lms(log_lms: Float[Tensor, "b 3 n"]) -> Float[Tensor, "b 3 n"]:
    return _mix(_RGB_OF_LMS, log_lms.exp_()).clamp_(0, 1)


def _power(values: Float[Tensor, "b 3 n"], exponent: float) -> Float[Tensor, "b 3 n"]:
    """`values ** exponent` for positive values, overwriting them; exp and log are faster than pow."""
    return values.log_().mul_(exponent).exp_()


def _lab_roots(rgb: Float[Tensor, "b 3 n"]) -> Float[Tensor, "b 3 n"]:
    """f(X), f(Y), f(Z) of CIELAB from sRGB; the thresholds are kornia's."""
    linear = _power((rgb.clamp(min=0.04045) + 0.055).div_(1.055), 2.4)
    xyz = _mix(_XYZ_OF_RGB, torch.where(rgb > 0.04045, linear, rgb / 12.92))
    return torch.where(xyz > 0.008856, _power(xyz.clamp(min=0.008856), 1 / 3), 7.787 * xyz + 4 / 29)


def _rgb_of_lab_roots(roots: Float[Tensor, "b 3 n"]) -> Float[Tensor, "b 3 n"]:
    # Z cannot be negative; kornia clamps it alone, and out-of-gamut colours must come out as they do there.
    floor = roots.new_tensor((-torch.inf, -torch.inf, 0.0))[:, None]
    roots = torch.maximum(roots, floor)
    xyz = torch.where(roots > 0.2068966, roots.square() * roots, (roots - 4 / 29) / 7.787)
    linear = _mix(_RGB_OF_XYZ, xyz)
    encoded = 1.055 * _power(linear.clamp(min=0.0031308), 1 / 2.4) - 0.055
    return torch.where(linear > 0.0031308, encoded, 12.92 * linear).clamp_(0, 1)


_3, _6, _2 = 1 / sqrt(3), 1 / sqrt(6), 1 / sqrt(2)

LALPHABETA = ColourSpace(
    curve=_log_lms,
    uncurve=_rgb_of_log_lms,
    matrix=((_3, _3, _3), (_6, _6, -2 * _6), (_2, -_2, 0.0)),
    inverse=((_3, _6, _2), (_3, _6, -_2), (_3, -2 * _6, 0.0)),
    offset=(0.0, 0.0, 0.0),
)
"""Ruderman's decorrelated space: natural logarithms of LMS, rotated; no units."""

LAB = ColourSpace(
    curve=_lab_roots,
    uncurve=_rgb_of_lab_roots,
    matrix=((0.0, 116.0, 0.0), (500.0, -500.0, 0.0), (0.0, 200.0, -200.0)),
    inverse=((1 / 116, 1 / 500, 0.0), (1 / 116, 0.0, 0.0), (1 / 116, 0.0, -1 / 200)),
    offset=(-16.0, 0.0, 0.0),
)
"""CIELAB (D65, 2 degrees): L in 0..100, a and b about -128..127."""

SPACES: dict[SpaceName, ColourSpace] = {"lalphabeta": LALPHABETA, "lab": LAB}
