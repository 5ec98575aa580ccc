"""The target's BatchNorm statistics in place of the source's."""

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, Offer, TargetView
from cellda.adapters.families.batchnorm import (
    SOURCE_IMAGES,
    SourceStatistics,
    keep_to_source,
    take_statistics,
)
from cellda.models.classifier import CellClassifier
from cellda.plugins.settings import tunable
from cellda.training.loop import to_device


@register("adabn")
class AdaBN(SourceStatistics):
    """Replace the encoder's BatchNorm statistics by those of unlabelled target images (Li et al. 2018).

    Each layer computes `(x - mean) / sqrt(var) * gain + bias`. Gain and bias do not change; `mean` and `var` of every channel
    become `(1 - alpha)` times the source's plus `alpha` times the pool's, exact over all images used (no moving average).
    Head and embedding do not change. Y. Li, N. Wang, J. Shi, X. Hou, J. Liu: Adaptive Batch Normalization for practical domain
    adaptation, Pattern Recognition 80, 2018, which uses `alpha = 1`; blending as in Schneider et al., NeurIPS 2020.

    If the source model was trained with statistics other than the source's (frozen ones, the default), gains and biases are
    first adjusted to the source's statistics without changing the model's outputs (`keep_to_source`).

    Statistics depend on class frequencies as well as on stain and light: if the target's class frequencies differ from the
    source's, a smaller `alpha` is safer.
    """

    alpha: float = tunable(1.0, low=0.0, high=1.0, ge=0, le=1)

    def adapt(self, model: CellClassifier, target: TargetView, context: AdaptContext) -> CellClassifier:
        """Update the running statistics of `model`."""
        to_device(model, context.trainer.device)
        keep_to_source(model, context.source)
        take_statistics(model, self.part(target.pool, context.seed), self.alpha)
        return model

    def image_passes(self, offer: Offer) -> int:
        """At most `SOURCE_IMAGES` source images and every pool image used pass once."""
        return min(offer.source, SOURCE_IMAGES) + self.part_size(offer)
