"""Probabilities for the class shares of the target."""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from cellda.adapters import register
from cellda.adapters.base import AdaptContext, Effect, Need, Offer
from cellda.adapters.families.embeddings import Features
from cellda.adapters.families.pool import PooledFeatures
from cellda.errors import ConfigurationError
from cellda.models.heads.base import Head
from cellda.models.heads.prior import Prior
from cellda.plugins.settings import tunable

ITERATIONS = 1000
TOLERANCE = 1e-8


@register("prior_correction")
class PriorCorrection(PooledFeatures):
    """Estimates how often each class occurs in the pool, and re-weights the probabilities by it (Saerens et al. 2002).

    From `q = trained_on`, in turn until nothing moves: `r_ik` proportional to `p_ik q_k / trained_on_k`, and
    `q_k = (sum_i r_ik + smoothing N / classes) / (N + smoothing N)`. The head then says `p_k q_k / trained_on_k`, normalised;
    any head can be inside. M. Saerens, P. Latinne, C. Decaestecker: Adjusting the outputs of a classifier to new a priori
    probabilities, Neural Computation 14, 2002, there with `smoothing = 0`, by which a class may be ruled out for good.

    It trusts the probabilities: a head that is certain and wrong is made more so. `smoothing` counts as many further images
    in equal shares, of every image of the pool. `trained_on` are the shares of the classes that the head was trained on, in
    the order of the classes; by default they are equal, as in a balanced support. Of the source model as it is they are those
    of its sources (`cellda datasets`), and are to be given.
    """

    effects: ClassVar[frozenset[Effect]] = frozenset({Effect.MEMORY})
    needs: ClassVar[frozenset[Need]] = frozenset({Need.UNLABELLED})

    smoothing: float = tunable(0.5, choices=(0.0, 0.1, 0.5, 2.0), ge=0)
    trained_on: tuple[float, ...] | None = Field(
        default=None, description="Shares of the classes; equal if not given."
    )

    def check(self, offer: Offer) -> None:
        """Refuse shares that are not those of the classes."""
        shares, classes = self.trained_on, offer.classes
        if shares is not None and (
            len(shares) != len(classes) or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-3
        ):
            raise ConfigurationError(
                f"prior_correction.trained_on must be {len(classes)} shares above 0 that add up to 1, of "
                f"{', '.join(classes)}; got {', '.join(map(str, shares)) or 'none'}."
            )

    def fit_head(self, head: Head, features: Features, context: AdaptContext) -> Head:
        """The head in a `prior` head with the estimated shares."""
        probabilities = context.trainer.apply(head, features.pool).double().softmax(1)
        shares = self.trained_on or (1.0,) * probabilities.shape[1]
        before = torch.tensor(shares, dtype=torch.float64)
        before = before / before.sum()
        return Prior.around(head, estimate(probabilities, before, self.smoothing) / before)


def estimate(probabilities: Tensor, before: Tensor, smoothing: float) -> Tensor:
    """Shares `(classes,)` of the classes among images with these probabilities `(N, classes)`, by a head made for `before`."""
    shares = before
    for _ in range(ITERATIONS):
        joint = probabilities * (shares / before)
        found = (joint / joint.sum(1, keepdim=True)).mean(0) + smoothing / len(before)
        found = (found / found.sum()).clamp_min(1e-12)
        moved = float((found - shares).abs().max())
        shares = found
        if moved < TOLERANCE:
            break
    return shares
