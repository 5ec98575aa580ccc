"""Methods that leave the encoder as it is and work on embeddings."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from cellda.adapters.base import AdaptContext, Adapter, Need, Offer, TargetView
from cellda.plugins.settings import tunable
from cellda.training.settings import Training

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

    from cellda.models.classifier import CellClassifier
    from cellda.models.heads.base import Head


@dataclass(frozen=True)
class Features:
    """Embeddings of the target, on the CPU, in evaluation mode and without augmentation.

    Attributes:
        support: `(N, D)`, of the labelled images; empty where the adapter did not declare `Need.LABELS`.
        labels: `(N,)` their class indices.
        pool: `(M, D)`, of the unlabelled images; empty where the adapter did not declare `Need.UNLABELLED`.
    """

    support: "Float[Tensor, 'n d']"
    labels: "Int[Tensor, ' n']"
    pool: "Float[Tensor, 'm d']"


class FeatureAdapter(Adapter):
    """An adaptation method that changes the head alone, given the embeddings of the target's images.

    The embeddings are computed once, in evaluation mode and without augmentation; a search computes them once for all its
    trials and folds.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({Need.LABELS})
    moves: ClassVar[bool] = False
    trains: ClassVar[bool] = False

    @abstractmethod
    def fit_head(self, head: "Head", features: Features, context: AdaptContext) -> "Head":
        """The adapted head: `head` itself, fitted in place, or another one.

        Args:
            head: The head of the model to be adapted, the adapter's own copy: embeddings `(B, D)` to logits `(B, classes)`.
            features: Embeddings of the target's images.
            context: Trainer and seed.
        """

    def adapt(self, model: "CellClassifier", target: TargetView, context: AdaptContext) -> "CellClassifier":
        """Fit the head on the embeddings of the target's images."""
        head = self.fit_head(model.head, self.embedded(model, target, context), context)
        model.head = head.to(model.mean.device)
        return model.eval()

    def embedded(self, model: "CellClassifier", target: TargetView, context: AdaptContext) -> Features:
        """The embeddings of what the adapter declared that it needs."""
        from torch import empty, int64

        none = empty(0, model.backbone.embedding), empty(0, dtype=int64)
        labelled = Need.LABELS in self.needs
        return Features(
            context.trainer.embeddings(model, target.support) if labelled else none[0],
            target.support.labels if labelled else none[1],
            context.trainer.embeddings(model, target.pool) if Need.UNLABELLED in self.needs else none[0],
        )

    def image_passes(self, offer: Offer) -> int:
        """Every image that is needed is embedded once."""
        return offer.labelled * (Need.LABELS in self.needs) + offer.unlabelled * (
            Need.UNLABELLED in self.needs
        )


class HeadTraining(Training, FeatureAdapter):
    """What methods share that train the head on embeddings, by the training loop: AdamW and one cycle."""

    trains: ClassVar[bool] = True

    lr: float = tunable(1e-3, low=1e-4, high=1e-2, log=True, gt=0)
    optimizer: Literal["adam", "adamw"] = "adamw"
    weight_decay: float = Field(0.01, ge=0)
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    one_cycle: bool = True
    bn: Literal["frozen"] = "frozen"
