"""How the pixels of a dataset's cells are read: whole, in their own size, framed."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd
from jaxtyping import Float, UInt8
from torch import Tensor

from cellda.datasets.reading.decode import Box, decode_every, decode_resized, unusable
from cellda.datasets.reading.formats.further import previews
from cellda.errors import DataError
from cellda.framing.spec import FramingSpec
from cellda.runtime import progress
from cellda.runtime.work import Stage, Work

if TYPE_CHECKING:
    from cellda.framing.base import Found, Framing, Pixels

LEARNED_FROM = 2000
"""Most images of a dataset that its framing learns from."""
BLOCK = 32
"""Images measured together."""


class CellImages(ABC):
    """The part of `CellDataset` that reads pixels."""

    root: Path | None
    table: pd.DataFrame
    bits: int | None
    one_scale: ClassVar[bool]

    @property
    @abstractmethod
    def folder(self) -> Path:
        """See `CellDataset.folder`."""

    @property
    @abstractmethod
    def full_name(self) -> str:
        """See `CellDataset.full_name`."""

    def read(self, indices: Sequence[int], size: int) -> UInt8[Tensor, "n 3 size size"]:
        """Decode cells and resize them to `size` x `size`, without keeping the aspect, as in the paper.

        Resizing is bilinear with antialiasing.

        Raises:
            DataError: If files cannot be decoded; the message lists them all.
        """
        return decode_resized(self._places(indices), size, bits=self.bits)

    def originals(
        self,
        indices: Sequence[int],
        use: Callable[[int, "Pixels"], None],
        least: int = 1,  # noqa: ARG002
    ) -> None:
        """Call `use` with the position of each cell in `indices` and its image in its own size, from several threads.

        Rendered cells have a side of at least `least` pixels.

        Raises:
            DataError: If files cannot be decoded; the message lists them all.
        """
        files = self._places(indices)
        decode_every(files, lambda place, image: use(place, np.array(image)), bits=self.bits)

    def framed(
        self, indices: Sequence[int], size: int, framing: "Framing"
    ) -> tuple[UInt8[Tensor, "n 3 size size"], Float[Tensor, " n"]]:
        """Decode cells, frame each at its own size, and resize to `size` x `size`.

        Returns:
            The images, channels-last in memory, and the confidence of the framing in each, in [0, 1].

        Raises:
            DataError: If files cannot be decoded; the message lists them all.
        """
        return framing.frame_all(lambda use: self.originals(indices, use, size), len(indices), size)

    def learned(self, spec: FramingSpec, size: int) -> FramingSpec:
        """A framing with what it learns from these images (`Framing.learned`); itself if it learns nothing.

        If there are many images, it learns from some: evenly spread ones in the order of names, whatever that of the table.

        Args:
            spec: The framing.
            size: Least side in pixels of rendered cells.
        """
        framing = spec.build()
        if not framing.cuts:
            return spec
        names, boxes = self.table["path"].tolist(), self.table["box"]
        order = sorted(range(len(names)), key=lambda row: (names[row], str(boxes[row])))
        rows = sorted(order[:: max(1, math.ceil(len(order) / LEARNED_FROM))])
        found: list[Found | None] = []
        if self.one_scale and framing.least and framing.least <= len(rows):
            with progress.task(Work(Stage.FRAME, self.full_name), len(rows)) as advance:
                for start in range(0, len(rows), BLOCK):
                    part = rows[start : start + BLOCK]
                    with suppress(DataError):  # listed when the images are decoded to be used
                        self.originals(part, lambda _place, image: found.append(framing.measure(image)), size)
                    advance(len(part))
        return spec.fitted(found)

    def unusable(self, advance: Callable[[int], None]) -> dict[int, str]:
        """Decode every cell completely and say which cannot be used: row of the table -> reason.

        Args:
            advance: Called with 1 after each cell.
        """
        if self.root is None:
            return {}
        cells = zip(self.table["path"], self.table["box"], strict=True)
        return unusable([(self.root / path, box) for path, box in cells], advance, bits=self.bits)

    def with_previews(self, indices: Sequence[int]) -> list[int]:
        """Those of some cells whose image files also hold smaller pictures (previews), which are passed over."""
        if self.root is None:
            return []
        return [row for row, (file, _) in zip(indices, self._places(indices), strict=True) if previews(file)]

    def _places(self, indices: Sequence[int]) -> list[tuple[Path, Box | None]]:
        """File and box of cells."""
        rows = self.table.iloc[list(indices)]
        return list(zip((self.folder / path for path in rows["path"]), rows["box"], strict=True))
