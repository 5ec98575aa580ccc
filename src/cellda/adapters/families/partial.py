"""Fine-tuning of some of the weights."""

from abc import abstractmethod

from cellda.adapters.base import AdaptContext, TargetView
from cellda.adapters.families.fine_tuning import FineTuning
from cellda.models.classifier import CellClassifier


class Partial(FineTuning):
    """Fine-tuning as in `full`, but only of the parameters that a method names; all others are frozen.

    Statistics are not parameters: the BatchNorms of the head track the target's images, as in all training, and those of the
    encoder do if `bn="train"`.
    """

    @abstractmethod
    def trained(self, model: CellClassifier) -> set[str]:
        """Names of the parameters of `model` to train; `check` has already refused an encoder without any."""

    def adapt(self, model: CellClassifier, target: TargetView, context: AdaptContext) -> CellClassifier:
        """Train the named weights of `model` on the support images."""
        chosen = self.trained(model)
        for name, weight in model.named_parameters():
            weight.requires_grad_(name in chosen)
        return super().adapt(model, target, context)
