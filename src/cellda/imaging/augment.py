"""Augmentation as batched tensor operations on `(B, 3, H, W)` images in [0, 1]."""

import math

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn import functional as F

DEGRADED_SIDE = (0.22, 0.9)
"""Range of the lowered resolution, as a share of the image's side: 50 to 200 of 224 pixels in the paper."""

ZOOM = (0.6, 1.4)
"""Range of the random zoom; below 1 the cell shrinks, and reflection fills the frame."""

CUTOUT = 0.4
"""Largest side of the covered square, as a share of the image's side."""

STRONG_STAIN = 2.0
"""Strength of the stain jitter in strong views: twice the strength used in fine-tuning."""

STAIN = {"density": math.log(1.25), "balance": 0.1, "exposure": 0.15}
"""Largest log factors of the optical density of all channels, of each channel's density, and of the light."""


def random_dihedral(images: Float[Tensor, "b 3 s s"], generator: Generator) -> Float[Tensor, "b 3 s s"]:
    """Apply one of the eight symmetries of the square to each image, all equally likely."""
    coins = torch.rand(3, len(images), 1, 1, 1, generator=generator).to(images.device) < 0.5
    images = torch.where(coins[0], images.transpose(2, 3), images)
    images = torch.where(coins[1], images.flip(2), images)
    return torch.where(coins[2], images.flip(3), images)


def random_zoom(images: Float[Tensor, "b 3 s s"], generator: Generator) -> Float[Tensor, "b 3 s s"]:
    """Magnify each image about its centre by a factor drawn log-uniformly from `ZOOM` (paper, Fig. 4b)."""
    low, high = torch.tensor(ZOOM).log().tolist()
    factors = (low + (high - low) * torch.rand(len(images), generator=generator)).exp()
    return zoom(images, factors.to(images))


def zoom(images: Float[Tensor, "b 3 s s"], factors: Float[Tensor, " b"]) -> Float[Tensor, "b 3 s s"]:
    """Magnify each image about its centre; factor 1 changes nothing, and below 1 reflection fills the frame."""
    theta = torch.zeros(len(images), 2, 3, dtype=images.dtype, device=images.device)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 / factors
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def random_degrade(images: Float[Tensor, "b 3 s s"], generator: Generator) -> Float[Tensor, "b 3 s s"]:
    """Downsample each image to a random side in `DEGRADED_SIDE` and upsample it again (paper, Fig. 4c)."""
    low, high = DEGRADED_SIDE
    shares = low + (high - low) * torch.rand(len(images), generator=generator)
    return torch.cat(
        [degrade(image[None], share) for image, share in zip(images, shares.tolist(), strict=True)]
    )


def degrade(images: Float[Tensor, "b 3 s s"], share: float) -> Float[Tensor, "b 3 s s"]:
    """Resize to `share` of the side (antialiased) and back."""
    side = images.shape[-1]
    small = F.interpolate(images, size=max(1, round(side * share)), mode="bilinear", antialias=True)
    return F.interpolate(small, size=side, mode="bilinear").clamp(0, 1)


def random_stain(
    images: Float[Tensor, "b 3 s s"], generator: Generator, strength: float
) -> Float[Tensor, "b 3 s s"]:
    """Vary the stain's strength, the colour balance and the light of each image.

    By the Beer-Lambert law, an intensity is `exp(-density)`. One factor per image and one per channel multiply the densities,
    which raises the intensity to a power; another factor multiplies the light. The logarithms of the factors are drawn
    uniformly, up to `strength` times those in `STAIN`; `strength=0` changes nothing.

    Args:
        images: `(B, 3, S, S)` in [0, 1].
        generator: A generator on the CPU.
        strength: At least 0.
    """
    density, balance, exposure = (
        ((2 * torch.rand(len(images), channels, 1, 1, generator=generator) - 1) * strength * STAIN[name])
        .exp()
        .to(images)
        for name, channels in (("density", 1), ("balance", 3), ("exposure", 1))
    )
    return (images.pow(density * balance) * exposure).clamp(0, 1)


def random_cutout(images: Float[Tensor, "b 3 s s"], generator: Generator) -> Float[Tensor, "b 3 s s"]:
    """Cover a square of each image with the image's mean colour (DeVries and Taylor 2017).

    Its side is at most `CUTOUT` of the image's side. Its centre may be anywhere in the image, so part of it may lie outside.
    """
    half, row, column = torch.rand(3, len(images), 1, 1, 1, generator=generator).to(images)
    half = half * CUTOUT / 2
    side = images.shape[-1]
    places = (torch.arange(side, device=images.device) + 0.5) / side
    covered = ((places.view(-1, 1) - row).abs() < half) & ((places - column).abs() < half)
    return torch.where(covered, images.mean((2, 3), keepdim=True), images)


def random_strong(images: Float[Tensor, "b 3 s s"], generator: Generator) -> Float[Tensor, "b 3 s s"]:
    """A strong view of each cell, for methods that require agreement with a weak view.

    Stain and light vary twice as much as in fine-tuning; the cell is zoomed (`ZOOM`), flipped and rotated, and partly
    covered. RandAugment's other operations (posterize, invert, shear) are left out: they produce images that no microscope
    could produce, and colour distinguishes some classes.
    """
    images = random_zoom(random_stain(images, generator, STRONG_STAIN), generator)
    return random_cutout(random_dihedral(images, generator), generator)
