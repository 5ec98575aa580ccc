"""Fine-tuning with batch spectral shrinkage."""

from dataclasses import replace
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, TargetView
from cellda.adapters.families.fine_tuning import FineTuning
from cellda.models.classifier import CellClassifier
from cellda.plugins.settings import tunable
from cellda.training.objective import CrossEntropy, Objective, Step


@register("bss")
class Bss(FineTuning):
    """Fine-tune all weights and shrink the smallest singular values of a batch's embeddings (Chen et al. 2019).

    Minimises `cross-entropy + eta sum_{i=1..k} sigma_{-i}^2`, where `sigma_{-i}` is the i-th smallest singular value of the
    batch's embeddings `(B, D)`: the directions with the smallest singular values transfer worst and are suppressed.

    Chen, Wang, Fu, Long and Wang: Catastrophic forgetting meets negative transfer: batch spectral shrinkage for safe transfer
    learning. NeurIPS 2019.
    """

    eta: float = tunable(1e-3, low=1e-4, high=1.0, log=True, ge=0)
    k: int = tunable(1, choices=(1, 2, 4), ge=1)

    def objective(self, model: CellClassifier, target: TargetView, context: AdaptContext) -> Objective:
        """Cross-entropy and the smallest singular values."""
        del model, target, context
        return SmallestSingularValues(self.eta, self.k, self.label_smoothing)


class SmallestSingularValues(CrossEntropy):
    """Cross-entropy `+ eta sum_{i<=k} sigma_{-i}^2`, the smallest singular values of a batch's embeddings.

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
