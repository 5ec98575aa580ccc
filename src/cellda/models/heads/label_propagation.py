"""Classification by nearby images with known soft labels."""

from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from cellda.models.heads import register
from cellda.models.heads.base import Count, Head
from cellda.models.neighbours import SAME, similarities


@register("label_propagation")
class LabelPropagation(Head):
    """Probabilities proportional to `sum_j w(z, z_j) votes_j` over stored images `j`, excluding the image itself.

    `w(z, z_j)` is the cosine, if positive, to the power `gamma`. It counts once if `j` is among the `neighbours` nearest to
    `z`, and once more if `z` is as near to `j` as the nearest neighbours of `j` (Iscen et al. 2019: the kNN graph and its
    transpose).

    Args:
        width: Length of an embedding.
        classes: Number of classes.
        anchors: Number of stored images.
        neighbours: Number of nearest neighbours.
        gamma: Exponent of the cosine.
    """

    transductive: ClassVar[bool] = True
    anchors: Tensor
    radius: Tensor
    votes: Tensor

    def __init__(
        self, width: int, classes: int, *, anchors: Count, neighbours: Count = 10, gamma: float = 3.0
    ) -> None:
        super().__init__(width, classes)
        self.neighbours = neighbours
        self.gamma = gamma
        self.register_buffer("anchors", torch.zeros(anchors, width))
        self.register_buffer("radius", torch.zeros(anchors))
        self.register_buffer("votes", torch.zeros(anchors, classes))

    def options(self) -> dict[str, Any]:
        """Number of stored images, number of neighbours, and exponent of the cosine."""
        return {"anchors": len(self.anchors), "neighbours": self.neighbours, "gamma": self.gamma}

    def near(self, cosines: Float[Tensor, "b n"]) -> Float[Tensor, "b 1"]:
        """The cosine of the farthest of the nearest anchors."""
        return cosines.topk(min(self.neighbours, len(self.anchors))).values[:, -1:]

    def weights(self, embeddings: Float[Tensor, "b d"]) -> Float[Tensor, "b n"]:
        """`w` between embeddings and all anchors."""
        cosines = similarities(embeddings, self.anchors)
        near = (cosines >= self.near(cosines) - SAME).to(cosines) + (cosines >= self.radius - SAME).to(
            cosines
        )
        return cosines.clamp_min(0) ** self.gamma * near

    def forward(self, embeddings: Float[Tensor, "b d"]) -> Float[Tensor, "b classes"]:
        """Logits `(B, classes)`; all equal for an image without neighbours."""
        return (self.weights(embeddings) @ self.votes).clamp_min(1e-12).log()
