"""Methods that keep the encoder unchanged and work on embeddings; a regression on them."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from cellda.adapters.base import AdaptContext, Adapter, Effect, Need, Offer, TargetView
from cellda.models.classifier import CellClassifier
from cellda.models.heads.base import Head
from cellda.models.heads.linear import Linear
from cellda.plugins.settings import tunable
from cellda.training.settings import Training


@dataclass(frozen=True)
class Features:
    """Embeddings of the target, on the CPU, in evaluation mode and without augmentation.

    Attributes:
        support: `(N, D)`, of the labelled images; empty where the adapter did not declare `Need.LABELS`.
        labels: `(N,)` their class indices.
        pool: `(M, D)`, of the unlabelled images; empty where the adapter did not declare `Need.UNLABELLED`.
    """

    support: Float[Tensor, "n d"]
    labels: Int[Tensor, " n"]
    pool: Float[Tensor, "m d"]


class FeatureAdapter(Adapter):
    """An adaptation method that changes only the head, given the embeddings of the target's images.

    The embeddings are computed once, in evaluation mode and without augmentation; a search computes them once for all its
    trials and folds.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({Need.LABELS})

    @abstractmethod
    def fit_head(self, head: Head, features: Features, context: AdaptContext) -> Head:
        """The adapted head: `head` itself, fitted in place, or another one.

        Args:
            head: The head of the model to be adapted, the adapter's own copy: embeddings `(B, D)` to logits `(B, classes)`.
            features: Embeddings of the target's images.
            context: Trainer and seed.
        """

    def adapt(self, model: CellClassifier, target: TargetView, context: AdaptContext) -> CellClassifier:
        """Fit the head on the embeddings of the target's images."""
        head = self.fit_head(model.head, self.embedded(model, target, context), context)
        model.head = head.to(model.mean.device)
        return model

    def embedded(self, model: CellClassifier, target: TargetView, context: AdaptContext) -> Features:
        """The embeddings of the images that the adapter declared it needs."""
        none = torch.empty(0, model.backbone.embedding), torch.empty(0, dtype=torch.int64)
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
    """Base of methods that train the head on embeddings with the training loop: AdamW and one cycle."""

    effects: ClassVar[frozenset[Effect]] = frozenset({Effect.HEAD})

    lr: float = tunable(1e-3, low=1e-4, high=1e-2, log=True, gt=0)
    optimizer: Literal["adam", "adamw"] = "adamw"
    weight_decay: float = Field(default=0.01, ge=0)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    one_cycle: bool = True
    bn: Literal["frozen"] = "frozen"


def regression(
    inputs: Float[Tensor, "n k"], labels: Int[Tensor, " n"], C: float, *, width: int, classes: int
) -> Linear:
    """A `linear` head that holds a logistic regression on the first `k` numbers of embeddings and ignores the rest.

    Args:
        inputs: `(N, k)`, `k` at most `width`.
        labels: `(N,)` class indices; classes that do not occur are never predicted.
        C: Weight of the likelihood against the penalty.
        width: Length of an embedding.
        classes: Number of classes.
    """
    from sklearn.linear_model import LogisticRegression  # heavy, and recipes import this module

    present = sorted(set(labels.tolist()))
    weights, biases = np.zeros((len(present), width)), np.zeros(len(present))
    if len(present) > 1:
        fitted = LogisticRegression(C=C, tol=1e-6, max_iter=1000).fit(inputs.numpy(), labels.numpy())
        # Of two classes, scikit-learn gives the weights of the second; the first has none.
        rows = len(fitted.coef_)
        weights[-rows:, : inputs.shape[1]], biases[-rows:] = fitted.coef_, fitted.intercept_
    found = Linear(width, classes)
    found.set_classes(present, torch.from_numpy(weights), torch.from_numpy(biases))
    return found
