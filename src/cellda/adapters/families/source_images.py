"""Fine-tuning that also trains on source images."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field
from torch import Generator, randperm, unique

from cellda.adapters.base import AdaptContext, Need, Offer, TargetView
from cellda.adapters.families.fine_tuning import FineTuning
from cellda.data.image_set import ImageSet
from cellda.errors import ConfigurationError


class SourceImages(FineTuning):
    """Base of methods that also train on source images.

    `source_images` are drawn once, in equal parts from every class of every source; each keeps its own normalizer.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({Need.LABELS, Need.SOURCE})

    source_images: int = Field(
        default=100, ge=1, description="Total number of source images, balanced over sources and classes."
    )

    def sets(self, target: TargetView, context: AdaptContext) -> dict[str, list[ImageSet]]:
        """The other training images, followed by the drawn source images."""
        return {**super().sets(target, context), "the sources": self.drawn(context)}

    def trained_images(self, offer: Offer) -> int:
        """The other training images and the drawn source images."""
        return super().trained_images(offer) + self.source_images

    def check(self, offer: Offer) -> None:
        """Refuse to draw more source images than there are."""
        self._check(offer.source)

    def _check(self, source_images: int) -> None:
        if source_images < self.source_images:
            raise ConfigurationError(
                f"{self.name} wants source_images={self.source_images}, but the sources hold {source_images}; "
                f"set adapter.source_images to at most {source_images}."
            )

    def drawn(self, context: AdaptContext) -> list[ImageSet]:
        """The drawn images of every source from which any were drawn."""
        self._check(sum(len(source) for source in context.source))
        return balanced(context.source, self.source_images, context.seed)


def balanced(sources: Sequence[ImageSet], count: int, seed: int) -> list[ImageSet]:
    """`count` images, at most all: one of each (source, class) pair in turn; without sources from which none is drawn."""
    generator = Generator().manual_seed(seed)
    piles: list[tuple[int, list[int]]] = []
    for index, source in enumerate(sources):
        order = randperm(len(source), generator=generator)
        labels = source.labels[order]
        piles += [(index, order[labels == label].tolist()) for label in unique(labels)]
    chosen: list[list[int]] = [[] for _ in sources]
    left = min(count, sum(map(len, sources)))
    while left:
        for index, pile in piles:
            if pile and left:
                chosen[index].append(pile.pop())
                left -= 1
    sets = [source.subset(rows) for source, rows in zip(sources, chosen, strict=True)]
    return [part for part in sets if len(part)]
