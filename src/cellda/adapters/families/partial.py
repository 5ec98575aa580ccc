"""Fine-tuning of some of the weights."""

from abc import abstractmethod
from typing import TYPE_CHECKING

from cellda.adapters.base import AdaptContext, TargetView
from cellda.adapters.full import Full

if TYPE_CHECKING:
    from cellda.models.classifier import CellClassifier


class Partial(Full):
    """Fine-tuning as in `full`, of the parameters that a method names; all others stay as they are.

    Statistics are no parameters: the BatchNorms of the head follow the target's images, as in every training, and those of the
    encoder do if `bn="train"`.
    """

    @abstractmethod
    def trained(self, model: "CellClassifier") -> set[str]:
        """Names of the parameters of `model` that train; `check` has refused an encoder without any."""

    def adapt(self, model: "CellClassifier", target: TargetView, context: AdaptContext) -> "CellClassifier":
        """Train the named weights of `model` on the support images."""
        chosen = self.trained(model)
        for name, weight in model.named_parameters():
            weight.requires_grad_(name in chosen)
        self.fine_tune(model, target, context)
        model.requires_grad_(True)  # for what may come next in a chain
        return model
