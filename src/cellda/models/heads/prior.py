"""A head that adjusts another head to other class frequencies."""

from typing import Any, Self

import torch
from jaxtyping import Float
from torch import Tensor

from cellda.models.heads import create, register
from cellda.models.heads.base import Head


@register("prior")
class Prior(Head):
    """An inner head with re-weighted probabilities: `p_k -> p_k ratio_k / sum_j p_j ratio_j`.

    Args:
        width: Length of an embedding.
        classes: Number of classes.
        inner: Name and options of the inner head.
    """

    log_ratio: Tensor

    def __init__(self, width: int, classes: int, *, inner: dict[str, Any]) -> None:
        super().__init__(width, classes)
        self.inner = create(width=width, classes=classes, **inner)
        self.register_buffer("log_ratio", torch.zeros(classes))

    @classmethod
    def around(cls, inner: Head, ratio: Float[Tensor, " classes"]) -> Self:
        """A head around `inner`; `ratio` is the new frequency of each class divided by its previous one."""
        head = cls(inner.width, inner.classes, inner=inner.description)
        head.inner = inner
        head.log_ratio.copy_(ratio.log())
        return head

    def options(self) -> dict[str, Any]:
        """Name and options of the inner head."""
        return {"inner": self.inner.description}

    def forward(self, embeddings: Float[Tensor, "b d"]) -> Float[Tensor, "b classes"]:
        """Logits `(B, classes)`."""
        return self.inner(embeddings) + self.log_ratio
