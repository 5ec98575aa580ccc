"""The two colour spaces of the Reinhard transform, each as a matrix, a nonlinearity and another matrix.

`colour_space` chooses the implementation by device: kornia converts CIELAB on an accelerator. On a CPU the code below
does, which takes half as long there.

In both spaces, a pixel's coordinates are an affine map of `curve(rgb)`, the costly part (logarithms or roots). A
transform that is affine in the coordinates therefore needs the curve once, its inverse once, and 3x3 matrices in
between. Matrices are applied in place, by adding one colour plane to another (`Shears`). The memory stays in cache;
products with three-row matrices are several times slower.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import log, sqrt
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

SpaceName = Literal["lalphabeta", "lab"]
Triple = tuple[float, float, float]
Rows = tuple[Triple, Triple, Triple]
Shears = tuple[tuple[int, int, float], ...]
"""Steps `(to, of, factor)`, applied in order: plane `to` += factor * plane `of`."""

DARKEST = 1 / 255
"""Lower bound of channels before a logarithm: one grey level of an 8-bit image."""

# RGB to LMS and its published inverse (Reinhard et al. 2001); both are rounded: their product is the identity to 0.008.
_LMS_OF_RGB: Rows = ((0.3811, 0.5783, 0.0402), (0.1967, 0.7244, 0.0782), (0.0241, 0.1288, 0.8444))
_RGB_OF_LMS: Rows = ((4.4679, -3.5873, 0.1193), (-1.2186, 2.3809, -0.1624), (0.0497, -0.2439, 1.2045))

# Linear sRGB to XYZ, relative to the D65 white, and back; the constants are kornia's.
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

# CIELAB's root and sRGB's encoding are straight lines near black, with these slopes. Both sides of each curve use units
# in which its line has slope 1.
_ROOT_SLOPE, _SRGB_SLOPE = 7.787, 12.92


def writable(planes: Float[Tensor, "b 3 n"]) -> Float[Tensor, "b 3 n"]:
    """Planes that may be overwritten: a copy if they carry a gradient, because the backward pass may need the original."""
    return planes.clone() if planes.requires_grad else planes


def shear(planes: Float[Tensor, "b 3 n"], steps: Shears) -> Float[Tensor, "b 3 n"]:
    """Add planes to each other, step by step; overwrite the argument unless it carries a gradient."""
    planes = writable(planes)
    each = planes[:, 0], planes[:, 1], planes[:, 2]
    for to, of, factor in steps:
        each[to].add_(each[of], alpha=factor)
    return planes


def unshear(planes: Float[Tensor, "b 3 n"], steps: Shears) -> Float[Tensor, "b 3 n"]:
    """Undo `shear`; overwrite the argument unless it carries a gradient."""
    return shear(planes, tuple((to, of, -factor) for to, of, factor in reversed(steps)))


@dataclass(frozen=True)
class ColourSpace:
    """A colour space whose coordinates are the planes `shear(curve(rgb), steps)`, up to order, scale and offset.

    Attributes:
        curve: From `(B, 3, N)` RGB in [0, 1] to nonlinear values; returns a new tensor that the caller may overwrite.
        uncurve: The inverse, to unclipped RGB; may overwrite its argument.
        steps: From nonlinear values to planes.
        order: The plane of each coordinate.
        scale: Of each coordinate: its change per unit of the plane.
        offset: Added to the scaled planes that come from `curve`.
        offset_back: Added to the scaled planes that go to `uncurve`. It differs if the curves omit constants.
    """

    curve: Callable[[Float[Tensor, "b 3 n"]], Float[Tensor, "b 3 n"]]
    uncurve: Callable[[Float[Tensor, "b 3 n"]], Float[Tensor, "b 3 n"]]
    steps: Shears
    order: tuple[int, int, int]
    scale: Triple
    offset: Triple
    offset_back: Triple

    def coordinates(
        self, mean: Float[Tensor, "b 3"], std: Float[Tensor, "b 3"]
    ) -> tuple[Float[Tensor, "b 3"], Float[Tensor, "b 3"]]:
        """Convert mean and deviation of planes from `curve` to coordinates."""
        scale = mean.new_tensor(self.scale)
        return mean[:, self.order] * scale + mean.new_tensor(self.offset), std[:, self.order] * scale.abs()

    def planes(
        self, mean: Float[Tensor, "3"], std: Float[Tensor, "3"]
    ) -> tuple[Float[Tensor, "3"], Float[Tensor, "3"]]:
        """Convert mean and deviation in coordinates to planes for `uncurve`."""
        scale = mean.new_tensor(self.scale)
        place = [self.order.index(plane) for plane in range(3)]
        return ((mean - mean.new_tensor(self.offset_back)) / scale)[place], (std / scale.abs())[place]


def _factor(rows: Rows, scale_last: bool = False) -> tuple[Shears, Triple]:
    """Factor a matrix into scales and shears: scale the planes first, then shear; with `scale_last`, shear first."""
    lower, upper = np.eye(3), np.array(rows)
    for row, column in ((1, 0), (2, 0), (2, 1)):
        lower[row, column] = upper[row, column] / upper[column, column]
        upper[row] -= lower[row, column] * upper[column]
    scale = upper.diagonal().copy()
    if scale_last:
        lower, upper = lower * scale / scale[:, None], upper / scale[:, None]
    else:
        upper = upper / scale
    steps = [(0, 1, upper[0, 1]), (0, 2, upper[0, 2]), (1, 2, upper[1, 2])]
    steps += [(2, 0, lower[2, 0]), (2, 1, lower[2, 1]), (1, 0, lower[1, 0])]
    first, second, third = scale.tolist()
    return tuple((to, of, float(factor)) for to, of, factor in steps), (first, second, third)


def _scaled(rows: Rows, factor: float) -> Rows:
    first, second, third = (np.array(rows) * factor).tolist()
    return tuple(first), tuple(second), tuple(third)


# The scales of the LMS matrices are not applied: inside a logarithm they are additive constants, part of the offsets.
_LMS_STEPS, _LMS_SCALE = _factor(_LMS_OF_RGB, scale_last=True)
_LMS_STEPS_BACK, _LMS_SCALE_BACK = _factor(_RGB_OF_LMS)


def _log_lms(rgb: Float[Tensor, "b 3 n"]) -> Float[Tensor, "b 3 n"]:
    return shear(rgb.clamp(min=DARKEST), _LMS_STEPS).log2_()


def _rgb_of_log_lms(log_lms: Float[Tensor, "b 3 n"]) -> Float[Tensor, "b 3 n"]:
    return shear(log_lms.exp2_(), _LMS_STEPS_BACK)  # exp2 takes 0.4 times as long as exp


_XYZ_STEPS, _XYZ_SCALE = _factor(_scaled(_XYZ_OF_RGB, 1 / _SRGB_SLOPE))
_XYZ_STEPS_BACK, _XYZ_SCALE_BACK = _factor(_scaled(_RGB_OF_XYZ, _SRGB_SLOPE))


def _spliced(
    values: Float[Tensor, "b 3 n"], start: float, factor: float, power: float, shift: float = 0.0
) -> Float[Tensor, "b 3 n"]:
    """`factor * (values + shift) ** power` above `start`, continued below it by a line of slope 1; may overwrite its argument.

    The result is the sum of both parts, each held at `start` outside its range. `torch.where` alone takes as long as all of
    this.
    """
    upper = values.clamp(min=start)
    lower = writable(values).sub_(upper)
    if shift:
        upper.add_(shift)
    upper = upper.pow_(3) if power == 3 else upper.log2_().mul_(power).exp2_()  # pow is fast only for a cube
    return lower.add_(upper, alpha=factor)


def _lab_roots(rgb: Float[Tensor, "b 3 n"]) -> Float[Tensor, "b 3 n"]:
    """f(X), f(Y), f(Z) of CIELAB, divided by `_ROOT_SLOPE`, from sRGB; the thresholds are kornia's."""
    linear = _spliced(rgb.clone(), 0.04045, _SRGB_SLOPE / 1.055**2.4, 2.4, shift=0.055)
    xyz = shear(linear.mul_(linear.new_tensor(_XYZ_SCALE)[:, None]), _XYZ_STEPS)
    return _spliced(xyz, 0.008856, 1 / _ROOT_SLOPE, 1 / 3)


