"""Confident predictions on the pool."""

from jaxtyping import Float
from torch import Tensor

from cellda.selection.selectors import register
from cellda.selection.selectors.base import PoolSelector, shannon


@register("entropy")
class Entropy(PoolSelector):
    """Confident predictions on the pool: the negative mean entropy (Morerio et al. 2018)."""

    def measure(self, probabilities: Float[Tensor, "n c"]) -> float:
        """In [-log C, 0] nats."""
        return -float(shannon(probabilities.double()).mean())
