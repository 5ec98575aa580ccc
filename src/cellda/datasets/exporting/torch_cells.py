"""Cells as a map-style dataset of PyTorch, as torchvision's own datasets are."""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from torch.utils.data import Dataset

from cellda.datasets.exporting.exported import Exported
from cellda.errors import ConfigurationError
from cellda.framing.base import cut
from cellda.framing.spec import FramingSpec

if TYPE_CHECKING:
    from cellda.framing.base import Pixels


class TorchCells(Dataset[tuple[Any, int]]):
    """Cells as `(image, class index)`, decoded when they are asked for by the reading of cellda.

    It can be pickled for the workers of a `DataLoader` if its transform can.

    Args:
        cells: The dataset.
        transform: Called with a Pillow image in mode RGB; its result takes the place of the image.
        framing: What is cut out of every image.
        size: Side in pixels that images are resized to; None leaves every image in its own size.

    Attributes:
        classes: Class names; an index of `targets` stands for the name at its place.
        class_to_idx: Class name -> index.
        targets: The class index of every cell.
        framing: The framing, with what it learned from the images.

    Raises:
        ConfigurationError: If `size` is not a positive whole number.
    """

    def __init__(
        self,
        cells: Exported,
        transform: Callable[[Image.Image], Any] | None,
        framing: FramingSpec,
        size: int | None,
    ) -> None:
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
            raise ConfigurationError(
                f"size must be a whole number of pixels from 1 on, or None; got {size!r}."
            )
        self.cells, self.transform, self.size = cells, transform, size
        self.framing = cells.learned(framing, size or 1)
        self.targets: list[int] = cells.labels.tolist()
        names = (*cells.taxonomy.classes, *cells.taxonomy.members)
        self.classes = list(names[: max(len(cells.taxonomy.classes), 1 + max(self.targets))])
        self.class_to_idx = {name: index for index, name in enumerate(self.classes)}

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        """The transformed image, and its class index.

        Raises:
            IndexError: If there is no such cell.
            DataError: If its file cannot be decoded.
        """
        row = range(len(self))[index]
        image = self.image(row)
        return image if self.transform is None else self.transform(image), self.targets[row]

    def __iter__(self) -> Iterator[tuple[Any, int]]:
        return (self[index] for index in range(len(self)))

    @cached_property
    def groups(self) -> list[str]:
        """The group of every cell, for splits that do not leak (`CellDataset.effective_groups`); reads all files once."""
        return self.cells.effective_groups()

    def image(self, row: int) -> Image.Image:
        """One image in mode RGB, before the transform: with `size`, the pixels that a run sees.

        Raises:
            DataError: If its file cannot be decoded.
        """
        framing = self.framing.build()
        if self.size is not None:
            cells = self.cells
            pixels = (
                cells.framed([row], self.size, framing)[0] if framing.cuts else cells.read([row], self.size)
            )
            return Image.fromarray(np.ascontiguousarray(pixels[0].permute(1, 2, 0).numpy()))
        found: list[Pixels] = []
        self.cells.originals([row], lambda _, image: found.append(image))
        box = framing.judged(found[0])[0] if framing.cuts else None
        return Image.fromarray(found[0] if box is None else cut(found[0], box))

    def __repr__(self) -> str:
        return f"TorchCells({self.cells.full_name}, {len(self):,} cells, {len(self.classes)} classes)"
