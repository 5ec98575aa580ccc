"""Cells of a pool that a model is confident about, and whose class it sees in every view; methods that train on them."""

from collections.abc import Iterator
from itertools import chain, islice

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from cellda.adapters.base import Adapter, Offer
from cellda.adapters.families.pool import Pooled
from cellda.data.image_set import ImageSet
from cellda.errors import ConfigurationError
from cellda.imaging.augment import zoom
from cellda.imaging.symmetries import dihedral_views
from cellda.models.classifier import CellClassifier
from cellda.runtime.work import Stage, Work
from cellda.training.loop import Trainer

ZOOMS = (0.8, 1.25)
"""Magnifications of the second view, well inside those of `augment.ZOOM`."""

FURTHER = 7 + len(ZOOMS)
"""Views of a candidate besides the image itself: its other flips and rotations, and the zoomed ones."""

LEAST = 20
"""Images of a pool, below which the few that are agreed on say nothing of most classes."""


class AgreedPool(Pooled, Adapter):
    """Base of methods that train on images of a pool whose class all views agree on."""

    candidates: int = Field(default=100, ge=1, description="Most cells that are looked at in all views.")
    pool_images: int = Field(default=300, ge=2, description="Maximum number of pool images used; drawn once.")

    def check(self, offer: Offer) -> None:
        """Refuse a pool that is too small."""
        if offer.unlabelled < LEAST:
            raise ConfigurationError(
                f"{self.name} trains on unlabelled images, and would forget the classes of which {offer.unlabelled} show "
                f"too few: give it at least {LEAST}, or choose another adapter, such as 'lame'."
            )

    def looked_at(self, pool: int) -> int:
        """Number of candidates in a pool of so many images."""
        return min(self.candidates, half(pool))


def agreed(
    trainer: Trainer, model: CellClassifier, pool: ImageSet, candidates: int, threshold: float
) -> tuple[Int[Tensor, " k"], Int[Tensor, " k"]]:
    """Positions in the pool, and classes, of the candidates that have one class in all views.

    Args:
        trainer: Predicts.
        model: What predicts them.
        pool: The images, each of which is predicted once.
        candidates: Number of images that are predicted in `FURTHER` views, chosen by `in_turn`.
        threshold: Least mean probability of the class over all views.
    """
    plain = trainer.probabilities(model, pool)
    chosen = in_turn(plain, candidates)
    found = trainer.map(model, pool.subset(chosen), _in_further_views, Work(Stage.PREDICT))
    views = torch.cat([plain[chosen], found], dim=1).reshape(len(chosen), 1 + FURTHER, -1)
    confidence, labels = views.mean(1).max(1)
    kept = (views.argmax(2) == labels[:, None]).all(1) & (confidence >= threshold)
    return chosen[kept], labels[kept]


def in_turn(probabilities: Float[Tensor, "n c"], count: int) -> Int[Tensor, " k"]:
    """Positions of the most confident half of each predicted class, the classes in turn, until there are `count`."""
    confidence, labels = probabilities.max(1)
    order = confidence.argsort(descending=True, stable=True)
    turns: list[tuple[int, int]] = []
    for label in range(probabilities.shape[1]):
        own = order[labels[order] == label]
        turns += enumerate(own[: half(len(own))].tolist())
    turns.sort(key=lambda turn: turn[0])
    return torch.tensor([row for _, row in turns[:count]])


def half(number: int) -> int:
    """Half of a number, rounded up."""
    return (number + 1) // 2


def _in_further_views(model: CellClassifier, pixels: Tensor) -> Tensor:
    """Probabilities `(B, FURTHER * classes)` of raw images, view by view."""
    images = model.normalized(pixels)
    views = chain(islice(dihedral_views(images), 1, None), _zoomed(images))
    return torch.cat([model(view).softmax(1).float() for view in views], dim=1)


def _zoomed(images: Tensor) -> Iterator[Tensor]:
    for factor in ZOOMS:
        yield zoom(images, images.new_full((len(images),), factor))
