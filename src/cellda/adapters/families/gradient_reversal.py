"""Gradient reversal: two parts of a network optimise the same loss in opposite directions."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.factor * gradients[0], None


def reverse(values: Float[Tensor, "..."], factor: float = 1.0) -> Float[Tensor, "..."]:
    """Return the values unchanged; gradients that flow back through them are multiplied by `-factor` (Ganin et al. 2016)."""
    return _Reversal.apply(values, factor)  # type: ignore[no-any-return]
