"""The part of `CellDataset` that hands its cells to other libraries."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from cellda.datasets.exporting.exported import Exported
from cellda.datasets.exporting.hf_cells import hf_cells
from cellda.datasets.exporting.torch_cells import TorchCells
from cellda.framing.spec import FramingSpec

if TYPE_CHECKING:
    from PIL import Image

    import datasets


class Exports(Exported):
    """PyTorch and Hugging Face."""

    def to_torch(
        self,
        transform: "Callable[[Image.Image], Any] | None" = None,
        *,
        framing: str | Mapping[str, Any] | FramingSpec = "none",
        size: int | None = None,
    ) -> TorchCells:
        """These cells as a map-style `torch.utils.data.Dataset` of `(image, class index)`, like torchvision's datasets.

        Images are decoded when they are asked for. `classes`, `class_to_idx`, `targets` and `groups` describe the cells.

        Args:
            transform: Called with every Pillow image (mode RGB); by default the Pillow image itself is returned.
            framing: What is cut out of every image, by name or with options. One that learns how large a cell is (`cell`)
                reads up to 2,000 images now.
            size: Side in pixels that images are resized to as in a run; by default they keep their own size.

        Raises:
            UnknownNameError: If no framing has this name.
            ConfigurationError: If options of the framing, or `size`, cannot work.
        """
        return TorchCells(self, transform, FramingSpec.of(framing), size)

    def to_hf(
        self,
        *,
        framing: str | Mapping[str, Any] | FramingSpec = "none",
        size: int | None = None,
        copy: bool = False,
    ) -> "datasets.Dataset":
        """These cells as a `datasets.Dataset`; needs `pip install 'cellda[hf]'`.

        Columns: `image` (`Image`), `label` (`ClassLabel`), `path`, `group` (for splits that do not leak) and `row` (of
        `table`). Images are decoded when they are asked for, by a format of the dataset: `reset_format` and `save_to_disk`
        leave them out.

        Args:
            framing: As for `to_torch`.
            size: As for `to_torch`.
            copy: Whether to decode all images now and store them with the dataset, as PNG in the cache of `datasets`
                (`HF_DATASETS_CACHE`), so that it can be saved, uploaded and read without cellda.

        Raises:
            ConfigurationError: If the package `datasets` is missing, or options cannot work.
            DataError: If files are gone; with `copy`, if one cannot be decoded.
        """
        return hf_cells(self.to_torch(framing=framing, size=size), copy=copy)
