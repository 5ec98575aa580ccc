"""What fine-tuning may minimise beside the cross-entropy, so that little is forgotten of the model it starts from."""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from cellda.models.blocks import by_channel, feature_maps
from cellda.models.classifier import CellClassifier
from cellda.training.objective import CrossEntropy, Step


class StartingPoint(CrossEntropy):
    """Cross-entropy `+ alpha / 2 ||w - w0||^2` over all weights that train (Li et al. 2018).

    Args:
        module: Holds the weights, on the device already; where they are now is `w0`.
        alpha: Weight of the penalty.
        label_smoothing: Of the cross-entropy.
    """

    def __init__(self, module: nn.Module, alpha: float, label_smoothing: float) -> None:
        super().__init__(label_smoothing)
        self.alpha = alpha
        self.weights = [weight for weight in module.parameters() if weight.requires_grad]
        self.start = [weight.detach().clone() for weight in self.weights]

    def loss(self, module: nn.Module, step: Step) -> Float[Tensor, ""]:
        """Cross-entropy and penalty."""
        gone = [(weight - at).square().sum() for weight, at in zip(self.weights, self.start, strict=True)]
        return super().loss(module, step) + self.alpha / 2 * torch.stack(gone).sum()


class SmallestSingularValues(CrossEntropy):
    """Cross-entropy `+ eta sum_{i<=k} sigma_{-i}^2`, the smallest singular values of a batch's embeddings (Chen et al. 2019).

    Args:
        eta: Weight of the penalty.
        count: Number `k` of singular values; all of them where a batch has fewer.
        label_smoothing: Of the cross-entropy.
    """

    def __init__(self, eta: float, count: int, label_smoothing: float) -> None:
        super().__init__(label_smoothing)
        self.eta = eta
        self.count = count

    def loss(self, module: nn.Module, step: Step) -> Float[Tensor, ""]:
        """Cross-entropy and penalty."""
        model = cast(CellClassifier, module)
        embeddings = model.embed(step.inputs)
        values = torch.linalg.svdvals(embeddings.float())  # in descending order
        fit = super().loss(model.head, replace(step, inputs=embeddings))
        shrunk: Tensor = values[-self.count :].square().sum()
        return fit + self.eta * shrunk


class FeatureMaps(CrossEntropy):
    """Cross-entropy `+ alpha / 2 sum_l C_l sum_j a_lj mean_p (F_ljp - F0_ljp)^2`, averaged over the images (Li et al. 2019).

    `F` are the feature maps of the trained model and `F0` those of the source model, of blocks `l` with `C_l` channels `j` at
    positions `p`, on the same images.

    Args:
        source: The source model, on the device already and in evaluation mode; it does not change.
        attention: `a`: one tensor `(C_l,)` a block of the encoder, each of which sums to 1.
        alpha: Weight of the penalty.
        label_smoothing: Of the cross-entropy.
    """

    def __init__(
        self, source: CellClassifier, attention: Sequence[Tensor], alpha: float, label_smoothing: float
    ) -> None:
        super().__init__(label_smoothing)
        self.source = source
        self.attention = attention
        self.alpha = alpha

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
    """How much each channel of each block matters: the softmax over a block of what the loss rises without the channel.

    Setting a channel `F_j` to zero raises the cross-entropy by `-sum_p F_jp dL/dF_jp` to first order (Molchanov et al. 2017),
    which one backward pass tells of all channels at once; taken away one by one, each would cost a pass of its own.

    Args:
        source: The source model in evaluation mode, on the device of the images.
        images: Stain-normalised.
        labels: Their classes.

    Returns:
        One tensor `(C,)` a block, mean over the images, which sums to 1.
    """
    with feature_maps(source.encoder) as maps:
        logits = source(images)
    loss = F.cross_entropy(logits, labels, reduction="sum")
    slopes = torch.autograd.grad(loss, maps)
    return [
        by_channel(-part * slope, source.encoder).sum(2).softmax(1).mean(0).detach()
        for part, slope in zip(maps, slopes, strict=True)
    ]