def _rgb_of_lab_roots(roots: Float[Tensor, "b 3 n"]) -> Float[Tensor, "b 3 n"]:
    # Z cannot be negative. kornia clamps only Z, and out-of-gamut colours must agree with kornia's.
    roots[:, 2].clamp_(min=0)
    xyz = _spliced(roots, 0.2068966 / _ROOT_SLOPE, _ROOT_SLOPE**3, 3.0)
    linear = shear(xyz.mul_(xyz.new_tensor(_XYZ_SCALE_BACK)[:, None]), _XYZ_STEPS_BACK)
    start = 0.0031308 * _SRGB_SLOPE
    return _spliced(linear, start, 1.055 / _SRGB_SLOPE ** (1 / 2.4), 1 / 2.4).sub_(0.055)


def _lalphabeta(lms: Triple) -> Triple:
    l, m, s = lms  # noqa: E741 - their names
    return (l + m + s) / sqrt(3), (l + m - 2 * s) / sqrt(6), (l - m) / sqrt(2)


def _logs(scale: Triple) -> Triple:
    return log(scale[0]), log(scale[1]), log(scale[2])


def _negated(values: Triple) -> Triple:
    return -values[0], -values[1], -values[2]


LALPHABETA = ColourSpace(
    curve=_log_lms,
    uncurve=_rgb_of_log_lms,
    # L - M, then (L + M) / 2, then S minus that, then (L + M + S) / 3.
    steps=((0, 1, -1.0), (1, 0, 0.5), (2, 1, -1.0), (1, 2, 1 / 3)),
    order=(1, 2, 0),
    scale=(log(2) * sqrt(3), -log(2) * sqrt(2 / 3), log(2) / sqrt(2)),
    offset=_lalphabeta(_logs(_LMS_SCALE)),
    offset_back=_negated(_lalphabeta(_logs(_LMS_SCALE_BACK))),
)
"""Ruderman's decorrelated space: natural logarithms of LMS, rotated; no units."""

