"""Adversarial alignment: embeddings of which a discriminator cannot tell the domain."""

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
"""Learning rate of the discriminator over the model's: it is new, as the paper's new layers are."""


@register("dann")
class Dann(Aligning):
    """Fine-tune with source images, embeddings that do not tell a discriminator their domain (Ganin et al. 2016).

    `L = CE(support, source) + BCE(D(z), domain)`, where `D` learns to tell source from target by their embeddings `z`, both
    domains counting alike, and the gradient that goes back into the encoder is multiplied by `-weight r(t)`,
    `r = 2 / (1 + exp(-10 t)) - 1` with `t` the share of steps done (Alignment: standardised, classes with support). `D` is
    new and learns ten times as fast as the model, as new layers do in the paper.
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
        """Those of the discriminator."""
        return self.discriminator.parameters()

    def term(
        self, source: Float[Tensor, "n d"], target: Float[Tensor, "m d"], factor: float
    ) -> Float[Tensor, ""]:
        """The discriminator's loss in full; `factor` is how much of it, reversed, reaches the embeddings."""
        sides = [self.discriminator(reverse(side, factor)).squeeze(1) for side in (source, target)]
        losses = [
            F.binary_cross_entropy_with_logits(side, torch.full_like(side, domain))
            for domain, side in enumerate(sides)
        ]
        return (losses[0] + losses[1]) / 2
