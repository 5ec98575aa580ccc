"""What a trained or adapted model has seen, measured on its training cells and stored with it (`cellda.models.judged`)."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from cellda.data.image_set import ImageSet
from cellda.datasets.base import CellDataset
from cellda.datasets.reading.decode import frame_size
from cellda.models.classifier import CellClassifier
from cellda.models.judged import Seen, seen_of
from cellda.models.looks import sharpness
from cellda.training.loop import Trainer

STORED = 600
"""Most cells of a kind that are measured: enough for the 1 % quantile, and a few seconds on a CPU."""
FEWEST = 10
"""Cells, below which their spread says nothing."""
STORED_AFTER = 180
"""The same for source cells after an adaptation, which is often shorter than the training."""


@dataclass(frozen=True, eq=False)
class Cells:
    """Some cells of a dataset.

    Attributes:
        dataset: The dataset.
        images: Their decoded images.
    """

    dataset: CellDataset
    images: ImageSet

    def some(self, most: int) -> "Cells":
        """At most so many of them, as many of each class as possible, evenly spread."""
        kinds = self.groups()
        known = sorted(set(kinds.tolist()))
        chosen = [
            _spread(torch.nonzero(kinds == kind).flatten(), max(1, most // len(known))) for kind in known
        ]
        return Cells(self.dataset, self.images.subset(torch.cat(chosen).sort().values))

    def groups(self) -> Tensor:
        """The class of each as a number, the same for all without labels."""
        labels = self.images.known_labels
        return torch.zeros(len(self.images), dtype=torch.int64) if labels is None else labels

    def sharpness(self) -> list[float]:
        """Sharpness of each."""
        pixels = self.images.raw(range(len(self.images))).permute(0, 2, 3, 1).contiguous().numpy()
        return [sharpness(one) for one in pixels]

    def sides(self) -> list[int]:
        """Shorter side of each in pixels, from the headers of the files; without cells that have no image file of their own.

        Those are rendered, or stored together in one array.

        Raises:
            DataError: If an image file cannot be read any more.
        """
        table = self.dataset.table.iloc[self.images.rows.tolist()]
        sides = []
        for path, box in zip(table["path"], table["box"], strict=True):
            file = Path(self.dataset.root or "/") / path
            if box is not None:
                sides.append(min(box[2:]))
            elif file.is_file():
                sides.append(min(frame_size(file)))
        return sides


def seen_in_training(
    trainer: Trainer, model: CellClassifier, trained: Sequence[Cells], held: Sequence[Cells]
) -> Seen:
    """What a source model has seen; its threshold is that of the held-out cells or, if there are none, of training cells.

    Args:
        trainer: On the device that is used.
        model: The trained model.
        trained: The training cells of every source.
        held: The held-out cells of every source.
    """
    known = [cells.some(STORED // len(trained)) for cells in trained]
    others = [cells.some(STORED // len(trained)) for cells in held if len(cells.images)]
    embeddings = _embedded(trainer, model, known)
    judged = _embedded(trainer, model, others) if others else torch.ones(len(embeddings), dtype=torch.bool)
    return _seen(embeddings, judged, known)


def seen_in_adaptation(
    trainer: Trainer, model: CellClassifier, target: Sequence[Cells], source: Sequence[Cells]
) -> Seen | None:
    """What an adapted model has seen; its threshold is that of the target's cells.

    Args:
        trainer: On the device that is used.
        model: The adapted model.
        target: The target's cells that it was given: support and pool.
        source: Training cells of every source, with the normalizer of the sources; empty if the model did not start from them.

    Returns:
        None if it was given no cells, or so few that they do not say which others are like them.
    """
    aim = [cells.some(STORED) for cells in target if len(cells.images)]
    origin = [cells.some(STORED_AFTER // len(source)) for cells in source]
    if not aim or (not origin and sum(len(cells.images) for cells in aim) < FEWEST):
        return None
    parts = [_embedded(trainer, model, aim)]
    if origin:
        there = deepcopy(model)
        there.normalizer = origin[0].images.normalizer
        parts.append(_embedded(trainer, there, origin))
    embeddings = torch.cat(parts)
    return _seen(embeddings, torch.arange(len(embeddings)) < len(parts[0]), [*aim, *origin])


def _seen(embeddings: Tensor, judged: Tensor, cells: Sequence[Cells]) -> Seen:
    kinds = [part.groups() for part in cells]
    owners = [torch.full_like(kind, number) for number, kind in enumerate(kinds)]
    # A class of one dataset is another group than the same class of another.
    pairs = torch.stack((torch.cat(owners), torch.cat(kinds)))
    groups: Tensor = torch.unique(pairs, dim=1, return_inverse=True)[1]
    sharpness = [value for part in cells for value in part.sharpness()]
    return seen_of(embeddings, groups, judged, sharpness, [side for part in cells for side in part.sides()])


def _embedded(trainer: Trainer, model: CellClassifier, cells: Sequence[Cells]) -> Tensor:
    return torch.cat([trainer.embeddings(model, part.images) for part in cells])


def _spread(positions: Tensor, most: int) -> Tensor:
    """At most so many positions, evenly spread."""
    if len(positions) <= most:
        return positions
    return positions[torch.linspace(0, len(positions) - 1, most).round().long()]
