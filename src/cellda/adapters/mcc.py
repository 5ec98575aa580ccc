"""Minimum class confusion."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, TargetView
from cellda.adapters.families.mixing import Mixing
from cellda.adapters.families.ramps import ramp_up
from cellda.models.classifier import CellClassifier
from cellda.plugins.settings import tunable
from cellda.taxonomies.base import UNLABELLED
from cellda.training.objective import CrossEntropy, Objective, Step


@register("mcc")
class Mcc(Mixing):
    """Minimise the confusion between classes on the pool: minimum class confusion (Jin et al. 2020).

    `L = CE(support) + weight r(t) MCC(pool)`, see `class_confusion`. Each row of the confusion is a class and has the same
    weight, however rare the class is in the pool; rows of classes without support are left out, because the target may not
    contain them. `r` rises over the first 40 % of the steps, because a source model starts out wrong on many target cells.
    Batches are larger than those of `full`, because confusion is estimated within a batch.
    """

    batch_size: int = tunable(24, choices=(12, 24, 48), ge=2)
    min_steps: int = tunable(110, choices=(0, 55, 110, 220), ge=0)
    temperature: float = tunable(2.5, low=1.0, high=5.0, gt=0)
    weight: float = tunable(1.0, low=0.1, high=3.0, log=True, ge=0)

    def objective(self, model: CellClassifier, target: TargetView, context: AdaptContext) -> Objective:
        """Cross-entropy of the support and the class confusion of the pool."""
        del model
        return Confusion(self, self.supported(target, context))


def class_confusion(
    logits: Float[Tensor, "u c"], rows: Int[Tensor, " k"], temperature: float
) -> Float[Tensor, ""]:
    """Mean over `rows` of the share of a class that is confused with others.

    With `P = softmax(logits / temperature)` and `w_i` proportional to `1 + exp(-H(P_i))`, of mean 1, the confusion of
    classes is `C = P^T diag(w) P`; its rows are normalized to sum 1, and the off-diagonal entries are summed.
    """
    log = (logits / temperature).log_softmax(1)
    found = log.exp()
    weight = 1 + (found * log).sum(1).exp()
    weight = weight * len(weight) / weight.sum()
    # As in the paper, entropy only weights the predictions and is not itself minimised.
    confusion = found.T @ (found * weight.detach()[:, None])
    # Rows are selected before the division: the row of a class that a head rules out is zero, and its gradient would be NaN.
    return 1 - (confusion.diagonal()[rows] / confusion.sum(1)[rows]).mean()


class Confusion(CrossEntropy):
    """The loss of `Mcc`; `rows` are the classes that have support."""

    def __init__(self, settings: Mcc, rows: Int[Tensor, " k"]) -> None:
        super().__init__(settings.label_smoothing)
        self.settings, self.rows = settings, rows

    def loss(self, module: nn.Module, step: Step) -> Float[Tensor, ""]:
        """Cross-entropy and the class confusion of the pool."""
        logits = module(step.inputs)
        confusion = class_confusion(logits[step.labels == UNLABELLED], self.rows, self.settings.temperature)
        return self.of(logits, step.labels) + self.settings.weight * ramp_up(step.progress) * confusion
