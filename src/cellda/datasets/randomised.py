"""A built-in dataset for training: synthetic cells of laboratories that are drawn at random, no download."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import pandas as pd
import torch
from jaxtyping import UInt8
from torch import Tensor

from cellda.datasets import register
from cellda.datasets.base import cell_table
from cellda.datasets.rendering import CellKey, render
from cellda.datasets.rendering.dataset import Rendered
from cellda.datasets.rendering.grammar import KINDS
from cellda.datasets.rendering.laboratories import drawn_laboratory
from cellda.errors import ConfigurationError

MOST = 100_000
"""Laboratories that are drawn at most."""


@register("randomised")
class Randomised(Rendered):
    """Synthetic Romanowsky-stained cells, one of each class from every laboratory, each laboratory drawn at random.

    As a source it teaches what the classes have in common whatever the stain, the microscope, the camera and the crop
    (domain randomisation, Tobin et al. 2017): no class comes from other laboratories than the others do. The shapes are
    those of `synthetic`. A laboratory is a group, so that held-out cells are from other laboratories.

    Args:
        root: Must be None: there is nothing to read from a folder.
        laboratories: How many, at most `MOST`; six cells each.
        seed: Another seed gives other laboratories and cells. Laboratory `i` is the same whatever `laboratories` is.

    Raises:
        ConfigurationError: If a folder is given, or `laboratories` is not in its range.
    """

    synthetic = True
    one_scale = False
    helpers = ("datasets/rendering",)
    title = "Synthetic smears of drawn laboratories"
    licence = "Apache-2.0"
    citation = "cellda"

    def __init__(self, root: Path | None = None, laboratories: int = 500, seed: int = 0) -> None:
        if not 1 <= laboratories <= MOST:
            # The value is not shown: Python refuses to write a number of thousands of digits.
            raise ConfigurationError(f"Dataset 'randomised' needs laboratories from 1 to {MOST:,}.")
        self.laboratories = laboratories
        self.seed = seed
        super().__init__(root)

    def _index(self) -> pd.DataFrame:
        names = [f"{number:05d}" for number in range(self.laboratories)]
        return cell_table(
            [f"{name}/{label}" for name in names for label in KINDS],
            list(KINDS) * len(names),
            [name for name in names for _ in KINDS],
        )

    @property
    def rendered_from(self) -> tuple[object, ...]:
        """The options."""
        return self.full_name, self.laboratories, self.seed

    def read(self, indices: Sequence[int], size: int) -> UInt8[Tensor, "n 3 size size"]:
        """Render cells `indices` at `size` x `size` pixels, laboratory by laboratory."""
        paths = (path.split("/") for path in self.table["path"].iloc[list(indices)])
        cells = [(int(laboratory), KINDS.index(kind)) for laboratory, kind in paths]
        parts = [torch.empty(0, 3, size, size, dtype=torch.uint8)]
        for number, own in groupby(cells, key=lambda cell: cell[0]):
            stream = f"{self.seed}|randomised|{number}"
            keys = [CellKey(label, number, stream) for _, label in own]
            parts.append(render(keys, drawn_laboratory(stream), size))
        return torch.cat(parts)
