"""Probabilities corrected for the class shares of the target."""

from typing import ClassVar

import torch
from pydantic import Field

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, Effect, Need, Offer
from cellda.adapters.families.class_shares import estimate
from cellda.adapters.families.embeddings import Features
from cellda.adapters.families.pool import PooledFeatures
from cellda.errors import ConfigurationError
from cellda.models.heads.base import Head, absent
from cellda.models.heads.prior import Prior
from cellda.plugins.settings import tunable


@register("prior_correction")
class PriorCorrection(PooledFeatures):
    """Estimate the class shares of the pool, and re-weight the probabilities by them (Saerens et al. 2002).

    Starting from `q = trained_on`, alternates until convergence: `r_ik` proportional to `p_ik q_k / trained_on_k`, and
    `q_k = (sum_i r_ik + smoothing N / classes) / (N + smoothing N)`. The head then returns `p_k q_k / trained_on_k`,
    normalized; it can wrap any head. M. Saerens, P. Latinne, C. Decaestecker: Adjusting the outputs of a classifier to new a
    priori probabilities, Neural Computation 14, 2002, which uses `smoothing = 0`, so a class can be ruled out for good.

    It trusts the probabilities: a confidently wrong head becomes more so. `smoothing` adds that many images in equal class
    shares for every image of the pool. `trained_on` are the class shares that the head was trained on, in class order; by
    default they are equal, as in a balanced support. For an unadapted source model they are those of its sources (`cellda
    datasets`) and must be given.
    """

    effects: ClassVar[frozenset[Effect]] = frozenset({Effect.MEMORY})
    needs: ClassVar[frozenset[Need]] = frozenset({Need.UNLABELLED})

    smoothing: float = tunable(0.5, choices=(0.0, 0.1, 0.5, 2.0), ge=0)
    trained_on: tuple[float, ...] | None = Field(
        default=None, description="Shares of the classes; equal if not given."
    )

    def check(self, offer: Offer) -> None:
        """Refuse shares that do not fit the classes."""
        shares, classes = self.trained_on, offer.classes
        if shares is not None and (
            len(shares) != len(classes) or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-3
        ):
            raise ConfigurationError(
                f"prior_correction.trained_on must be {len(classes)} shares above 0 that add up to 1, one for each of "
                f"{', '.join(classes)}; got {', '.join(map(str, shares)) or 'none'}."
            )

    def fit_head(self, head: Head, features: Features, context: AdaptContext) -> Head:
        """A `prior` head around `head` with the estimated shares."""
        logits = context.trainer.apply(head, features.pool)
        shares, kept = self.trained_on or (1.0,) * logits.shape[1], ~absent(logits)
        before = torch.tensor(shares, dtype=torch.float64)[kept]
        before = before / before.sum()
        ratio = torch.ones(len(kept), dtype=torch.float64)
        ratio[kept] = estimate(logits.double().softmax(1)[:, kept], before, self.smoothing) / before
        return Prior.around(head, ratio)
