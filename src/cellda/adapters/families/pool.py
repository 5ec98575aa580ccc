"""How much of a large unlabelled pool a method uses."""

from dataclasses import replace

from pydantic import Field
from torch import Generator, randperm

from cellda.adapters.base import AdaptContext, Offer, TargetView
from cellda.adapters.families.embeddings import FeatureAdapter, Features
from cellda.data.image_set import ImageSet
from cellda.models.classifier import CellClassifier
from cellda.plugins.settings import Settings


class Pooled(Settings):
    """Base of methods that use the whole pool, or a part of a large pool, drawn once.

    This bounds the cost of a run for any size of the pool, to 3,000 images by default.
    """

    pool_images: int = Field(
        default=1000, ge=2, description="Maximum number of pool images used; drawn once."
    )

    def part(self, pool: ImageSet, seed: int) -> ImageSet:
        """The pool itself, or `pool_images` of its images, drawn uniformly and kept in the pool's order."""
        if len(pool) <= self.pool_images:
            return pool
        drawn = randperm(len(pool), generator=Generator().manual_seed(seed))[: self.pool_images]
        return pool.subset(drawn.sort().values)

    def part_size(self, offer: Offer) -> int:
        """Number of images used."""
        return min(offer.unlabelled, self.pool_images)


class PooledFeatures(Pooled, FeatureAdapter):
    """Base of methods that change only the head, using the embeddings of the pool or of a part of it.

    Images that were not used are predicted like any new image.
    """

    def embedded(self, model: CellClassifier, target: TargetView, context: AdaptContext) -> Features:
        """The embeddings of the images that the adapter declared it needs, with only the drawn part of the pool."""
        seen = replace(target, unlabelled=self.part(target.pool, context.seed))
        return super().embedded(model, seen, context)

    def image_passes(self, offer: Offer) -> int:
        """Every image used is embedded once."""
        return super().image_passes(replace(offer, unlabelled=self.part_size(offer)))
