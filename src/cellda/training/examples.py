"""Training examples: images, which are augmented and normalized, or precomputed features."""

from collections.abc import Sequence
from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from cellda.data.image_set import ImageSet
from cellda.imaging.augment import random_degrade, random_dihedral, random_stain, random_zoom
from cellda.taxonomies.base import UNLABELLED

Batch = tuple[Tensor, Tensor, tuple[int, ...]]
"""Inputs, class indices (`UNLABELLED` where there is none), and the index of the set each input comes from (plain
integers, so that reading them does not wait for the device)."""


class Examples(Protocol):
    """Labelled examples that a loop fetches by position and prepares on its device."""

    def __len__(self) -> int: ...

    def __getitems__(self, positions: Sequence[int]) -> Batch:
        """Fetch a batch in memory order; no computation."""

    def prepare(self, batch: Batch, generator: Generator) -> Tensor:
        """Network inputs, on the device of `batch`; `generator` (CPU) provides the randomness of the augmentation."""


class ImageExamples:
    """The images of one or more sets, one after the other.

    Args:
        sets: Image sets of one image size; those without labels get the class index `UNLABELLED`.
        stain_jitter: Strength of random stain and brightness changes after normalization (`augment.random_stain`).
    """

    def __init__(self, *sets: ImageSet, stain_jitter: float = 0.0) -> None:
        self.sets = sets
        self.stain_jitter = stain_jitter
        self.lengths = [len(part) for part in sets]
        self._part = torch.repeat_interleave(torch.arange(len(sets)), torch.tensor(self.lengths))
        self._position = torch.cat([torch.arange(length) for length in self.lengths])
        self._labels = torch.cat(
            [
                torch.full((len(part),), UNLABELLED) if part.known_labels is None else part.known_labels
                for part in sets
            ]
        )

    def __len__(self) -> int:
        return len(self._labels)

    def __getitems__(self, positions: Sequence[int]) -> Batch:
        chosen = torch.as_tensor(positions)
        parts = self._part[chosen]
        side = self.sets[0].pixels.shape[-1]
        pixels = torch.empty(len(chosen), 3, side, side, dtype=torch.uint8, memory_format=torch.channels_last)
        for index, images in enumerate(self.sets):
            inside = parts == index
            if inside.any():
                pixels[inside] = images.raw(self._position[chosen[inside]])
        return pixels, self._labels[chosen], tuple(parts.tolist())

    def prepare(self, batch: Batch, generator: Generator) -> Float[Tensor, "b 3 s s"]:
        """Degrade and zoom sets with `degrade`, normalize each set with its own normalizer; then jitter, flip, rotate all."""
        pixels, _, parts = batch
        images = pixels.to(torch.float32) / 255
        for index in sorted(set(parts)):
            inside = torch.tensor([part == index for part in parts], device=images.device)
            chosen, whole = self.sets[index], len(set(parts)) == 1
            part = images if whole else images[inside]
            if chosen.degrade:
                part = random_zoom(random_degrade(part, generator), generator)
            part = chosen.normalizer.to(images.device)(part)
            if whole:
                images = part
            else:
                images[inside] = part
        if self.stain_jitter:
            images = random_stain(images, generator, self.stain_jitter)
        return random_dihedral(images, generator).contiguous(memory_format=torch.channels_last)


class FeatureExamples:
    """Features computed once, for training a head.

    Args:
        features: `(N, D)`.
        labels: `(N,)` class indices.
    """

    def __init__(self, features: Float[Tensor, "n d"], labels: Int[Tensor, " n"]) -> None:
        self.features = features
        self.labels = labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, positions: Sequence[int]) -> Batch:
        chosen = torch.as_tensor(positions)
        return self.features[chosen], self.labels[chosen], (0,) * len(chosen)

    def prepare(self, batch: Batch, generator: Generator) -> Float[Tensor, "b d"]:
        """The features as they are."""
        del generator
        return batch[0]
