"""Compare kornia with the PyTorch code of augmentation: `python -m benchmarks.speed.kornia_ops`.

Every operation of `cellda.imaging.augment`, the flips and rotations of `symmetries`, the blur of `imaging.nucleus`, and the
blur and JPEG of synthetic cells alternate with kornia's nearest equivalent, on the same random numbers, in one process: 16
images at 128 px, channels-last as in training, one thread. The result goes to `benchmarks/results/speed/kornia.csv`. `ratio`
is the median over the rounds of (kornia's seconds / ours): above 1 kornia is slower. `difference` is the largest one of the
results. kornia replaces an operation where it is not slower and the difference is at most 1e-4. About half a minute.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import kornia.enhance
import kornia.filters
import kornia.geometry.transform as geometry
import numpy as np
import torch
from kornia.color import lab_to_rgb, rgb_to_lab
from kornia.geometry.bbox import bbox_generator, bbox_to_mask
from scipy.ndimage import gaussian_filter
from torch import Generator, Tensor
from torch.nn import functional as F

import cellda.datasets
from benchmarks.common.options import command, command_line
from benchmarks.speed.contest import record
from cellda.datasets.rendering.optics import _jpeg, blurred
from cellda.imaging.augment import CUTOUT, degrade, random_cutout, random_dihedral, zoom
from cellda.imaging.colour_space import KORNIA_LAB, LAB, ColourSpace, shear, unshear
from cellda.imaging.nucleus import BLUR
from cellda.imaging.symmetries import dihedral_views

COUNT, SIDE, ROUNDS = 16, 128, 61


@dataclass(frozen=True)
class Pair:
    """One operation, done by cellda and by kornia."""

    what: str
    kornia: str
    ours: Callable[[], Tensor]
    theirs: Callable[[], Tensor]


def dihedral(images: Tensor, generator: Generator) -> Tensor:
    """`random_dihedral` with kornia's flips; kornia has no transpose."""
    coins = torch.rand(3, len(images), 1, 1, 1, generator=generator) < 0.5
    images = torch.where(coins[0], images.transpose(2, 3), images)
    images = torch.where(coins[1], geometry.vflip(images), images)
    return torch.where(coins[2], geometry.hflip(images), images)


def views(images: Tensor) -> Iterator[Tensor]:
    """`dihedral_views` with kornia's flips."""
    for turned in (images, images.transpose(2, 3)):
        for rows in (turned, geometry.vflip(turned)):
            for view in (rows, geometry.hflip(rows)):
                yield view.contiguous(memory_format=torch.channels_last)


def degraded(images: Tensor, share: float) -> Tensor:
    """`degrade` with kornia's resize, whose antialiasing is a Gaussian blur."""
    small = geometry.resize(images, (max(1, round(SIDE * share)),) * 2, antialias=True)
    return geometry.resize(small, (SIDE, SIDE)).clamp(0, 1)


def cutout(images: Tensor, generator: Generator) -> Tensor:
    """`random_cutout` with kornia's boxes, as in its `RandomErasing`; they lie on whole pixels."""
    half, row, column = torch.rand(3, len(images), generator=generator)
    half = half * CUTOUT / 2
    left, top = (((place - half) * SIDE - 0.5).ceil() for place in (column, row))
    right, bottom = (((place + half) * SIDE - 0.5).floor() for place in (column, row))
    boxes = bbox_generator(left, top, right - left + 1, bottom - top + 1)
    mask = bbox_to_mask(boxes, SIDE, SIDE)[:, None]
    return torch.where(mask == 1, images.mean((2, 3), keepdim=True), images)


def through(space: ColourSpace, images: Tensor) -> Tensor:
    """There and back."""
    planes = shear(space.curve(images.flatten(2)), space.steps)
    mean, std = planes.mean(2), planes.std(2)
    back, _ = (
        torch.stack(each) for each in zip(*map(space.planes, *space.coordinates(mean, std)), strict=True)
    )
    planes = planes + (back - mean)[:, :, None]
    return space.uncurve(unshear(planes, space.steps)).view(images.shape)


