"""A head corrected by the assignments of the nearest images of a pool."""

from typing import Any, ClassVar, Self

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from cellda.models.heads import register
from cellda.models.heads.base import Count, Head
from cellda.models.heads.wrapping import Wrapping
from cellda.models.neighbours import similarities


@register("lame")
class Lame(Wrapping):
    """One step of LAME's fixed-point equation (Boudiaf et al. 2022) from an inner head and stored assignments.

    `logit_k = log p_k + strength * sum_j z_jk` over the `neighbours` nearest anchors `j`, excluding the image
    itself.

    Args:
        width: Length of an embedding.
        classes: Number of classes.
        inner: Name and options of the inner head, whose probabilities are `p`.
        anchors: Number of stored images.
        neighbours: Number of nearest anchors that are used.
        strength: Weight of a neighbour.
    """

    transductive: ClassVar[bool] = True
    anchors: Tensor
    assignments: Tensor

    def __init__(
        self,
        width: int,
        classes: int,
        *,
        inner: dict[str, Any],
        anchors: Count,
        neighbours: Count = 5,
        strength: float = 1.0,
    ) -> None:
        super().__init__(width, classes, inner=inner)
        self.neighbours = neighbours
        self.strength = strength
        self.register_buffer("anchors", torch.zeros(anchors, width))
        self.register_buffer("assignments", torch.full((anchors, classes), 1 / classes))

    @classmethod
    def around(cls, inner: Head, pool: Float[Tensor, "n d"], neighbours: int, strength: float) -> Self:
        """A head around `inner` with these embeddings as anchors, each assigned to all classes equally."""
        head = cls.wrapped(inner, anchors=len(pool), neighbours=neighbours, strength=strength)
        head.anchors.copy_(F.normalize(pool, dim=1))
        return head

    def options(self) -> dict[str, Any]:
        """The inner head, numbers of stored images and of neighbours, and the weight of a neighbour."""
        return {
            **super().options(),
            "anchors": len(self.anchors),
            "neighbours": self.neighbours,
            "strength": self.strength,
        }

    def nearest(self, embeddings: Float[Tensor, "b d"]) -> tuple[Tensor, Tensor]:
        """Indices `(B, k)` of the nearest anchors, and their weights: `strength`, or 0 for the image itself."""
        near = similarities(embeddings, self.anchors).topk(min(self.neighbours, len(self.anchors)))
        return near.indices, self.strength * near.values.isfinite().to(embeddings)

    def pull(self, nearest: tuple[Tensor, Tensor]) -> Float[Tensor, "b classes"]:
        """What the assignments of the nearest anchors add to the logits."""
        rows, weights = nearest
        return (self.assignments[rows] * weights[:, :, None]).sum(1)

    def forward(self, embeddings: Float[Tensor, "b d"]) -> Float[Tensor, "b classes"]:
        """Logits `(B, classes)`."""
        return self.inner(embeddings).log_softmax(1) + self.pull(self.nearest(embeddings))
