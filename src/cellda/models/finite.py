"""Numbers that are not finite are an error wherever they appear, never a prediction."""

import torch
from torch import Tensor

from cellda.errors import CelldaError
from cellda.text import counted


class DivergedError(CelldaError):
    """Raised when a loss, a probability or an embedding is NaN or infinite."""


def check_finite(values: Tensor, what: str) -> Tensor:
    """`values`, `(N, K)` with one row per image, if all of them are finite.

    Args:
        values: Probabilities, embeddings or logits.
        what: What was computed, as the beginning of the message.

    Raises:
        DivergedError: If some are not; the message says how many images are affected.
    """
    # The sum is finite if all values are, unless it overflows; a mask of all values is made only to say which.
    if not torch.isfinite(values.sum()):
        wrong = (~values.isfinite()).flatten(1).any(1).nonzero().flatten().tolist()
        if wrong:
            raise DivergedError(
                f"{what}: the model gives NaN or infinite values for {len(wrong)} of {counted(len(values), 'image(s)')}, "
                "first for "
                f"number {wrong[0] + 1}: its weights are damaged or its training diverged. Train it again with a lower "
                "learning rate, or use another model."
            )
    return values
