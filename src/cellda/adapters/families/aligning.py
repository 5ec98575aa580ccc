"""Fine-tuning on support, pool and source images that aligns the embeddings of source and target."""

from abc import abstractmethod
from typing import ClassVar, Protocol, cast

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
"""The first sets of a batch belong to the target: the support and the pool."""


class EmbeddingDistance(Protocol):
    """A distance between two sets of embeddings."""

    def __call__(self, source: Float[Tensor, "n d"], target: Float[Tensor, "m d"]) -> Float[Tensor, ""]:
        """The differentiable distance between `(N, D)` and `(M, D)`, each of at least two embeddings."""


class Aligning(SourceImages, Mixing):
    """Base of methods that align the embeddings of source and target.

    Batches hold support, pool and source in equal parts. The source images are drawn once as in `mixed_source`, in equal parts
    from every class of every source. A pool is not balanced by class, but the drawn source images are; counting the balanced
    support as target halves this difference, which alignment would mistake for a difference between domains.

    Attributes:
        distance: The distance to minimise; a method without one overrides `objective`.
        weight: Final weight of the distance.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({Need.LABELS, Need.UNLABELLED, Need.SOURCE})
    groups: ClassVar[int] = 3
    passes: ClassVar[int] = 3
    distance: ClassVar[EmbeddingDistance]

    epochs: int = tunable(8, low=4, high=16, ge=1)
    batch_size: int = tunable(24, choices=(12, 24, 48), ge=3)
    min_steps: int = tunable(110, choices=(0, 55, 110, 220), ge=0)
    source_images: int = Field(
        default=300, ge=1, description="Total number of source images, balanced over sources and classes."
    )
    weight: float

    def objective(self, model: CellClassifier, target: TargetView, context: AdaptContext) -> Objective:
        """Cross-entropy and the weighted distance between the embeddings of source and target."""
        del model
        return Distance(self.label_smoothing, self.weight, self.supported(target, context), self.distance)


class Alignment(CrossEntropy):
    """Cross-entropy of support and source, plus a term that grows as source and target embeddings differ.

    Target embeddings are those of the support and the pool; source embeddings are those of classes that have support, because
    the target may not contain the others. Both are standardised together first, see `standardised`. The term's weight follows
    `ramps.rising`.

    Args:
        label_smoothing: As in `CrossEntropy`.
        weight: Final weight of the term.
        classes: `(K,)` indices of the classes that have support.
    """

    def __init__(self, label_smoothing: float, weight: float, classes: Int[Tensor, " k"]) -> None:
        super().__init__(label_smoothing)
        self.weight, self.classes = weight, classes

    @abstractmethod
    def term(
        self, source: Float[Tensor, "n d"], target: Float[Tensor, "m d"], factor: float
    ) -> Float[Tensor, ""]:
        """The term added to the cross-entropy; both sides have at least two embeddings.

        Args:
            source: Embeddings of source images.
            target: Embeddings of target images.
            factor: The current weight of the term's effect on the encoder.
        """

    def loss(self, module: nn.Module, step: Step) -> Float[Tensor, ""]:
        """Cross-entropy and the term; the cross-entropy alone if a batch holds fewer than two embeddings of a side."""
        model = cast(CellClassifier, module)
        embeddings = model.embed(step.inputs)
        supervised = self.of(model.head(embeddings), step.labels)
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
        weight: Final weight of the distance.
        classes: `(K,)` indices of the classes that have support.
        distance: The distance between source and target embeddings.
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
    """Embeddings minus their mean, divided by one scale for all dimensions that makes their mean variance 1.

    The spread of embeddings differs by a factor of four between source models, and that of covariances by 16, so one weight
    would not fit two models. Gradients flow through mean and scale: without them, every step would shrink the embeddings until
    they vanish, to no effect because the next step standardises them again.
    """
    centred = embeddings - embeddings.mean(0)
    return centred / centred.square().mean().sqrt()
