"""The classes of near images whose soft labels are known."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from cellda.models.heads import register
from cellda.models.heads.base import Head
from cellda.models.neighbours import SAME, similarities


@register("label_propagation")
class LabelPropagation(Head):
    """Probabilities proportional to `sum_j w(z, z_j) votes_j` over stored images `j`, an image not being its own neighbour.

    `w(z, z_j)` is the cosine, if positive, to the power `gamma`, once if `j` is among the `neighbours` nearest to `z`, and
    once if `z` is as near to `j` as the nearest of `j` (Iscen et al. 2019: the kNN graph and its transpose).

    Args:
        width: Length of an embedding.
        classes: Number of classes.
        anchors: Number of stored images.
        neighbours: How many of them are near.
        gamma: Power of the cosine.
    """

    anchors: Tensor
    radius: Tensor
    votes: Tensor

    def __init__(
        self, width: int, classes: int, *, anchors: int, neighbours: int = 10, gamma: float = 3.0
    ) -> None:
        super().__init__(width, classes)
        self.neighbours = neighbours
        self.gamma = gamma
        self.register_buffer("anchors", torch.zeros(anchors, width))
        self.register_buffer("radius", torch.zeros(anchors))
        self.register_buffer("votes", torch.zeros(anchors, classes))

    def options(self) -> dict[str, Any]:
        """How many images are stored, and which count how much."""
        return {"anchors": len(self.anchors), "neighbours": self.neighbours, "gamma": self.gamma}

    def near(self, cosines: Float[Tensor, "b n"]) -> Float[Tensor, "b 1"]:
        """The cosine of the last of the nearest anchors."""
        return cosines.topk(min(self.neighbours, len(self.anchors))).values[:, -1:]

    def weights(self, embeddings: Float[Tensor, "b d"]) -> Float[Tensor, "b n"]:
        """`w` of embeddings and all anchors."""
        cosines = similarities(embeddings, self.anchors)
        near = (cosines >= self.near(cosines) - SAME).to(cosines) + (cosines >= self.radius - SAME).to(
            cosines
        )
        return cosines.clamp_min(0) ** self.gamma * near

    def forward(self, embeddings: Float[Tensor, "b d"]) -> Float[Tensor, "b classes"]:
        """Logits `(B, classes)`; all the same for an image that is near to none."""
        return (self.weights(embeddings) @ self.votes).clamp_min(1e-12).log()
