"""What a dataset is: a typed table of cells and a way to read their pixels."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import pandas as pd
import torch
from jaxtyping import UInt8
from torch import Tensor

from cellda.datasets.decode import decode_resized
from cellda.taxonomy import CLASSES

COLUMNS = ("path", "label", "raw_label", "group", "box")
"""Columns of a dataset's table, in order."""


class CellDataset(ABC):
    """Cells of one laboratory.

    Args:
        root: The dataset's own folder.

    Attributes:
        root: The dataset's own folder, or None for drawn datasets.
        table: One row a cell, `path` (str, relative to `root`, "/" as separator), `label` (one of the six classes),
            `raw_label` (the published name), `group` (str or None: the photograph, smear or patient), `box` (None or
            `(x, y, width, height)` in pixels). Cells whose raw label folds into none of the six classes are not in it.
    """

    name: ClassVar[str]
    few_shot: ClassVar[int | None] = None
    """Number of fine-tuning images in the paper's Table 3; None where the paper has none."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root
        self.table = self._index()

    @abstractmethod
    def _index(self) -> pd.DataFrame:
        """Read the layout under `root` into a table with `COLUMNS`; decodes no image.

        Raises:
            DataError: If the layout is not there, with what was looked for and what was found.
        """

    @property
    def full_name(self) -> str:
        """The name with the variant, as `cellda.datasets.load` takes it."""
        return self.name

    def __len__(self) -> int:
        return len(self.table)

    def class_counts(self) -> dict[str, int]:
        """Number of cells of each class that occurs, in class order."""
        counts = self.table["label"].value_counts()
        return {name: int(counts[name]) for name in CLASSES if name in counts.index}

    @cached_property
    def labels(self) -> Tensor:
        """`(N,)` int64 class indices in the order of `cellda.taxonomy.CLASSES`."""
        return torch.tensor([CLASSES.index(label) for label in self.table["label"]], dtype=torch.int64)

    def read(self, indices: Sequence[int], size: int) -> UInt8[Tensor, "n 3 size size"]:
        """Decode cells and resize them to `size` x `size` (antialiased bilinear, aspect not kept, as in the paper).

        Raises:
            DataError: If files cannot be decoded; all of them are listed.
        """
        ...