LAB = ColourSpace(
    curve=_lab_roots,
    uncurve=_rgb_of_lab_roots,
    steps=((0, 1, -1.0), (2, 1, -1.0)),
    order=(1, 0, 2),
    scale=(116 * _ROOT_SLOPE, 500 * _ROOT_SLOPE, -200 * _ROOT_SLOPE),
    offset=(-16.0, 0.0, 0.0),
    offset_back=(-16.0, 0.0, 0.0),
)
"""CIELAB (D65, 2 degrees): L in 0..100, a and b about -128..127."""

SPACES: dict[SpaceName, ColourSpace] = {"lalphabeta": LALPHABETA, "lab": LAB}


def _kornia_lab(rgb: Float[Tensor, "b 3 n"]) -> Float[Tensor, "b 3 n"]:
    # Imported here: a CPU never needs kornia, and importing it takes a tenth as long as importing torch.
    from kornia.color import rgb_to_lab

    with _full_precision():
        lab: Tensor = rgb_to_lab(rgb[..., None])[..., 0]
    return lab


def _rgb_of_kornia_lab(lab: Float[Tensor, "b 3 n"]) -> Float[Tensor, "b 3 n"]:
    from kornia.color import lab_to_rgb

    with _full_precision():
        rgb: Tensor = lab_to_rgb(lab[..., None], clip=False)[..., 0]
    return rgb


@contextmanager
def _full_precision() -> Iterator[None]:
    """Switch off TF32: kornia applies its matrices as convolutions, which cuDNN by default rounds to TF32's 10 bits."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


KORNIA_LAB = ColourSpace(
    curve=_kornia_lab,
    uncurve=_rgb_of_kornia_lab,
    steps=(),
    order=(0, 1, 2),
    scale=(1.0, 1.0, 1.0),
    offset=(0.0, 0.0, 0.0),
    offset_back=(0.0, 0.0, 0.0),
)
"""CIELAB computed by kornia: the planes are the coordinates themselves."""


def colour_space(name: SpaceName, device: torch.device) -> ColourSpace:
    """The implementation of a colour space for a device; the implementations agree to 1e-4 in RGB."""
    return KORNIA_LAB if name == "lab" and device.type != "cpu" else SPACES[name]
