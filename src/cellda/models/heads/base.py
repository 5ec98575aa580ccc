"""What a head is."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn


class Head(nn.Module, ABC):
    """Embeddings `(B, D)` to logits `(B, classes)`.

    All that a head has learnt lies in its parameters and buffers, whose shapes follow from the arguments of its constructor:
    that is how it is saved and loaded again.

    Args:
        width: Length of an embedding.
        classes: Number of classes.
    """

    name: ClassVar[str]

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.width = width
        self.classes = classes

    def options(self) -> dict[str, Any]:
        """The arguments of the constructor beyond `width` and `classes`, as plain data."""
        return {}

    @property
    def description(self) -> dict[str, Any]:
        """Name and options, from which `heads.create` builds an empty head like this one."""
        return {"name": self.name, **self.options()}

    @abstractmethod
    def forward(self, embeddings: Float[Tensor, "b d"]) -> Float[Tensor, "b classes"]:
        """Logits `(B, classes)`; their softmax is what the head believes."""
