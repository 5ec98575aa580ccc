"""Fine-tuning that keeps the feature maps that matter."""

from typing import TYPE_CHECKING

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, Offer, TargetView
from cellda.adapters.full import Full
from cellda.plugins.settings import tunable

if TYPE_CHECKING:
    from cellda.models.classifier import CellClassifier


@register("delta")
class Delta(Full):
    """Fine-tune all weights and keep the source model's feature maps, channel by channel (DELTA, Li et al. 2019).

    Minimises `cross-entropy + alpha / 2 sum_l C_l sum_j a_lj mean_p (F_ljp - F0_ljp)^2`: of each block `l` of the encoder the
    squared distance of its feature maps from those of the source model on the same images, weighted by an attention
    `a_l = softmax(rise of the source model's loss without channel j)` over its `C_l` channels, averaged over the support. The
    paper takes every channel away in turn; here the rise is told to first order from one backward pass
    (`channel_attention`). Its second term is for new heads, and the head is not new. Every image passes through two encoders,
    so that 170 steps are made instead of 200, and fewer epochs at least.

    Li, Xiong, Wang, Rao, Liu and Huan: DELTA: deep learning transfer using feature map with attention for convolutional
    networks. ICLR 2019.
    """

    epochs: int = tunable(10, low=5, high=60, ge=1)
    min_steps: int = tunable(170, choices=(0, 85, 170, 340), ge=0)
    alpha: float = tunable(0.1, low=1e-3, high=10.0, log=True, ge=0)

    def adapt(self, model: "CellClassifier", target: TargetView, context: AdaptContext) -> "CellClassifier":
        """Train every weight of `model` on the support images, its feature maps held at those it gives now."""
        from copy import deepcopy

        from cellda.adapters.families.penalties import FeatureMaps, channel_attention
        from cellda.training.loop import to_device

        to_device(model, context.trainer.device)
        source = deepcopy(model).eval()
        support = target.support
        attention = []
        for start in range(0, len(support), self.batch_size):
            part = support.subset(range(start, min(start + self.batch_size, len(support))))
            images = source.normalised(part.raw(range(len(part))))
            found = channel_attention(source, images, part.labels.to(images.device))
            attention.append([block * len(part) / len(support) for block in found])
        whole = [sum(blocks[1:], blocks[0]) for blocks in zip(*attention, strict=True)]
        objective = FeatureMaps(source.for_inference(), whole, self.alpha, self.label_smoothing)
        self.fine_tune(model, target, context, objective=objective)
        return model

    def image_passes(self, offer: Offer) -> int:
        """Every image passes through the model and the source model, and once for the attention."""
        return 2 * super().image_passes(offer) + offer.labelled
