"""A head that stores examples."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from cellda.models.heads import register
from cellda.models.heads.base import Count
from cellda.models.heads.wrapping import Wrapping


@register("cache")
class Cache(Wrapping):
    """Logits of another head, plus the affinity of an embedding to stored embeddings of each class (Zhang et al. 2022).

    Logits are `h(z) + alpha A(z) V` with `A(z) = exp(-beta (1 - cos(z, keys)))` and the values `V`, one row per stored
    embedding.

    Args:
        width: Length of an embedding.
        classes: Number of classes.
        size: Number of stored embeddings.
        alpha: Weight of the cache.
        beta: Sharpness of the affinity.
        inner: Name and options of the other head.
    """

    keys: Tensor
    values: Tensor

    def __init__(
        self, width: int, classes: int, *, size: Count, alpha: float, beta: float, inner: dict[str, Any]
    ) -> None:
        super().__init__(width, classes, inner=inner)
        self.alpha = alpha
        self.beta = beta
        self.register_buffer("keys", torch.zeros(size, width))
        self.register_buffer("values", torch.zeros(size, classes))

    def remember(self, embeddings: Float[Tensor, "n d"], labels: Int[Tensor, " n"]) -> None:
        """Store `size` embeddings as keys; the values of a class are one over its number of keys, so that they sum to 1."""
        self.keys.copy_(F.normalize(embeddings, dim=1))
        share = F.one_hot(labels, self.classes).to(self.values)
        self.values.copy_(share / share.sum(0).clamp_min(1))

    def options(self) -> dict[str, Any]:
        """Size, weight and sharpness of the cache, and the other head."""
        return {"size": len(self.keys), "alpha": self.alpha, "beta": self.beta, **super().options()}

    def forward(self, embeddings: Float[Tensor, "b d"]) -> Float[Tensor, "b classes"]:
        """Logits `(B, classes)`."""
        affinity = (self.beta * (F.normalize(embeddings, dim=1) @ self.keys.T - 1)).exp()
        return self.inner(embeddings) + self.alpha * affinity @ self.values
