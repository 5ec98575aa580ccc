"""The real cells and the model that the speed tests use: those of the preset `laptop`."""

from pathlib import Path

import torch

import cellda.datasets
from cellda import CellClassifier, Recipe
from cellda.data.image_set import ImageSet
from cellda.datasets.base import CellDataset

LAPTOP = Recipe.preset("laptop")
SIZE = LAPTOP.backbone.image_size


def model() -> CellClassifier:
    """A fresh classifier with packaged weights, in plain memory order, as users have it."""
    torch.manual_seed(0)
    return CellClassifier(LAPTOP.backbone, LAPTOP.normalizer)


def some(name: str, root: Path, per_class: int, folder: Path) -> CellDataset:
    """The first cells of each class of a dataset with one folder per class, linked into a folder of their own."""
    whole = cellda.datasets.load(name, root / name)
    taken = whole.table.groupby("label").head(per_class)["path"]
    for path in taken:
        link = folder / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to((whole.folder / path).resolve())
    return cellda.datasets.load(name, folder)


def files(dataset: CellDataset) -> list[Path]:
    """Image files of a dataset, in the order of its table."""
    return [dataset.folder / path for path in dataset.table["path"]]


def decoded(dataset: CellDataset, chosen: CellClassifier, size: int = SIZE) -> ImageSet:
    """A labelled image set of all cells, decoded into memory."""
    pixels = dataset.read(range(len(dataset)), size).contiguous(memory_format=torch.channels_last)
    rows = torch.arange(len(dataset))
    return ImageSet(pixels, rows, chosen.normalizer, dataset.labels, tuple(dataset.effective_groups()))
