"""Fine-tuning in batches that hold support, unlabelled and source images in equal parts."""

from typing import ClassVar

import torch
from jaxtyping import Int
from torch import Tensor

from cellda.adapters.base import AdaptContext, Need, Offer, TargetView
from cellda.adapters.families.fine_tuning import FineTuning
from cellda.data.image_set import ImageSet
from cellda.models.classifier import CellClassifier
from cellda.plugins.settings import tunable
from cellda.runtime.work import Stage, Work
from cellda.training.batches import Mix
from cellda.training.examples import ImageExamples
from cellda.training.objective import Objective


class Mixing(FineTuning):
    """Base of methods that train on the support together with unlabelled images.

    Batches hold support and pool in equal parts. An epoch takes every support image once and as many pool images, different
    ones each time; epochs are added until there are `min_steps`, as in `full`. A run therefore costs the same for any size of
    the pool. A method defines its loss in `objective`.

    Attributes:
        examples: How the images of a batch are prepared.
        groups: Number of `sets`, which batches hold in equal parts.
        passes: Images sent through the backbone per support image, including itself and all views of its partners.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({Need.LABELS, Need.UNLABELLED})
    examples: ClassVar[type[ImageExamples]] = ImageExamples
    groups: ClassVar[int] = 2
    passes: ClassVar[int] = 2

    epochs: int = tunable(8, low=4, high=16, ge=1)
    batch_size: int = tunable(12, choices=(6, 12, 24), ge=2)
    min_steps: int = tunable(150, choices=(0, 75, 150, 300), ge=0)

    def sets(self, target: TargetView, context: AdaptContext) -> dict[str, list[ImageSet]]:
        """The sets that batches hold in equal parts; the support is part 0 of a batch and the pool part 1."""
        return {**super().sets(target, context), "the pool": [target.pool]}

    def fine_tune(
        self, model: CellClassifier, target: TargetView, context: AdaptContext, objective: Objective
    ) -> None:
        """Train the weights of `model` that require gradients on `sets`, mixed in equal parts."""
        sets = self.sets(target, context)
        support = len(target.support)
        context.trainer.fit(
            model,
            self.examples(
                *[part for parts in sets.values() for part in parts], stain_jitter=self.stain_jitter
            ),
            self.for_images(self.groups * support),
            seed=context.seed,
            work=Work(Stage.ADAPT, self.name),
            order=Mix(tuple(sum(map(len, parts)) for parts in sets.values()), tuple(sets), support),
            objective=objective,
        )

    def supported(self, target: TargetView, context: AdaptContext) -> Int[Tensor, " k"]:
        """Indices of the classes that have support, on the device."""
        classes: Tensor = torch.unique(target.support.labels)
        return classes.to(context.trainer.device)

    def image_passes(self, offer: Offer) -> int:
        """Every epoch sends every support image and its partners through the backbone."""
        return self.for_images(self.groups * offer.labelled).epochs * offer.labelled * self.passes
