"""Fine-tuning on support, pool and source images while the embeddings of source and target are made alike."""

from abc import abstractmethod
from typing import ClassVar, Protocol

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from cellda.adapters.base import AdaptContext, Need, TargetView
from cellda.adapters.families.mixing import Mixing
from cellda.adapters.families.ramps import rising
from cellda.adapters.families.source_images import SourceImages
from cellda.models.classifier import CellClassifier
from cellda.plugins.settings import tunable
from cellda.training.objective import CrossEntropy, Objective, Step

TARGET_SETS = 2
"""The first sets of a batch are the target's: the support and the pool."""


class EmbeddingDistance(Protocol):
    """How far apart two sets of embeddings are."""

    def __call__(self, source: Float[Tensor, "n d"], target: Float[Tensor, "m d"]) -> Float[Tensor, ""]:
        """The distance of `(N, D)` and `(M, D)`, each of at least two embeddings; gradients go through it."""


class Aligning(SourceImages, Mixing):
    """What methods share that align the embeddings of source and target.

    Batches hold support, pool and source in equal parts. The source images are drawn once as in `mixed_source`, in equal parts
    from every class of every source. Cells of a pool are not balanced and the drawn source images are; that the balanced
    support counts to the target halves this difference, which alignment would take for one of domains.

    Attributes:
        distance: What is made small; a method without one overrides `objective`.
        weight: Weight of the distance in the end.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({Need.LABELS, Need.UNLABELLED, Need.SOURCE})
    passes: ClassVar[int] = 3
    distance: ClassVar[EmbeddingDistance]

    epochs: int = tunable(8, low=4, high=16, ge=1)
    batch_size: int = tunable(24, choices=(12, 24, 48), ge=3)
    min_steps: int = tunable(110, choices=(0, 55, 110, 220), ge=0)
    source_images: int = Field(
        default=300, ge=1, description="Source images in all, balanced over sources and classes."
    )
    weight: float

    def objective(self, model: CellClassifier, target: TargetView, context: AdaptContext) -> Objective:
        """Cross-entropy and the weighted distance between the embeddings of source and target."""
        del model
        return Distance(self.label_smoothing, self.weight, self.supported(target, context), self.distance)


class Alignment(CrossEntropy):
    """Cross-entropy of support and source, and a term that grows the more source and target embeddings differ.

    The target's embeddings are those of the support and of the pool, the source's those of the classes that have support:
    nothing in the target may correspond to the others. Both are standardised together first, see `standardised`. The term's
    weight follows `ramps.rising`.

    Args:
        label_smoothing: As in `CrossEntropy`.
        weight: Weight of the term in the end.
        classes: `(K,)` indices of the classes that have support.
    """

    def __init__(self, label_smoothing: float, weight: float, classes: Int[Tensor, " k"]) -> None:
        super().__init__(label_smoothing)
        self.weight, self.classes = weight, classes

    @abstractmethod
    def term(
        self, source: Float[Tensor, "n d"], target: Float[Tensor, "m d"], factor: float
    ) -> Float[Tensor, ""]:
        """What is added to the cross-entropy; both sides have at least two embeddings.

        Args:
            source: Embeddings of source images.
            target: Embeddings of target images.
            factor: The present weight of what the encoder is to do about it.
        """

    def loss(self, module: nn.Module, step: Step) -> Float[Tensor, ""]:
        """The cross-entropy alone where a batch holds fewer than two embeddings of a side."""
        embeddings = module.embed(step.inputs)  # type: ignore[operator]
        supervised = self.of(module.head(embeddings), step.labels)  # type: ignore[operator]
        of_target = torch.tensor([part < TARGET_SETS for part in step.parts], device=step.labels.device)
        of_source = ~of_target & torch.isin(step.labels, self.classes)
        if min(int(of_source.sum()), int(of_target.sum())) < 2:
            return supervised
        scaled = standardised(embeddings)
        term = self.term(scaled[of_source], scaled[of_target], self.weight * rising(step.progress))
        return supervised + term


class Distance(Alignment):
    """Alignment by a distance between the two sets of embeddings.

    Args:
        label_smoothing: As in `CrossEntropy`.
        weight: Weight of the distance in the end.
        classes: `(K,)` indices of the classes that have support.
        distance: Of the embeddings of source and target.
    """

    def __init__(
        self, label_smoothing: float, weight: float, classes: Int[Tensor, " k"], distance: EmbeddingDistance
    ) -> None:
        super().__init__(label_smoothing, weight, classes)
        self.distance = distance

    def term(
        self, source: Float[Tensor, "n d"], target: Float[Tensor, "m d"], factor: float
    ) -> Float[Tensor, ""]:
        """The distance times `factor`."""
        return factor * self.distance(source, target)


def standardised(embeddings: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
    """Embeddings less their mean, over one number for all dimensions that makes their mean variance 1.

    From one source model to another the spread of embeddings differs by a factor of four, and with it a covariance's by 16; so
    one weight would not fit two models. Gradients go through mean and number: without them, every step would shrink the
    embeddings, in vain, as the next would standardise them again, until nothing is left of them.
    """
    centred = embeddings - embeddings.mean(0)
    return centred / centred.square().mean().sqrt()
