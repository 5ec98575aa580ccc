"""Trees on what can be measured of a cell, beside the network."""

from typing import ClassVar

import torch

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, Adapter, Effect, Need, Offer, TargetView
from cellda.errors import ConfigurationError
from cellda.imaging.measurements import measure
from cellda.models.classifier import CellClassifier
from cellda.models.second_view import SecondView
from cellda.plugins.settings import tunable
from cellda.runtime.progress import note
from cellda.text import counted

BLOCK = 64
"""Images measured together."""


@register("second_view")
class SecondViewAdapter(Adapter):
    """Correct the network by trees on the measured shape and stain of nucleus and cytoplasm.

    Lobes, roundness, area ratios, stain densities and granularity (`cellda.imaging.measurements`, by scikit-image) are what
    haematologists describe; randomised trees (scikit-learn) learn the classes of the support from them, and their
    probabilities are multiplied with the network's (`cellda.models.second_view`). No image passes through the network, which
    stays as it is: the adapter goes with every other one, before or after it. Measuring takes 7 ms an image, on the CPU. The
    measures are meant for framed images (`framing="cell"`).

    A product of experts (G. Hinton: Training products of experts by minimizing contrastive divergence, Neural Computation 14,
    2002), of trees as in P. Geurts, D. Ernst, L. Wehenkel: Extremely randomized trees, Machine Learning 63, 2006.
    """

    effects: ClassVar[frozenset[Effect]] = frozenset()
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LABELS})

    trees: int = tunable(100, choices=(50, 100, 200), ge=1, le=1000)
    weight: float = tunable(1.0, low=0.25, high=2.0, log=True, gt=0, le=10)

    def adapt(self, model: CellClassifier, target: TargetView, context: AdaptContext) -> CellClassifier:
        """Fit the trees on the support."""
        support = target.support
        blocks = torch.split(torch.arange(len(support)), BLOCK)
        measures = torch.cat([measure(support.raw(rows).float() / 255) for rows in blocks])
        whole = ~measures.isnan().any(1)
        if not whole.any():
            raise ConfigurationError(
                f"The adapter 'second_view' measures nuclei, and none was found in the "
                f"{counted(len(support), 'labelled image(s)')}; look at the images, or leave the adapter out."
            )
        if missed := int((~whole).sum()):
            note(
                f"second_view: no nucleus was found in {missed} of {counted(len(support), 'labelled image(s)')}, and the "
                "trees do not learn from them."
            )
        model.second_view = SecondView.fitted(
            measures[whole],
            support.labels[whole],
            len(model.classes),
            trees=self.trees,
            weight=self.weight,
            seed=context.seed,
        ).to(model.mean.device)
        return model

    def image_passes(self, offer: Offer) -> int:
        """None: the network is not asked."""
        del offer
        return 0
