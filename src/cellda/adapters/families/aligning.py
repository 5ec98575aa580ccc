"""Fine-tuning on support, pool and source images while source and target are made alike."""

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from cellda.adapters.base import AdaptContext, Need, TargetView
from cellda.adapters.families.mixing import Mixing
from cellda.adapters.mixed_source import MixedSource
from cellda.plugins.settings import tunable

if TYPE_CHECKING:
    from cellda.data.image_set import ImageSet


class Aligning(Mixing, MixedSource):
    """What methods share that align the embeddings of source and target.

    Batches hold support, pool and source in equal parts. The source images are drawn once as in `mixed_source`, in equal parts
    from every class of every source. Cells of a pool are not balanced and the drawn source images are; that the balanced
    support counts to the target halves this difference, which alignment would take for one of domains.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({Need.LABELS, Need.UNLABELLED, Need.SOURCE})
    passes: ClassVar[int] = 3

    epochs: int = tunable(8, low=4, high=16, ge=1)
    batch_size: int = tunable(24, choices=(12, 24, 48), ge=3)
    min_steps: int = tunable(110, choices=(0, 55, 110, 220), ge=0)
    source_images: int = Field(
        300, ge=1, description="Source images in all, balanced over sources and classes."
    )

    def sets(self, target: TargetView, context: AdaptContext) -> "dict[str, list[ImageSet]]":
        """The support, the pool and the drawn source images."""
        return {**super().sets(target, context), "the sources": self.drawn(context)}
