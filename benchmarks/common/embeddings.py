"""Embeddings of some cells of a dataset, shared by the figures of embeddings."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from cellda.data.image_set import ImageSet
from cellda.datasets.base import CellDataset
from cellda.datasets.reading.cell_table import cell_names
from cellda.models.classifier import CellClassifier
from cellda.training.loop import Trainer


def embeddings(
    trainer: Trainer, model: CellClassifier, dataset: CellDataset, rows: Sequence[int]
) -> npt.NDArray[np.float32]:
    """Embeddings `(N, 128)` of these rows of a dataset, behind the model's own framing and normalizer."""
    size, framing = model.backbone.image_size, model.framing_spec.build()
    pixels = dataset.framed(rows, size, framing)[0] if framing.cuts else dataset.read(rows, size)
    images = ImageSet(pixels, torch.arange(len(rows)), model.normalizer)
    return np.asarray(trainer.embeddings(model, images).numpy(), dtype=np.float32)


def rows_named(dataset: CellDataset, names: Iterable[str]) -> list[int]:
    """Rows of the cells with these names, as in column `path` of prediction tables."""
    every = range(len(dataset))
    row_of = dict(zip(cell_names(dataset.table, every), every, strict=True))
    return [row_of[name] for name in names]
