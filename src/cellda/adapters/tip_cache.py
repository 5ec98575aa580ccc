"""A cache of the labelled cells alongside the source head."""

from typing import ClassVar

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, Effect
from cellda.adapters.families.embeddings import FeatureAdapter, Features
from cellda.models.heads.base import Head
from cellda.models.heads.cache import Cache
from cellda.plugins.settings import tunable


@register("tip_cache")
class TipCache(FeatureAdapter):
    """Add each class's affinity to the support's embeddings to the source head's logits (Tip-Adapter, Zhang et al. 2022).

    Logits of an embedding `z` are `h(z) + alpha mean_{i in class} exp(-beta (1 - cos(z, z_i)))`, where `h` is the source
    head. Nothing is trained. The paper sums over a cache with equally many images per class; a support may hold more images of
    one class than of another, so the mean is used here. A class without support keeps the source head's logit unchanged.

    Zhang, Zhang, Fang, Gao, Li, Dai, Qiao and Li: Tip-Adapter: training-free adaption of CLIP for few-shot classification.
    ECCV 2022.
    """

    effects: ClassVar[frozenset[Effect]] = frozenset({Effect.MEMORY})

    alpha: float = tunable(10.0, low=1.0, high=100.0, log=True, ge=0)
    beta: float = tunable(5.5, low=1.0, high=20.0, log=True, gt=0)

    def fit_head(self, head: Head, features: Features, context: AdaptContext) -> Head:
        """Cache the support's embeddings alongside `head`."""
        del context
        inner = head.description
        size, width = features.support.shape
        cache = Cache(width, head.classes, size=size, alpha=self.alpha, beta=self.beta, inner=inner)
        cache.inner = head
        cache.remember(features.support, features.labels)
        return cache
