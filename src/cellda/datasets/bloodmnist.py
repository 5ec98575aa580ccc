"""BloodMNIST: the cells of Barcelona, cropped and resized, as the package medmnist downloads them."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from cellda.datasets import register
from cellda.datasets.base import CellDataset, cell_table
from cellda.datasets.reading.layout import existing_folder, not_published
from cellda.datasets.reading.npz import NpzRows
from cellda.datasets.reading.survey import survey
from cellda.errors import DataError
from cellda.text import counted

if TYPE_CHECKING:
    from cellda.framing.base import Pixels

SIZES = (224, 128, 64, 28)
CHUNK = 128
SPLITS = ("train", "val", "test")
LABELS = (
    "basophil", "eosinophil", "erythroblast", "immature granulocyte", "lymphocyte", "monocyte", "neutrophil",
    "platelet",
)  # fmt: skip
"""The meaning of the label codes 0 to 7, as medmnist states it."""


@register("bloodmnist")
class Bloodmnist(CellDataset):
    """BloodMNIST: the 17,092 cells of Barcelona, cropped and resized to 28, 64, 128 or 224. Yang et al. 2023.

    Layout: `bloodmnist.npz` (28x28; also as `bloodmnist_28.npz`), `bloodmnist_64.npz`, `bloodmnist_128.npz` or
    `bloodmnist_224.npz`, as medmnist downloads them; one of them is enough. All three splits are read. Cells are
    named after their position in the file: `bloodmnist_64.npz#train=17`. No groups are published.

    Rows of the arrays are read when their images are requested and never held in memory, even at 224.

    Args:
        root: The folder that holds the files.
        variant: Side of the published images, in pixels (`bloodmnist/64`); by default, the largest found.

    Raises:
        DataError: If the file is missing, or does not hold the published arrays; the message lists all problems.
    """

    helpers = ("datasets/reading/npz.py",)
    title = "BloodMNIST"
    centre = "Core Laboratory the Hospital Clinic, Barcelona"
    imaging = "CellaVision DM96"
    magnification = "that of Barcelona, resized (28 × 28 to 224 × 224 pixels)"
    specimen = "blood smear"
    patients = "healthy"
    licence = "CC BY 4.0"
    citation = "Yang et al., Scientific Data 10:41 (2023); Acevedo et al., Data in Brief 30:105474 (2020)"
    url = "https://zenodo.org/records/10519652"
    note = "The same cells as Barcelona, so never use one as source and the other as target. The paper does not use it."
    same_cells_as = ("barcelona", "bloodmnist")

    def __init__(
        self, root: Path | None = None, variant: Literal["28", "64", "128", "224"] | None = None
    ) -> None:
        self.variant = variant
        super().__init__(root)

    @property
    def full_name(self) -> str:
        """`bloodmnist`, or with the requested side, as `bloodmnist/64`."""
        return self.name if self.variant is None else f"{self.name}/{self.variant}"

    def _locate(self, root: Path) -> Path:
        return existing_folder(root, f"dataset '{self.name}'")

    @cached_property
    def file(self) -> Path:
        """The npz file that is read.

        Raises:
            DataError: If it does not exist.
        """
        sizes = SIZES if self.variant is None else (int(self.variant),)
        names = [f"bloodmnist_{size}.npz" for size in sizes] + ["bloodmnist.npz"] * (28 in sizes)
        for name in names:
            if (self.folder / name).is_file():
                return self.folder / name
        raise not_published(self.folder, f"dataset '{self.name}'", names, [self.folder])

    @property
    def files(self) -> list[str]:
        """The npz file."""
        return [self.file.name]

    @cached_property
    def _images(self) -> dict[str, NpzRows]:
        return {split: NpzRows(self.file, f"{split}_images") for split in SPLITS}

    def _index(self) -> pd.DataFrame:
        paths: list[str] = []
        codes: list[int] = []
        problems = []
        for split in SPLITS:
            try:
                images = self._images[split]
                labels = NpzRows(self.file, f"{split}_labels")
                found = labels.read(range(len(labels))).ravel()
            except DataError as error:
                problems.append(error.summary)
                continue
            side = images.shape[1]
            if images.shape[1:] != (side, side, 3) or images.dtype != np.uint8:
                problems.append(
                    f"{split}_images has rows {images.shape[1:]} of {images.dtype}, not square RGB in uint8"
                )
            if len(found) != len(images) or not np.isin(found, range(len(LABELS))).all():
                problems.append(
                    f"{split}_labels holds {counted(len(found), 'label(s)')} for {counted(len(images), 'image(s)')}, or "
                    "others than 0 to 7"
                )
                continue
            paths += [f"{self.file.name}#{split}={row}" for row in range(len(images))]
            codes += found.tolist()
        if problems:
            raise DataError(f"{self.file} is not BloodMNIST as published.", problems)
        return cell_table(paths, [LABELS[code] for code in codes])

    def _survey(self, root: Path) -> None:
        """Other files next to the one that is read."""
        survey(self.tally, root, [""], self.files)

    def read(self, indices: Sequence[int], size: int) -> UInt8[Tensor, "n 3 size size"]:
        """Read cells and resize them to `size` x `size`: bilinear, antialiased.

        Raises:
            DataError: If the file is damaged.
        """
        out = np.empty((len(indices), size, size, 3), np.uint8)
        for place, pixels in self._pixels(indices):
            out[place] = np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR))
        return torch.from_numpy(out).permute(0, 3, 1, 2)

    def originals(
        self,
        indices: Sequence[int],
        use: Callable[[int, "Pixels"], None],
        least: int = 1,  # noqa: ARG002
    ) -> None:
        """Read cells at their published size.

        Raises:
            DataError: If the file is damaged.
        """
        for place, pixels in self._pixels(indices):
            use(place, pixels)

    def unusable(self, advance: Callable[[int], None]) -> dict[int, str]:
        """Read every array to its end and say which cells cannot be used: row of the table -> reason.

        A checksum covers a whole array, so damage is reported for all its cells.
        """
        reasons: dict[int, str] = {}
        for split in SPLITS:
            rows = np.flatnonzero(self.table["path"].str.contains(f"#{split}=", regex=False)).tolist()
            try:
                self._images[split].verify()
            except DataError as error:
                reasons |= dict.fromkeys(rows, error.summary)
            advance(len(rows))
        return reasons

    def _pixels(self, indices: Sequence[int]) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
        """The published pixels of cells, split by split, each with its position in `indices`."""
        names = [path.rpartition("#")[2].partition("=") for path in self.table["path"].iloc[list(indices)]]
        for split in SPLITS:
            places = [place for place, name in enumerate(names) if name[0] == split]
            rows = [int(names[place][2]) for place in places]
            yield from zip(places, self._images[split].read(rows), strict=True)

    @cached_property
    def _pictures(self) -> dict[str, bytes]:
        """Hash of each cell's pixels; reads the whole file."""
        hashes = (
            hashlib.sha256(pixels.tobytes()).digest()
            for start in range(0, len(self), CHUNK)
            for _, pixels in self._pixels(range(start, min(start + CHUNK, len(self))))
        )
        return dict(zip(self.table["path"], hashes, strict=True))

    @property
    def _dropped_pictures(self) -> dict[str, bytes]:
        """None: the cells that are left out are not compared."""
        return {}
