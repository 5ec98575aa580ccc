"""Entropy minimisation over BatchNorm's scales and shifts."""

from typing import Literal

from pydantic import Field
from torch import Tensor

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, Offer, TargetView
from cellda.adapters.families.batchnorm import (
    SOURCE_IMAGES,
    SourceStatistics,
    batchnorms,
    keep_to_source,
    take_statistics,
)
from cellda.adapters.families.entropy import OfLogits, conditional_entropy
from cellda.models.classifier import CellClassifier
from cellda.plugins.settings import tunable
from cellda.runtime.work import Stage, Work
from cellda.training.examples import ImageExamples
from cellda.training.loop import to_device
from cellda.training.settings import Training


@register("tent")
class Tent(Training, SourceStatistics):
    """Minimise prediction entropy over the scales and shifts of BatchNorm alone (Tent, Wang et al. 2021).

    Minimises `-mean_i sum_k p_ik log p_ik` over the gain and bias of the encoder's BatchNorm2d layers, which normalize with
    the statistics of the batch during training; nothing else is trained. Afterwards the running statistics are those of the
    pool. D. Wang, E. Shelhamer, S. Liu, B. Olshausen, T. Darrell: Tent: fully test-time adaptation by entropy minimization,
    ICLR 2021, where it runs online; here it makes `epochs` passes over the pool.

    As in `adabn`, gains and biases are first adjusted to the source's statistics. Entropy alone is lowest when everything is
    predicted as one class, so only a few steps are made.
    """

    epochs: int = tunable(2, low=1, high=10, ge=1)
    batch_size: int = tunable(64, choices=(32, 64, 128), ge=2)
    lr: float = tunable(1e-3, low=1e-4, high=1e-2, log=True, gt=0)
    bn: Literal["train"] = "train"
    pool_images: int = Field(default=800, ge=2, description="Maximum number of pool images used; drawn once.")

    def adapt(self, model: CellClassifier, target: TargetView, context: AdaptContext) -> CellClassifier:
        """Train the BatchNorms of the encoder, then take their statistics from the pool."""
        to_device(model, context.trainer.device)
        keep_to_source(model, context.source)
        pool = self.part(target.pool, context.seed)
        model.requires_grad_(False)
        for layer in batchnorms(model.encoder):
            layer.requires_grad_(True)
        context.trainer.fit(
            model,
            ImageExamples(pool),
            self,
            seed=context.seed,
            objective=OfLogits(self.loss, head_in_use=True),
            work=Work(Stage.ADAPT, self.name),
        )
        take_statistics(model, pool)
        return model

    def image_passes(self, offer: Offer) -> int:
        """At most `SOURCE_IMAGES` source images once; the pool in every epoch and once for its statistics."""
        return min(offer.source, SOURCE_IMAGES) + (self.epochs + 1) * self.part_size(offer)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The entropy of the predictions of a batch `(B, classes)`."""
        del labels
        return conditional_entropy(logits)
