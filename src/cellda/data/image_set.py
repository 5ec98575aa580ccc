"""A set of decoded images, the input of the network."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from cellda.errors import ConfigurationError
from cellda.normalizers.base import Normalizer


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Some rows of a dataset's decoded images, with or without labels.

    Attributes:
        pixels: `(M, 3, S, S)` uint8, all images of the dataset (memory-mapped; never copied as a whole).
        rows: `(N,)` the images that are in the set.
        normalizer: The stain normalizer of these images.
        known_labels: `(N,)` class indices, or None for an unlabelled pool.
        groups: The group of each image, for splits that keep groups together.
        degrade: Whether training lowers the resolution and zooms (for sources sharper than the targets).
    """

    pixels: UInt8[Tensor, "m 3 s s"]
    rows: Int[Tensor, " n"]
    normalizer: Normalizer
    known_labels: Int[Tensor, " n"] | None = None
    groups: tuple[str, ...] = ()
    degrade: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labels(self) -> Int[Tensor, " n"]:
        """`(N,)` class indices.

        Raises:
            ConfigurationError: If the set is unlabelled.
        """
        if self.known_labels is None:
            raise ConfigurationError("This image set has no labels: unlabelled pools are images only.")
        return self.known_labels

    def raw(self, positions: Sequence[int] | Tensor) -> UInt8[Tensor, "b 3 s s"]:
        """The uint8 images at these positions of the set, channels-last in memory."""
        return self.pixels[self.rows[torch.as_tensor(positions)]].contiguous(
            memory_format=torch.channels_last
        )

    def subset(self, positions: Sequence[int] | Tensor) -> Self:
        """The images at these positions, with their labels and groups."""
        chosen = torch.as_tensor(positions, dtype=torch.int64)
        return replace(
            self,
            rows=self.rows[chosen],
            known_labels=None if self.known_labels is None else self.known_labels[chosen],
            groups=tuple(self.groups[i] for i in chosen.tolist()) if self.groups else (),
        )


def of_classes(sets: Iterable[ImageSet], classes: Sequence[int]) -> tuple[ImageSet, ...]:
    """The images of some classes, by their indices, in labelled sets; without sets that hold none."""
    wanted = torch.tensor(classes)
    parts = (images.subset(torch.isin(images.labels, wanted).nonzero().flatten()) for images in sets)
    return tuple(part for part in parts if len(part))
