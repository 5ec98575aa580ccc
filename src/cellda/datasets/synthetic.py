"""The built-in dataset: synthetic cells of ten invented laboratories, no download."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from jaxtyping import UInt8
from torch import Tensor

from cellda.datasets import register
from cellda.datasets.base import cell_table
from cellda.datasets.rendering import DOMAINS, CellKey, Domain, render
from cellda.datasets.rendering.dataset import Rendered
from cellda.datasets.rendering.grammar import KINDS
from cellda.errors import ConfigurationError, nearest

MOST = 100_000
"""Cells of each class that are rendered at most: more than any published dataset holds."""


@register("synthetic")
class Synthetic(Rendered):
    """Synthetic Romanowsky-stained cells of ten invented laboratories (`synthetic/0` ... `synthetic/9`).

    Single cells of six types are rendered from shape and colour parameters through a physical model of
    stain, microscope and camera (see `cellda.datasets.rendering`). The classes have the same shape grammar
    everywhere; the laboratories differ in stains, light, magnification, blur, noise, JPEG and background.
    `synthetic/0` is the sharp source.

    Args:
        root: Must be None: there is nothing to read from a folder.
        variant: The laboratory, `"0"` to `"9"`.
        per_class: Cells of each class, at most `MOST`.
        seed: Another seed gives other cells. Cell `i` of a class is the same whatever `per_class` is.

    Raises:
        ConfigurationError: If the variant does not exist, a folder is given, or `per_class` is not in its range.
    """

    synthetic = True
    helpers = ("datasets/rendering",)
    title = "Synthetic smears"
    licence = "Apache-2.0"
    citation = "cellda"

    def __init__(
        self, root: Path | None = None, variant: str = "0", per_class: int = 100, seed: int = 0
    ) -> None:
        known = [str(number) for number in range(len(DOMAINS))]
        if variant not in known:
            raise ConfigurationError(f"There is no dataset 'synthetic/{variant}'; {nearest(variant, known)}")
        if not 1 <= per_class <= MOST:
            # The value is not shown: Python refuses to write a number of thousands of digits.
            raise ConfigurationError(f"Dataset 'synthetic' needs per_class from 1 to {MOST:,}.")
        self.variant = variant
        self.per_class = per_class
        self.seed = seed
        super().__init__(root)

    def _index(self) -> pd.DataFrame:
        labels = [label for label in KINDS for _ in range(self.per_class)]
        paths = [f"{label}/{number:05d}" for label in KINDS for number in range(self.per_class)]
        return cell_table(paths, labels)

    @property
    def full_name(self) -> str:
        """`synthetic/<variant>`."""
        return f"{self.name}/{self.variant}"

    @property
    def domain(self) -> Domain:
        """Stains, microscope and camera of this laboratory."""
        return DOMAINS[int(self.variant)]

    @property
    def rendered_from(self) -> tuple[object, ...]:
        """The laboratory and the options."""
        return self.full_name, self.per_class, self.seed

    def keys(self, indices: Sequence[int]) -> list[CellKey]:
        """The renderer's keys of the cells `indices`."""
        stream = f"{self.seed}|{self.variant}"
        cells = (path.split("/") for path in self.table["path"].iloc[list(indices)])
        return [CellKey(KINDS.index(kind), int(number), stream) for kind, number in cells]

    def read(self, indices: Sequence[int], size: int) -> UInt8[Tensor, "n 3 size size"]:
        """Render cells `indices` at `size` x `size` pixels, in batches."""
        return render(self.keys(indices), self.domain, size)
