"""Confident and varied predictions on the pool."""

from jaxtyping import Float
from torch import Tensor

from cellda.selection.selectors import register
from cellda.selection.selectors.base import PoolSelector, shannon


@register("info_max")
class InfoMax(PoolSelector):
    """Confident and varied predictions on the pool: mutual information (Bridle et al. 1991; Shi & Sha 2012).

    Entropy of the mean prediction minus mean entropy of the predictions: high if each prediction is confident and all
    classes are predicted.
    """

    def measure(self, probabilities: Float[Tensor, "n c"]) -> float:
        """In [0, log C] nats."""
        p = probabilities.double()
        return float(shannon(p.mean(0)) - shannon(p).mean())
