"""No adaptation."""

from typing import ClassVar

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, Adapter, Effect, Offer, TargetView
from cellda.models.classifier import CellClassifier


@register("none")
class NoAdaptation(Adapter):
    """Use the source model unchanged, behind the target's normalizer (ablation 2); uses no labels."""

    effects: ClassVar[frozenset[Effect]] = frozenset()

    def adapt(self, model: CellClassifier, target: TargetView, context: AdaptContext) -> CellClassifier:
        """Return `model` unchanged."""
        del target, context
        return model

    def image_passes(self, offer: Offer) -> int:
        """No image is needed."""
        del offer
        return 0
