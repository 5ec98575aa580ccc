"""Full fine-tuning: the paper's proposed workflow."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, Adapter, Need, Offer, TargetView
from cellda.plugins.settings import tunable
from cellda.training.settings import Training

if TYPE_CHECKING:
    from cellda.models.classifier import CellClassifier


@register("full")
class Full(Training, Adapter):
    """Fine-tune all weights on the labelled support images (the paper's proposed workflow).

    Section "Fine-tuning strategy" of the paper. Its authors' one published example trains 50 epochs at 7e-5 with BatchNorm
    statistics moving; here the encoder's statistics stay frozen by default, because batches of a few cells estimate them
    badly (`bn="train"` is the paper's way). A support set of 20 images would get too few optimizer steps in `epochs`
    epochs, so epochs are added until there are `min_steps`; given `epochs` alone, exactly those are made. Images are
    flipped, turned and, by `stain_jitter`, stained a little differently each time (`cellda.imaging.augment`); the paper does
    not do the last, and whether it helps is open (benchmarks/DECISIONS.md).
    """

    needs: ClassVar[frozenset[Need]] = frozenset({Need.LABELS})

    epochs: int = tunable(15, low=5, high=60, ge=1)
    batch_size: int = tunable(8, choices=(4, 8, 16), ge=2)
    lr: float = tunable(3e-4, low=3e-5, high=6e-4, log=True, gt=0)
    optimizer: Literal["adam", "adamw"] = "adamw"
    weight_decay: float = Field(0.01, ge=0)
    label_smoothing: float = Field(0.1, ge=0, lt=1)
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
        """Whoever names `epochs` gets those, unless `min_steps` is named as well."""
        return {"min_steps": 0, **changes} if "epochs" in changes else dict(changes)

    def adapt(self, model: "CellClassifier", target: TargetView, context: AdaptContext) -> "CellClassifier":
        """Train every weight of `model` on the support images."""
        self.fine_tune(model, target, context)
        return model

    def fine_tune(
        self, model: "CellClassifier", target: TargetView, context: AdaptContext, **options: Any
    ) -> None:
        """Train the weights of `model` that have a gradient on the support images; `options` go to `Trainer.fit`."""
        from cellda.training.examples import ImageExamples

        examples = ImageExamples(target.support, stain_jitter=self.stain_jitter)
        settings = self.for_images(len(examples))
        title = f"adapting ({self.name})"
        context.trainer.fit(model, examples, settings, seed=context.seed, title=title, **options)

    def for_images(self, images: int) -> Self:
        """These settings with as many epochs as `images` need for `min_steps`."""
        from cellda.training.batches import Batches

        steps_an_epoch = len(Batches([images], self.batch_size, seed=0))
        return self.model_copy(update={"epochs": max(self.epochs, -(-self.min_steps // steps_an_epoch))})

    def image_passes(self, offer: Offer) -> int:
        """Every epoch sends every support image through the backbone."""
        return self.for_images(offer.labelled).epochs * offer.labelled
