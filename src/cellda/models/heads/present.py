"""A head that predicts only classes that can occur."""

from collections.abc import Sequence
from typing import Any, Self

import torch
from jaxtyping import Float
from torch import Tensor

from cellda.errors import ConfigurationError, UnknownNameError, nearest, quoted
from cellda.models.heads import register
from cellda.models.heads.base import ABSENT, Head
from cellda.models.heads.wrapping import Wrapping
from cellda.text import shortened


@register("present")
class Present(Wrapping):
    """Another head, of whose classes only some can occur: the others have probability 0, and the rest are renormalised.

    `p_k -> p_k / sum_{j present} p_j` for the classes that are present, computed on logits: those of absent classes become
    `ABSENT`, from which no gradient flows. These are the posteriors if it is known that an image shows one of the classes that
    are present, and nothing else (M. Saerens, P. Latinne, C. Decaestecker: Adjusting the outputs of a classifier to new a
    priori probabilities, Neural Computation 14, 2002, with a new prior of 0 for absent classes).

    Args:
        width: Length of an embedding.
        classes: Number of classes.
        present: Indices of the classes that can occur, in order.
        inner: Name and options of the other head.

    Raises:
        ConfigurationError: If these are not at least two classes.
    """

    ruled_out: Tensor

    def __init__(self, width: int, classes: int, *, present: tuple[int, ...], inner: dict[str, Any]) -> None:
        if list(present) != sorted(set(present) & set(range(classes))) or len(present) < 2:
            raise ConfigurationError(
                f"present must be at least two different numbers of classes in order, from 0 to {classes - 1}; got "
                f"{quoted(present)}."
            )
        super().__init__(width, classes, inner=inner)
        self.present = present
        # It follows from the options, so it is not saved with the weights.
        ruled_out = torch.tensor([number not in present for number in range(classes)])
        self.register_buffer("ruled_out", ruled_out, persistent=False)

    @classmethod
    def around(cls, inner: Head, present: Sequence[int]) -> Self:
        """A head around `inner`, which may be narrowed already, that predicts only the classes `present`."""
        inner = inner.inner if isinstance(inner, cls) else inner
        head = cls.wrapped(inner, present=tuple(present))
        return head.to(next(iter((*inner.parameters(), *inner.buffers())), torch.empty(0)).device)

    def options(self) -> dict[str, Any]:
        """The classes that can occur, and name and options of the inner head."""
        return {"present": list(self.present), **super().options()}

    def forward(self, embeddings: Float[Tensor, "b d"]) -> Float[Tensor, "b classes"]:
        """Logits `(B, classes)`."""
        return self.inner(embeddings).masked_fill(self.ruled_out, ABSENT)


def as_before(head: Head, before: Head) -> Head:
    """A head that takes the place of another one, and predicts no class that the other rules out."""
    if isinstance(before, Present) and not isinstance(head, Present):
        return Present.around(head, before.present)
    return head


def check_narrower(names: Sequence[str], present: Sequence[str] | None, classes: Sequence[str]) -> None:
    """Refuse classes that a model cannot be narrowed to.

    Args:
        names: The classes that are to be left.
        present: The classes that the model leaves; None if these are all.
        classes: All classes of the model.

    Raises:
        UnknownNameError: If a name is not a class of the model.
        ConfigurationError: If these are fewer than two, or the model rules one of them out.
    """
    unknown = [name for name in names if name not in classes]
    if unknown:
        raise UnknownNameError(
            f"'{shortened(unknown[0], 80)}' is not a class of this model; {nearest(unknown[0], classes)}"
        )
    if len(set(names)) < 2:
        raise ConfigurationError(
            f"Name at least two classes that can occur, of {', '.join(present or classes)}; got "
            f"{', '.join(names) or 'none'}."
        )
    wider = [name for name in dict.fromkeys(names) if name not in (present or classes)]
    if wider:
        raise ConfigurationError(
            f"This model was made for images that show only {', '.join(present or classes)} (present): its predictions can be "
            f"narrowed, not widened to {', '.join(wider)}. Name some of the former, or take a model that was made for more "
            "classes."
        )
