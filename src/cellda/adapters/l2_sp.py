"""Fine-tuning that stays close to the source model."""

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, TargetView
from cellda.adapters.families.fine_tuning import FineTuning
from cellda.models.classifier import CellClassifier
from cellda.plugins.settings import tunable
from cellda.training.objective import CrossEntropy, Objective, Step


@register("l2_sp")
class L2Sp(FineTuning):
    """Fine-tune all weights with a penalty on their distance from the source model's (Li et al. 2018).

    Minimises `cross-entropy + alpha / 2 ||w - w0||^2` over all weights `w`, where `w0` are those the adapter receives. The
    paper's second term, `beta / 2 ||w||^2` for a new head, is not needed: the head is the source model's and has the same
    classes. The penalty replaces weight decay, which would pull the weights towards zero.

    Li, Grandvalet and Davoine: Explicit inductive bias for transfer learning with convolutional networks. ICML 2018.
    """

    alpha: float = tunable(0.01, low=1e-3, high=1.0, log=True, ge=0)
    weight_decay: float = Field(default=0.0, ge=0)

    def objective(self, model: CellClassifier, target: TargetView, context: AdaptContext) -> Objective:
        """Cross-entropy and the distance from the current weights of `model`."""
        del target, context
        return StartingPoint(model, self.alpha, self.label_smoothing)


class StartingPoint(CrossEntropy):
    """Cross-entropy `+ alpha / 2 ||w - w0||^2` over all weights that train.

    Args:
        module: Holds the weights, already on the device; their current values are `w0`.
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