def pairs(images: Tensor) -> list[Pair]:
    """What is compared."""

    def seeded() -> Generator:
        return Generator().manual_seed(0)

    factors = torch.rand(COUNT, generator=seeded()) * 0.8 + 0.6
    planes = images[:, 1].double().numpy()
    sigma, width = (
        torch.full((COUNT,), BLUR),
        2 * int(4 * BLUR + 0.5) + 1,
    )  # scipy cuts at four deviations too
    rendered = images.contiguous()
    levels = (rendered * 255).round().to(torch.uint8)
    quality = [80] * COUNT
    return [
        Pair(
            "random_dihedral",
            "hflip, vflip",
            lambda: random_dihedral(images, seeded()),
            lambda: dihedral(images, seeded()),
        ),
        Pair(
            "dihedral_views",
            "hflip, vflip",
            lambda: torch.stack(list(dihedral_views(images))),
            lambda: torch.stack(list(views(images))),
        ),
        Pair(
            "zoom",
            "geometry.transform.scale",
            lambda: zoom(images, factors),
            lambda: geometry.scale(images, factors, None, "bilinear", "reflection", False),
        ),
        Pair(
            "degrade",
            "geometry.transform.resize",
            lambda: degrade(images, 0.4),
            lambda: degraded(images, 0.4),
        ),
        Pair(
            "degrade, up only",
            "geometry.transform.resize",
            lambda: F.interpolate(images, size=2 * SIDE, mode="bilinear"),
            lambda: geometry.resize(images, (2 * SIDE, 2 * SIDE)),
        ),
        Pair(
            "random_cutout",
            "geometry.bbox, as RandomErasing",
            lambda: random_cutout(images, seeded()),
            lambda: cutout(images, seeded()),
        ),
        Pair(
            "framing: blur",
            "filters.gaussian_blur2d",
            lambda: torch.from_numpy(np.stack([gaussian_filter(plane, BLUR) for plane in planes])),
            lambda: torch.cat(
                [
                    kornia.filters.gaussian_blur2d(torch.from_numpy(plane)[None, None], width, (BLUR, BLUR))[
                        0
                    ]
                    for plane in planes
                ]
            ),
        ),
        Pair(
            "synthetic cells: blur",
            "filters.gaussian_blur2d",
            lambda: blurred(rendered, sigma, sigma),
            lambda: kornia.filters.gaussian_blur2d(rendered, width, torch.stack([sigma, sigma], 1)),
        ),
        Pair(
            "synthetic cells: JPEG",
            "enhance.jpeg_codec_differentiable",
            lambda: _jpeg(levels, quality) / 255,
            lambda: kornia.enhance.jpeg_codec_differentiable(rendered, torch.tensor(quality).float()),
        ),
        Pair(
            "CIELAB and back",
            "color.rgb_to_lab, lab_to_rgb",
            lambda: through(LAB, images),
            lambda: lab_to_rgb(rgb_to_lab(images)),
        ),
        Pair(
            "CIELAB and back, as on an accelerator",
            "color.rgb_to_lab, lab_to_rgb",
            lambda: through(LAB, images),
            lambda: through(KORNIA_LAB, images),
        ),
    ]


def seconds_of(run: Callable[[], Tensor]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def main(given: Sequence[str] | None = None) -> None:
    """Compare and time every pair, and record the result."""
    command_line(__doc__).parse_args(given)
    torch.set_num_threads(1)
    images = cellda.datasets.load("synthetic/0", per_class=3).read(range(COUNT), SIDE) / 255
    images = images.contiguous(memory_format=torch.channels_last)
    rows = []
    for pair in pairs(images):
        difference = float((pair.ours() - pair.theirs()).abs().max())
        times = [(seconds_of(pair.ours), seconds_of(pair.theirs)) for _ in range(ROUNDS)]
        ours, theirs = (statistics.median(each) for each in zip(*times, strict=True))
        ratio = statistics.median(their / own for own, their in times)
        rows.append(
            {
                "what": pair.what,
                "kornia": pair.kornia,
                "ratio": ratio,
                "difference": difference,
                "ours_seconds": ours,
                "kornia_seconds": theirs,
                "images": COUNT,
                "side": SIDE,
                "rounds": ROUNDS,
            }
        )
        print(f"{pair.what}: kornia takes {ratio:.2f} times as long, differs by {difference:.1g}")
    record("kornia", rows)


if __name__ == "__main__":
    command(main)
