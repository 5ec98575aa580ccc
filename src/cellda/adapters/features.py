"""Methods that leave the encoder as it is and work on embeddings."""

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from cellda.adapters.base import AdaptContext, Adapter, Need, TargetView

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor, nn

    from cellda.models.classifier import CellClassifier


class FeatureAdapter(Adapter):
    """An adaptation method that changes the head alone, given the embeddings of the support images.

    The embeddings are computed once, in evaluation mode and without augmentation; a search computes them once for all its
    trials and folds.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({Need.LABELS})

    @abstractmethod
    def fit_head(
        self,
        head: "nn.Module",
        features: "Float[Tensor, 'n d']",
        labels: "Int[Tensor, ' n']",
        context: AdaptContext,
    ) -> None:
        """Fit `head` in place.

        Args:
            head: Embeddings `(B, D)` to logits `(B, classes)`.
            features: `(N, D)` embeddings of the support images, on the CPU.
            labels: `(N,)` their class indices.
            context: Trainer and seed.
        """

    def adapt(self, model: "CellClassifier", target: TargetView, context: AdaptContext) -> "CellClassifier":
        """Fit the head on the embeddings of the support images."""
        features = context.trainer.embeddings(model, target.support)
        self.fit_head(model.head, features, target.support.labels, context)
        return model
