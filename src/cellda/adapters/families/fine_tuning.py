"""Fine-tuning on the labelled support images."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from cellda.adapters.base import AdaptContext, Adapter, Effect, Need, Offer, TargetView
from cellda.data.image_set import ImageSet
from cellda.models.classifier import CellClassifier
from cellda.plugins.settings import tunable
from cellda.runtime.work import Stage, Work
from cellda.training.batches import Batches, Mix
from cellda.training.examples import ImageExamples
from cellda.training.loop import to_device
from cellda.training.objective import CrossEntropy, Objective
from cellda.training.settings import Training


class FineTuning(Training, Adapter):
    """Base of methods that train weights of encoder, embedding and head on the support.

    By default all weights are trained with cross-entropy; a method overrides what differs: `objective`, `sets`, or `adapt`.
    A support set of 20 images would get too few optimizer steps in `epochs` epochs, so epochs are added until there are
    `min_steps`; if only `epochs` is given, exactly that many are run.

    Attributes:
        min_steps: Minimum number of optimizer steps; epochs are added to reach it.
        stain_jitter: Strength of random changes of stain and light (`cellda.imaging.augment.random_stain`); 0 disables them.
    """

    effects: ClassVar[frozenset[Effect]] = frozenset({Effect.ENCODER, Effect.HEAD})
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LABELS})

    epochs: int = tunable(15, low=5, high=60, ge=1)
    batch_size: int = tunable(8, choices=(4, 8, 16), ge=2)
    lr: float = tunable(3e-4, low=3e-5, high=6e-4, log=True, gt=0)
    optimizer: Literal["adam", "adamw"] = "adamw"
    weight_decay: float = Field(default=0.01, ge=0)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    one_cycle: bool = True
    bn: Literal["train", "frozen"] = "frozen"
    min_steps: int = tunable(200, choices=(0, 100, 200, 400), ge=0)
    stain_jitter: float = tunable(1.0, choices=(0.0, 0.5, 1.0, 2.0), ge=0)

    @model_validator(mode="before")
    @classmethod
    def _exact(cls, given: Any) -> Any:
        return cls.implied(given) if isinstance(given, Mapping) else given

    @classmethod
    def implied(cls, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Setting `epochs` without `min_steps` implies exactly that many epochs."""
        return {"min_steps": 0, **changes} if "epochs" in changes else dict(changes)

    def adapt(self, model: CellClassifier, target: TargetView, context: AdaptContext) -> CellClassifier:
        """Train the weights of `model` that require gradients with `objective`."""
        to_device(model, context.trainer.device)
        self.fine_tune(model, target, context, self.objective(model, target, context))
        return model

    def objective(self, model: CellClassifier, target: TargetView, context: AdaptContext) -> Objective:
        """The loss to minimise: cross-entropy, unless a method overrides it; `model` is already on its device."""
        del model, target, context
        return CrossEntropy(self.label_smoothing)

    def sets(self, target: TargetView, context: AdaptContext) -> dict[str, list[ImageSet]]:
        """The images to train on, by display name: the support, unless a method overrides it."""
        del context
        return {"the support": [target.support]}

    def fine_tune(
        self, model: CellClassifier, target: TargetView, context: AdaptContext, objective: Objective
    ) -> None:
        """Train the weights of `model` that require gradients on `sets`, shuffled together."""
        parts = [part for group in self.sets(target, context).values() for part in group]
        examples = ImageExamples(*parts, stain_jitter=self.stain_jitter)
        settings = self.for_images(len(examples))
        work = Work(Stage.ADAPT, self.name)
        context.trainer.fit(model, examples, settings, seed=context.seed, work=work, objective=objective)

    def for_images(self, images: int) -> Self:
        """These settings with as many epochs as it takes to reach `min_steps` on `images` images."""
        steps_an_epoch = len(Batches(Mix((images,)), self.batch_size, seed=0))
        return self.model_copy(update={"epochs": max(self.epochs, -(-self.min_steps // steps_an_epoch))})

    def trained_images(self, offer: Offer) -> int:
        """Number of images in `sets`: the support, unless a method overrides it."""
        return offer.labelled

    def image_passes(self, offer: Offer) -> int:
        """Every epoch sends every training image through the backbone."""
        images = self.trained_images(offer)
        return self.for_images(images).epochs * images
