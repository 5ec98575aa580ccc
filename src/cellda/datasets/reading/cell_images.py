"""How the pixels of a dataset's cells are read: whole, in their own size, framed."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Float, UInt8
from torch import Tensor

from cellda.datasets.reading.decode import Box, decode_every, decode_resized, unusable
from cellda.datasets.reading.formats.further import previews

if TYPE_CHECKING:
    from cellda.framing.base import Framing, Pixels


class CellImages(ABC):
    """The part of `CellDataset` that reads pixels."""

    root: Path | None
    table: pd.DataFrame
    bits: int | None

    @property
    @abstractmethod
    def folder(self) -> Path:
        """See `CellDataset.folder`."""

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
