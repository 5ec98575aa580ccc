"""Dense neighbourhoods in the pool."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from cellda.selection.selectors import register
from cellda.selection.selectors.base import PoolSelector, shannon

TEMPERATURE = 0.05
"""Temperature of the soft neighbourhoods (Saito et al. 2021)."""

_CHUNK = 512
"""Rows of the similarity matrix that are in memory at once."""


@register("snd")
class SoftNeighbourhoodDensity(PoolSelector):
    """Density of the neighbourhoods of predictions on the pool (Saito et al. 2021).

    With predictions `f` scaled to length 1, the neighbourhood of image i is `P_ij = softmax_j(f_i f_j / 0.05)` over all other
    images j; the density is the mean entropy of `P_i`. It is high if every image has many others with similar predictions.
    A single image has density 0.
    """

    def measure(self, probabilities: Float[Tensor, "n c"]) -> float:
        """In [0, log(N - 1)] nats."""
        count = len(probabilities)
        if count < 2:
            return 0.0
        f = normalize(probabilities.double(), dim=1)
        total = 0.0
        for start in range(0, count, _CHUNK):
            similar = f[start : start + _CHUNK] @ f.T / TEMPERATURE
            itself = torch.arange(len(similar))
            similar[itself, start + itself] = -torch.inf
            total += float(shannon(similar.softmax(1)).sum())
        return total / count
