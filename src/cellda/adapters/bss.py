"""Fine-tuning with batch spectral shrinkage."""

from typing import TYPE_CHECKING

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, TargetView
from cellda.adapters.full import Full
from cellda.plugins.settings import tunable

if TYPE_CHECKING:
    from cellda.models.classifier import CellClassifier


@register("bss")
class Bss(Full):
    """Fine-tune all weights and shrink the smallest singular values of a batch's embeddings (Chen et al. 2019).

    Minimises `cross-entropy + eta sum_{i=1..k} sigma_{-i}^2`, where `sigma_{-i}` is the i-th smallest singular value of the
    batch's embeddings `(B, D)`: directions that carry little are those that transfer worst, and are given up.

    Chen, Wang, Fu, Long and Wang: Catastrophic forgetting meets negative transfer: batch spectral shrinkage for safe transfer
    learning. NeurIPS 2019.
    """

    eta: float = tunable(1e-3, low=1e-4, high=1.0, log=True, ge=0)
    k: int = tunable(1, choices=(1, 2, 4), ge=1)

    def adapt(self, model: "CellClassifier", target: TargetView, context: AdaptContext) -> "CellClassifier":
        """Train every weight of `model` on the support images under the penalty."""
        from cellda.adapters.families.penalties import SmallestSingularValues

        objective = SmallestSingularValues(self.eta, self.k, self.label_smoothing)
        self.fine_tune(model, target, context, objective=objective)
        return model
