"""Minimax entropy between head and encoder."""

from typing import cast

from jaxtyping import Float
from torch import Tensor, nn

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, TargetView
from cellda.adapters.families.entropy import conditional_entropy
from cellda.adapters.families.gradient_reversal import reverse
from cellda.adapters.families.mixing import Mixing
from cellda.models.classifier import CellClassifier
from cellda.plugins.settings import tunable
from cellda.taxonomies.base import UNLABELLED
from cellda.training.objective import CrossEntropy, Objective, Step


@register("mme")
class Mme(Mixing):
    """Maximise the entropy of the head on the pool while the encoder minimises it: minimax entropy (Saito et al. 2019).

    `H = -mean_u sum_c p_c log p_c` over the pool. The head minimises `CE(support) - weight H`, which moves its class weights
    towards the pool; encoder and embedding minimise `CE(support) + weight H`, which clusters the pool around them. Both happen
    in one step: the gradient of the pool is reversed between embedding and head. The model's own head is used; the paper has
    cosine similarities to one prototype per class.
    """

    batch_size: int = tunable(16, choices=(8, 16, 32), ge=2)
    min_steps: int = tunable(160, choices=(0, 80, 160, 320), ge=0)
    weight: float = tunable(0.1, low=0.01, high=1.0, log=True, ge=0)

    def objective(self, model: CellClassifier, target: TargetView, context: AdaptContext) -> Objective:
        """Cross-entropy of the support and the entropy of the pool, whose gradient is reversed before the head."""
        del model, target, context
        return MinimaxEntropy(self)


class MinimaxEntropy(CrossEntropy):
    """The loss of `Mme` as the head minimises it; the layers before the head get the entropy's gradient reversed."""

    def __init__(self, settings: Mme) -> None:
        super().__init__(settings.label_smoothing)
        self.settings = settings

    def loss(self, module: nn.Module, step: Step) -> Float[Tensor, ""]:
        """Cross-entropy less `weight` times the entropy of the pool."""
        model = cast(CellClassifier, module)
        embeddings = model.embed(step.inputs)
        fit = self.of(model.head(embeddings), step.labels)
        # All embeddings are reversed, not just the pool's: the head's BatchNorm passes an image's gradient on to all others,
        # and without one part of it their common mean would drift away.
        logits = model.head(reverse(embeddings))
        return fit - self.settings.weight * conditional_entropy(logits[step.labels == UNLABELLED])
