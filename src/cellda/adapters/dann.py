"""Adversarial alignment: embeddings from which a discriminator cannot tell the domain."""

from collections.abc import Iterable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, TargetView
from cellda.adapters.families.aligning import Aligning, Alignment
from cellda.adapters.families.gradient_reversal import reverse
from cellda.models.classifier import CellClassifier
from cellda.plugins.settings import tunable
from cellda.training.objective import Objective

HIDDEN = 128

RATE = 10.0
"""Learning rate of the discriminator relative to the model's, as for the new layers in the paper."""


@register("dann")
class Dann(Aligning):
    """Fine-tune with source images until a discriminator cannot tell the domain of embeddings (Ganin et al. 2016).

    `L = CE(support, source) + BCE(D(z), domain)`, where `D` learns to tell source from target embeddings `z`, with equal
    weight for both domains, and the gradient that flows back into the encoder is multiplied by `-weight r(t)`,
    `r = 2 / (1 + exp(-10 t)) - 1`, where `t` is the share of completed steps (standardised, and only classes with support: see
    `Alignment`). `D` is new and learns ten times as fast as the model, like the new layers in the paper.
    """

    weight: float = tunable(0.3, low=0.03, high=1.0, log=True, ge=0)

    def objective(self, model: CellClassifier, target: TargetView, context: AdaptContext) -> Objective:
        """Cross-entropy and the loss of a new discriminator, which is trained with the model."""
        with torch.random.fork_rng():
            torch.manual_seed(context.seed)
            discriminator = nn.Sequential(
                nn.Linear(model.backbone.embedding, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1)
            ).to(context.trainer.device)
        return Adversary(self.label_smoothing, self.weight, self.supported(target, context), discriminator)


class Adversary(Alignment):
    """The loss of `Dann`; `discriminator` maps embeddings `(B, D)` to `(B, 1)`, above 0 for the target."""

    rate = RATE

    def __init__(
        self, label_smoothing: float, weight: float, classes: Int[Tensor, " k"], discriminator: nn.Module
    ) -> None:
        super().__init__(label_smoothing, weight, classes)
        self.discriminator = discriminator

    def parameters(self) -> Iterable[nn.Parameter]:
        """The parameters of the discriminator."""
        return self.discriminator.parameters()

    def term(
        self, source: Float[Tensor, "n d"], target: Float[Tensor, "m d"], factor: float
    ) -> Float[Tensor, ""]:
        """The discriminator's loss; its gradient reaches the embeddings multiplied by `-factor`."""
        sides = [self.discriminator(reverse(side, factor)).squeeze(1) for side in (source, target)]
        losses = [
            F.binary_cross_entropy_with_logits(side, torch.full_like(side, domain))
            for domain, side in enumerate(sides)
        ]
        return (losses[0] + losses[1]) / 2
