"""A head that adjusts another head to other class frequencies."""

from typing import Any, Self

import torch
from jaxtyping import Float
from torch import Tensor

from cellda.models.heads import register
from cellda.models.heads.base import Head
from cellda.models.heads.wrapping import Wrapping


@register("prior")
class Prior(Wrapping):
    """An inner head with re-weighted probabilities: `p_k -> p_k ratio_k / sum_j p_j ratio_j`.

    Args:
        width: Length of an embedding.
        classes: Number of classes.
        inner: Name and options of the inner head.
    """

    log_ratio: Tensor

    def __init__(self, width: int, classes: int, *, inner: dict[str, Any]) -> None:
        super().__init__(width, classes, inner=inner)
        self.register_buffer("log_ratio", torch.zeros(classes))

    @classmethod
    def around(cls, inner: Head, ratio: Float[Tensor, " classes"]) -> Self:
        """A head around `inner`; `ratio` is the new frequency of each class divided by its previous one."""
        head = cls.wrapped(inner)
        head.log_ratio.copy_(ratio.log())
        return head

    def forward(self, embeddings: Float[Tensor, "b d"]) -> Float[Tensor, "b classes"]:
        """Logits `(B, classes)`."""
        return self.inner(embeddings) + self.log_ratio
