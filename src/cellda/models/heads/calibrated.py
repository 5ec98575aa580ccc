"""A head that calibrates another head, and adjusts it to other class frequencies."""

import torch
from jaxtyping import Float
from torch import Tensor

from cellda.models.heads import register
from cellda.models.heads.prior import Prior


@register("calibrated")
class Calibrated(Prior):
    """An inner head with a temperature `T` and re-weighted probabilities: `p_k -> p_k^(1/T) ratio_k`, renormalized.

    The `ratio` holds the bias of the calibration as well as the class frequencies.
    """

    temperature: Tensor

    def __init__(self, width: int, classes: int, *, inner: dict[str, object]) -> None:
        super().__init__(width, classes, inner=inner)
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, embeddings: Float[Tensor, "b d"]) -> Float[Tensor, "b classes"]:
        """Logits `(B, classes)`."""
        return self.inner(embeddings) / self.temperature + self.log_ratio
