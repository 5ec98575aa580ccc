"""Fine-tuning that preserves the important feature maps."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, Offer, TargetView
from cellda.adapters.families.fine_tuning import FineTuning
from cellda.models.blocks import by_channel, feature_maps
from cellda.models.classifier import CellClassifier
from cellda.plugins.settings import tunable
from cellda.training.objective import CrossEntropy, Objective, Step


@register("delta")
class Delta(FineTuning):
    """Fine-tune all weights, preserving the source model's most important feature maps (DELTA, Li et al. 2019).

    Minimises `cross-entropy + alpha / 2 sum_l C_l sum_j a_lj mean_p (F_ljp - F0_ljp)^2`: for each encoder block `l`, the
    squared distance between its feature maps and the source model's on the same images, weighted by an attention
    `a_l = softmax(increase of the source model's loss without channel j)` over its `C_l` channels, averaged over the support.
    The paper removes each channel in turn; here one backward pass estimates the increase to first order
    (`channel_attention`). The paper's second term is for new heads. Two encoders see every image, hence fewer steps.

    Li, Xiong, Wang, Rao, Liu and Huan: DELTA: deep learning transfer using feature map with attention. ICLR 2019.
    """

    epochs: int = tunable(10, low=5, high=60, ge=1)
    min_steps: int = tunable(170, choices=(0, 85, 170, 340), ge=0)
    alpha: float = tunable(0.1, low=1e-3, high=10.0, log=True, ge=0)

    def objective(self, model: CellClassifier, target: TargetView, context: AdaptContext) -> Objective:
        """Cross-entropy and the distance from the feature maps that `model` computes now."""
        del context
        source, support = deepcopy(model), target.support
        parts = []
        for rows in torch.split(torch.arange(len(support)), self.batch_size):
            images = source.normalized(support.raw(rows))
            found = channel_attention(source, images, support.labels[rows].to(images.device))
            parts.append([block * len(rows) / len(support) for block in found])
        attention = [sum(blocks[1:], blocks[0]) for blocks in zip(*parts, strict=True)]
        return FeatureMaps(source.for_inference(), attention, self.alpha, self.label_smoothing)

    def image_passes(self, offer: Offer) -> int:
        """Every image passes through the model and the source model, and once for the attention."""
        return 2 * super().image_passes(offer) + offer.labelled


class FeatureMaps(CrossEntropy):
    """The loss of `Delta`, averaged over the images of a batch.

    Args:
        source: The source model, already on the device and in evaluation mode; it does not change.
        attention: `a`: one tensor `(C_l,)` for each block of the encoder.
        alpha: Weight of the penalty.
        label_smoothing: Of the cross-entropy.
    """

    def __init__(
        self, source: CellClassifier, attention: Sequence[Tensor], alpha: float, label_smoothing: float
    ) -> None:
        super().__init__(label_smoothing)
        self.source, self.attention, self.alpha = source, attention, alpha

    def loss(self, module: nn.Module, step: Step) -> Float[Tensor, ""]:
        """Cross-entropy and penalty."""
        model = cast(CellClassifier, module)
        with feature_maps(model.encoder) as found:
            embeddings = model.embed(step.inputs)
        with torch.no_grad(), feature_maps(self.source.encoder) as wanted:
            self.source.embed(step.inputs)
        gone = embeddings.new_zeros(())
        for one, other, attention in zip(found, wanted, self.attention, strict=True):
            moved = by_channel(one - other, model.encoder).square().mean(2)
            gone = gone + len(attention) * (moved @ attention).mean()
        return super().loss(model.head, replace(step, inputs=embeddings)) + self.alpha / 2 * gone


def channel_attention(
    source: CellClassifier, images: Float[Tensor, "b 3 h w"], labels: Int[Tensor, " b"]
) -> list[Tensor]:
    """The attention `a` of each block, `(C,)`, averaged over stain-normalized images with these labels; it sums to 1.

    Setting a channel `F_j` to zero raises the cross-entropy by `-sum_p F_jp dL/dF_jp` to first order (Molchanov et al. 2017),
    which one backward pass gives for all channels at once. `source` must be in evaluation mode.
    """
    with feature_maps(source.encoder) as maps:
        logits = source(images)
    slopes = torch.autograd.grad(F.cross_entropy(logits, labels, reduction="sum"), maps)
    return [
        by_channel(-part * slope, source.encoder).sum(2).softmax(1).mean(0).detach()
        for part, slope in zip(maps, slopes, strict=True)
    ]
