"""Bias-corrected temperature scaling."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy

RIDGE = 1e-3
"""Weight of the squares of `log T` and `b`, without which cells that are all classified right would ask for `T = 0`."""


def calibrated(
    logits: Float[Tensor, "n c"], labels: Int[Tensor, " n"], known: Tensor
) -> tuple[float, Float[Tensor, " c"]]:
    """Temperature and biases `(classes,)` that fit labelled logits best; 0 for classes that are not `known`."""
    free = torch.zeros(1 + len(known), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [free], max_iter=500, tolerance_grad=1e-9, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        scaled = logits * (-free[0]).exp() + free[1:].where(known, 0)
        value = cross_entropy(scaled, labels) + RIDGE * free.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    with torch.enable_grad():
        optimizer.step(loss)  # type: ignore[no-untyped-call]
    found = free.detach()
    return float(found[0].exp()), found[1:].where(known, 0)
