"""Photograph substrates: staining, Beer-Lambert absorption, microscope and camera."""

import math
from collections.abc import Sequence
from io import BytesIO

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from cellda.datasets.rendering.cellmap import SUBSTRATES
from cellda.datasets.rendering.domains import Domain
from cellda.datasets.rendering.random_numbers import Draws

UPTAKE: dict[str, tuple[float, float]] = {
    "chromatin": (1.35, 0.85),
    "rna": (0.80, 0.06),
    "protein": (0.12, 0.22),
    "haemoglobin": (0.24, 0.30),
    "acidophil_granules": (0.26, 0.80),
    "basophil_granules": (1.7, 1.35),
    "neutrophil_granules": (0.42, 0.50),
}
"""Units of (azure, eosin) that one unit of a substrate binds under a well-buffered stain."""

SLOW = 4
"""Nodes per side of the slow variation of thickness over the frame."""
OPTICS_DRAWS = 2 * SLOW**2 + 16


def binding(domain: Domain) -> Tensor:
    """`(7, 2)` units of (azure, eosin) that one unit of each substrate binds in this domain."""
    rows = []
    for substrate in SUBSTRATES:
        factors = domain.uptake.get(substrate, (1.0, 1.0))
        rows.append([u * f * s for u, f, s in zip(UPTAKE[substrate], factors, domain.strength, strict=True)])
    return torch.tensor(rows)


def stained(substrates: Tensor, domain: Domain, draws: Draws) -> Tensor:
    """Amounts of azure and eosin `(B, 2, H, W)` bound by `substrates` `(B, 7, H, W)`.

    Both vary from slide to slide and slowly over the frame.
    """
    size = substrates.shape[-1]
    lattice = draws.normal(domain.unevenness, (2, SLOW, SLOW))
    level = draws.normal(domain.unevenness, (2,))
    slow = F.interpolate(lattice, (size, size), mode="bicubic", align_corners=True)
    uptake = binding(domain)
    amounts = torch.zeros(len(draws), 2, size, size)
    for stain in range(2):
        for channel in range(len(SUBSTRATES)):
            amounts[:, stain] += substrates[:, channel] * float(uptake[channel, stain])
    return amounts * torch.exp(slow + level[:, :, None, None])


def transmitted(amounts: Tensor, azure: Sequence[float], eosin: Sequence[float]) -> Tensor:
    """Share of the light that passes two stains (Beer-Lambert).

    `10 ** -(c_azure * OD_azure + c_eosin * OD_eosin)` in each of R, G and B.

    Args:
        amounts: `(B, 2, H, W)` units of azure and eosin, at least 0.
        azure: Optical density of one unit in R, G, B.
        eosin: Optical density of one unit in R, G, B.

    Returns:
        `(B, 3, H, W)` in (0, 1], linear light.
    """
    first, second = amounts[:, 0], amounts[:, 1]
    density = torch.stack([first * a + second * e for a, e in zip(azure, eosin, strict=True)], dim=1)
    return torch.exp(density * -math.log(10))


def photographed(light: Tensor, domain: Domain, draws: Draws, noise_seeds: Sequence[int]) -> Tensor:
    """The camera's picture of transmitted light.

    Illuminant and white balance, vignetting, defocus, shot and read noise, clipping, tone curve, black
    corners, 8 bits, JPEG, in this order.

    Args:
        light: `(B, 3, H, W)` transmission in (0, 1], linear.
        domain: Microscope and camera.
        draws: `OPTICS_DRAWS` random numbers per image, minus those that `stained` used.
        noise_seeds: Seed of each image's sensor noise.

    Returns:
        `(B, 3, H, W)` uint8 RGB.
    """
    size = light.shape[-1]
    lamp = torch.tensor(domain.illuminant) * domain.exposure * torch.exp(draws.normal(domain.cast, (3,)))
    sigma = draws.uniform(*domain.defocus)
    quality = draws.uniform(domain.jpeg[0], domain.jpeg[1] + 1)
    tilt = draws.uniform(-domain.tilt, domain.tilt)
    shade = draws.uniform(-0.2, 0.2, (2,))

    steps = (torch.arange(size) + 0.5) / size * 2 - 1
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    off = (x - shade[:, :1, None]).square() + (y - shade[:, 1:, None]).square()
    light = light * lamp[:, :, None, None] * (1 - domain.vignette * 0.5 * off)[:, None]
    light = blurred(light, sigma / domain.field * size, sigma / (domain.field * domain.height) * size)
    light = read_out(light, domain, noise_seeds).clamp_(0, 1) ** (1 / domain.gamma)
    if domain.tilt:
        light = light * _upright(x, y, torch.deg2rad(tilt))[:, None]
    return _jpeg((light * 255).round_().to(torch.uint8), quality.long().tolist())


def blurred(light: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Gaussian blur with a standard deviation of its own for each image, in pixels; borders are mirrored.

    A matrix product for each image: unlike a grouped convolution's, its value cannot depend on the batch.
    """
    columns, rows = _blur_matrices(light.shape[-1], across), _blur_matrices(light.shape[-2], down)
    return torch.stack([rows[i] @ image @ columns[i].T for i, image in enumerate(light)])


def _blur_matrices(size: int, sigma: Tensor) -> Tensor:
    """`(B, size, size)` Gaussian weights, rows summing to 1, mirrored at the ends; `sigma` `(B,)` pixels."""
    place = torch.arange(size)
    bell = torch.exp(-0.5 * (torch.arange(2 * size) / sigma.clamp(min=1e-3)[:, None]) ** 2)
    total, gap = place[:, None] + place, (place[:, None] - place).abs()
    weights = bell[:, gap] + bell[:, total + 1] + bell[:, 2 * size - 1 - total]
    return weights / weights.sum(dim=2, keepdim=True)


def read_out(light: Tensor, domain: Domain, seeds: Sequence[int]) -> Tensor:
    """Add shot noise (in its normal approximation) and read noise; smaller pixels collect less light.

    Args:
        light: `(B, 3, H, W)` linear, 1 = empty glass under the domain's brightest channel.
        domain: Its `photons` and `read_noise` are those of a frame 96 pixels wide.
        seeds: One per image.
    """
    full = domain.photons * (96 / light.shape[-1]) ** 2
    noise = torch.stack(
        [torch.randn(light.shape[1:], generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    )
    read = domain.read_noise * 96 / light.shape[-1]
    return light + noise * torch.sqrt(light / full + (read / full) ** 2)


def _upright(x: Tensor, y: Tensor, angle: Tensor) -> Tensor:
    """`(B, H, W)` 1 inside the rotated frame, 0 in its black corners."""
    cos, sin = torch.cos(angle)[:, None, None], torch.sin(angle)[:, None, None]
    reach = torch.maximum((x * cos + y * sin).abs(), (y * cos - x * sin).abs())
    return (reach < 1).float()


def _jpeg(images: Tensor, quality: Sequence[int]) -> Tensor:
    """A JPEG round trip of each image."""
    decoded = []
    for image, level in zip(images.permute(0, 2, 3, 1).numpy(), quality, strict=True):
        file = BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=level)
        decoded.append(torch.from_numpy(np.array(Image.open(file))))
    return torch.stack(decoded).permute(0, 3, 1, 2).contiguous()
