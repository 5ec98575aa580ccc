"""Fine-tuning that is held at the source model."""

from typing import TYPE_CHECKING

from pydantic import Field

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, TargetView
from cellda.adapters.full import Full
from cellda.plugins.settings import tunable

if TYPE_CHECKING:
    from cellda.models.classifier import CellClassifier


@register("l2_sp")
class L2Sp(Full):
    """Fine-tune all weights with a penalty on how far they go from the source model's (Li et al. 2018).

    Minimises `cross-entropy + alpha / 2 ||w - w0||^2` over all weights `w`, `w0` being those the adapter receives. The paper's
    second term, `beta / 2 ||w||^2` of a new head, has no part here: the head is the source model's and classifies the
    same classes. The penalty takes the place of weight decay, which would pull towards zero.

    Li, Grandvalet and Davoine: Explicit inductive bias for transfer learning with convolutional networks. ICML 2018.
    """

    alpha: float = tunable(0.01, low=1e-3, high=1.0, log=True, ge=0)
    weight_decay: float = Field(0.0, ge=0)

    def adapt(self, model: "CellClassifier", target: TargetView, context: AdaptContext) -> "CellClassifier":
        """Train every weight of `model` on the support images, held at where it is now."""
        from cellda.adapters.families.penalties import StartingPoint
        from cellda.training.loop import to_device

        to_device(model, context.trainer.device)
        objective = StartingPoint(model, self.alpha, self.label_smoothing)
        self.fine_tune(model, target, context, objective=objective)
        return model
