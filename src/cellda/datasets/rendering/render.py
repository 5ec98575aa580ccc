"""Render images from keys: the only way to make synthetic cells."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import UInt8
from torch import Tensor

from cellda.datasets.rendering import smear
from cellda.datasets.rendering.domains import Domain
from cellda.datasets.rendering.optics import OPTICS_DRAWS, photographed, stained, transmitted
from cellda.datasets.rendering.random_numbers import Draws
from cellda.datasets.rendering.smear import Scene, scene_draws

CHUNK = 24
"""Images rendered together: few enough for the temporaries to stay in the processor's cache."""


class CellKey(NamedTuple):
    """What an image depends on, in addition to its domain and size.

    Attributes:
        label: Index of its kind (`cellda.datasets.rendering.grammar.KINDS`).
        number: Number of the cell in its class.
        stream: Any text that distinguishes series of cells, such as seed and domain.
    """

    label: int
    number: int
    stream: str

    def seed(self, purpose: str) -> int:
        """A 63-bit seed, the same on every machine."""
        text = f"{self.stream}|{self.label}|{self.number}|{purpose}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def draw_scene(keys: Sequence[CellKey], domain: Domain, size: int) -> Scene:
    """The undegraded scenes that `render` photographs, for measuring shapes."""
    draws = Draws.seeded([key.seed("scene") for key in keys], scene_draws(domain))
    return smear.draw_scene(torch.tensor([key.label for key in keys]), domain, size, draws)


def render(keys: Sequence[CellKey], domain: Domain, size: int) -> UInt8[Tensor, "n 3 size size"]:
    """Render one image per key; an image depends only on its key, the domain and the size.

    Args:
        keys: Which cells.
        domain: Stains, microscope and camera.
        size: Side in pixels; the field of view stays the same.

    Returns:
        `(N, 3, size, size)` uint8 RGB.
    """
    out = torch.empty(len(keys), 3, size, size, dtype=torch.uint8)
    with torch.no_grad():
        for first in range(0, len(keys), CHUNK):
            chunk = keys[first : first + CHUNK]
            scene = draw_scene(chunk, domain, size)
            draws = Draws.seeded([key.seed("optics") for key in chunk], OPTICS_DRAWS)
            light = transmitted(stained(scene.substrates, domain, draws), domain.azure, domain.eosin)
            noise = [key.seed("noise") for key in chunk]
            out[first : first + len(chunk)] = photographed(light, domain, draws, noise)
    return out
