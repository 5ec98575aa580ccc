"""A linear classifier on embeddings."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from cellda.models.heads import register
from cellda.models.heads.base import Head

NEVER = -1e4
"""Logit of a class that is never predicted: finite, but its softmax is exactly 0."""


@register("linear")
class Linear(Head):
    """Linear map of embeddings that are shifted, scaled and, optionally, normalized to unit length.

    Logits are `W n((z - shift) / scale) + b`, where `n` divides by the length if `unit` is true and is the identity otherwise.

    Args:
        width: Length of an embedding.
        classes: Number of classes.
        unit: Whether embeddings are normalized to unit length after shift and scale.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, width: int, classes: int, *, unit: bool = False) -> None:
        super().__init__(width, classes)
        self.unit = unit
        self.register_buffer("shift", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.linear = nn.Linear(width, classes)

    def options(self) -> dict[str, Any]:
        """Whether embeddings are normalized to unit length."""
        return {"unit": self.unit}

    @torch.no_grad()
    def set_classes(
        self, classes: Sequence[int], weights: Float[Tensor, "k d"], biases: Float[Tensor, " k"]
    ) -> None:
        """Set the rows of `W` and `b` for some classes; the others are never predicted."""
        self.linear.weight.zero_()
        self.linear.bias.fill_(NEVER)
        self.linear.weight[list(classes)] = weights.to(self.linear.weight)
        self.linear.bias[list(classes)] = biases.to(self.linear.bias)

    def forward(self, embeddings: Float[Tensor, "b d"]) -> Float[Tensor, "b classes"]:
        """Logits `(B, classes)`."""
        scaled = (embeddings - self.shift) / self.scale
        return self.linear(F.normalize(scaled, dim=1) if self.unit else scaled)  # type: ignore[no-any-return]
