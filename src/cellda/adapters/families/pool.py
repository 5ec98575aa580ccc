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
    """What methods share that use all of the pool, or of a large one a part that is drawn once.

    So what a run costs is bounded whatever the size of the pool, at their defaults by 3,000 images.
    """

    pool_images: int = Field(
        default=1000, ge=2, description="Images of the pool that are used, at most; drawn once."
    )

    def part(self, pool: ImageSet, seed: int) -> ImageSet:
        """The pool itself, or `pool_images` of it, drawn without regard to anything and in the pool's order."""
        if len(pool) <= self.pool_images:
            return pool
        drawn = randperm(len(pool), generator=Generator().manual_seed(seed))[: self.pool_images]
        return pool.subset(drawn.sort().values)

    def part_size(self, offer: Offer) -> int:
        """Number of images that are used."""
        return min(offer.unlabelled, self.pool_images)


class PooledFeatures(Pooled, FeatureAdapter):
    """What methods share that change the head alone, by the embeddings of the pool or of a part of it.

    Images that were not used are predicted as any new image is.
    """

    def embedded(self, model: CellClassifier, target: TargetView, context: AdaptContext) -> Features:
        """The embeddings of what the adapter declared that it needs, of the pool those of the part."""
        seen = replace(target, unlabelled=self.part(target.pool, context.seed))
        return super().embedded(model, seen, context)

    def image_passes(self, offer: Offer) -> int:
        """Every image that is used is embedded once."""
        return super().image_passes(replace(offer, unlabelled=self.part_size(offer)))
