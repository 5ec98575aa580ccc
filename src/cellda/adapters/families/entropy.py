"""Entropies of predictions, used by methods without labels, and an objective that is a function of logits."""

from collections.abc import Callable
from typing import cast

from jaxtyping import Float, Int
from torch import Tensor, nn

from cellda.models.classifier import CellClassifier
from cellda.training.objective import CrossEntropy, Step


def conditional_entropy(logits: Float[Tensor, "n classes"], order: float = 1.0) -> Float[Tensor, ""]:
    """Mean Tsallis entropy of single predictions (Shannon's, in nats, at order 1): small if they are confident.

    At the same order, the marginal entropy is never below it.
    """
    if order == 1:
        return -(logits.softmax(1) * logits.log_softmax(1)).sum(1).mean()
    return ((1 - logits.softmax(1).pow(order).sum(1)) / (order - 1)).mean()


def marginal_entropy(logits: Float[Tensor, "n classes"], order: float) -> Float[Tensor, ""]:
    """Tsallis entropy of the mean prediction `p`: large if all classes are predicted.

    `(1 - sum(p ** order)) / (order - 1)`; Shannon's, in nats, at order 1. It is largest if all classes are predicted
    equally often, but the higher the order, the less is gained by making a rare class more frequent (Veilleux et al.,
    NeurIPS 2021).
    """
    mean: Tensor = logits.softmax(1).mean(0)
    if order == 1:
        return -(mean * mean.clamp_min(1e-12).log()).sum()
    return (1 - mean.pow(order).sum()) / (order - 1)


class OfLogits(CrossEntropy):
    """Minimises a function of the logits `(B, classes)` and labels `(B,)` of a batch.

    Args:
        terms: The function; labels are `UNLABELLED` where there is none.
        head_in_use: Whether the head of a `CellClassifier` runs in evaluation mode, without dropout and with its running
            statistics, while the layers before it train.
    """

    def __init__(
        self,
        terms: Callable[[Float[Tensor, "b classes"], Int[Tensor, " b"]], Float[Tensor, ""]],
        *,
        head_in_use: bool = False,
    ) -> None:
        super().__init__()
        self.terms = terms
        self.head_in_use = head_in_use

    def loss(self, module: nn.Module, step: Step) -> Float[Tensor, ""]:
        """The value of the function for the batch."""
        if self.head_in_use:
            cast(CellClassifier, module).head.eval()
        return self.terms(module(step.inputs), step.labels)
