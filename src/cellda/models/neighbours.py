"""Nearest neighbours of embeddings among stored ones, by cosine similarity."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

SAME = 1e-6
"""Embeddings whose cosine is within this of 1 are taken to be of the same image, which is not its own neighbour."""


def similarities(embeddings: Float[Tensor, "b d"], anchors: Float[Tensor, "n d"]) -> Float[Tensor, "b n"]:
    """Cosines `(B, N)` in [-1, 1]; minus infinity where an embedding is the anchor itself.

    Args:
        embeddings: `(B, D)`.
        anchors: `(N, D)`, each of unit length.
    """
    cosines = F.normalize(embeddings, dim=1) @ anchors.T
    return cosines.masked_fill(cosines > 1 - SAME, -torch.inf)
