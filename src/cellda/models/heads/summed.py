"""A head whose classes are sums of another head's classes."""

from typing import Any, Self

import torch
from jaxtyping import Float
from torch import Tensor

from cellda.errors import ConfigurationError, quoted
from cellda.models.heads import create, register
from cellda.models.heads.base import ABSENT, Head


@register("summed")
class Summed(Head):
    """The probability of a class is the sum of those of its kinds, which another head tells apart.

    `p_k = sum_{j in k} q_j`.

    So that a model of fine classes answers in coarse ones. Fine classes that belong to none of the coarse ones are left out,
    and the rest renormalised. Computed on logits, `z_k = log sum_{j in k} exp(z_j)`, through which gradients flow to the
    fine head.

    Args:
        width: Length of an embedding.
        classes: Number of classes.
        parts: Indices of the other head's classes that are kinds of each class; at least one for each, none twice.
        inner: Name, options and number of classes of the other head.

    Raises:
        ConfigurationError: If `parts` are not such indices.
    """

    belongs: Tensor

    def __init__(
        self, width: int, classes: int, *, parts: tuple[tuple[int, ...], ...], inner: dict[str, Any]
    ) -> None:
        fine = inner.get("classes")
        used = [number for own in parts for number in own]
        if (
            not isinstance(fine, int)
            or len(parts) != classes
            or not all(parts)
            or len(set(used)) < len(used)
            or not set(used) <= set(range(fine))
        ):
            raise ConfigurationError(
                f"parts must name, for each of {classes} classes, different classes of the inner head; got {quoted(parts)}."
            )
        super().__init__(width, classes)
        self.parts = tuple(map(tuple, parts))
        self.inner = create(width=width, **inner)
        # It follows from the options, so it is not saved with the weights.
        belongs = torch.tensor([[number in own for number in range(fine)] for own in parts])
        self.register_buffer("belongs", belongs, persistent=False)

    @classmethod
    def around(cls, inner: Head, parts: tuple[tuple[int, ...], ...]) -> Self:
        """A head around `inner`, which keeps its weights."""
        head = cls(
            inner.width, len(parts), parts=parts, inner={**inner.description, "classes": inner.classes}
        )
        head.inner = inner
        return head.to(next(iter((*inner.parameters(), *inner.buffers())), torch.empty(0)).device)

    def options(self) -> dict[str, Any]:
        """The parts, and name, options and number of classes of the inner head."""
        inner = {**self.inner.description, "classes": self.inner.classes}
        return {"parts": [list(own) for own in self.parts], "inner": inner}

    def forward(self, embeddings: Float[Tensor, "b d"]) -> Float[Tensor, "b classes"]:
        """Logits `(B, classes)`."""
        fine = self.inner(embeddings)
        kinds = fine[:, None].masked_fill(~self.belongs, -torch.inf).logsumexp(2)
        ruled_out = ((fine == ABSENT)[:, None] | ~self.belongs).all(2)
        return kinds.masked_fill(ruled_out, ABSENT)
