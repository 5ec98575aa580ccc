"""A head that calibrates another head by a temperature."""

from typing import Any, Self

import torch
from jaxtyping import Float
from torch import Tensor

from cellda.models.heads import register
from cellda.models.heads.base import Head
from cellda.models.heads.wrapping import Wrapping


@register("tempered")
class Tempered(Wrapping):
    """An inner head with a temperature `T`: `p_k -> p_k^(1/T)`, renormalized (Guo et al. 2017).

    Args:
        width: Length of an embedding.
        classes: Number of classes.
        inner: Name and options of the inner head.
    """

    temperature: Tensor

    def __init__(self, width: int, classes: int, *, inner: dict[str, Any]) -> None:
        super().__init__(width, classes, inner=inner)
        self.register_buffer("temperature", torch.ones(()))

    @classmethod
    def around(cls, inner: Head, temperature: float) -> Self:
        """A head around `inner`."""
        head = cls.wrapped(inner)
        head.temperature.fill_(temperature)
        return head

    def forward(self, embeddings: Float[Tensor, "b d"]) -> Float[Tensor, "b classes"]:
        """Logits `(B, classes)`."""
        return self.inner(embeddings) / self.temperature
