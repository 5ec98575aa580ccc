"""Embeddings that do not depend on a cell's orientation."""

from typing import ClassVar

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, Adapter, Effect, Offer, TargetView
from cellda.models.classifier import CellClassifier


@register("tta")
class TTA(Adapter):
    """Embed every cell as the mean over its flips and rotations (test-time augmentation, Simonyan & Zisserman 2015).

    `z(x) = 1/8 sum_g f(g x)` over the eight symmetries `g` of the square, so a cell is classified the same in every
    orientation, which training augmentation only approximates. Nothing is trained and no labels are used. Adapters that work
    on embeddings may follow and receive these; adapters that change the encoder must come before. Every image that is embedded
    or predicted afterwards goes through the backbone eight times. K. Simonyan, A. Zisserman: Very deep convolutional networks
    for large-scale image recognition, ICLR 2015, which averages probabilities over crops and mirror images; averaging over a
    symmetry group as in T. Cohen, M. Welling: Group equivariant convolutional networks, ICML 2016.
    """

    effects: ClassVar[frozenset[Effect]] = frozenset({Effect.VIEWS})
    views: ClassVar[int] = 8

    def adapt(self, model: CellClassifier, target: TargetView, context: AdaptContext) -> CellClassifier:
        """Make `model` symmetric."""
        del target, context
        model.symmetric = True
        return model

    def image_passes(self, offer: Offer) -> int:
        """None while adapting; afterwards every image passes eight times."""
        del offer
        return 0
