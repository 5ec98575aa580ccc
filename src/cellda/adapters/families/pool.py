"""How much of a large unlabelled pool a method looks at."""

from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from cellda.adapters.base import AdaptContext, Offer, TargetView
from cellda.adapters.families.embeddings import FeatureAdapter, Features
from cellda.plugins.settings import Settings

if TYPE_CHECKING:
    from cellda.data.image_set import ImageSet
    from cellda.models.classifier import CellClassifier


class Pooled(Settings):
    """What methods share that look at all of the pool: of a large one, at a part that is drawn once.

    So what a run costs is bounded whatever the size of the pool, at their defaults by 3,000 images.
    """

    pool_images: int = Field(
        1000, ge=2, description="Images of the pool that are looked at, at most; drawn once."
    )

    def part(self, pool: "ImageSet", seed: int) -> "ImageSet":
        """The pool itself, or `pool_images` of it, drawn without regard to anything and in the pool's order."""
        from torch import Generator, randperm

        if len(pool) <= self.pool_images:
            return pool
        drawn = randperm(len(pool), generator=Generator().manual_seed(seed))[: self.pool_images]
        return pool.subset(drawn.sort().values)

    def part_size(self, offer: Offer) -> int:
        """Number of images that are looked at."""
        return min(offer.unlabelled, self.pool_images)


class PooledFeatures(Pooled, FeatureAdapter):
    """What methods share that change the head alone, by the embeddings of the pool or of a part of it.

    Images that were not looked at are predicted as any new image is.
    """

    def embedded(self, model: "CellClassifier", target: TargetView, context: AdaptContext) -> Features:
        """The embeddings of what the adapter declared that it needs, of the pool those of the part."""
        seen = replace(target, unlabelled=self.part(target.pool, context.seed))
        return super().embedded(model, seen, context)

    def image_passes(self, offer: Offer) -> int:
        """Every image that is looked at is embedded once."""
        return super().image_passes(replace(offer, unlabelled=self.part_size(offer)))
