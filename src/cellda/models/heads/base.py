"""The base class of heads."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor, nn

Count = Annotated[int, Field(ge=1)]
"""A number of stored images, or of neighbours."""


ABSENT = -(2.0**14)
"""Logit of a class that cannot occur (`heads.present`): its softmax is exactly 0, and nothing computed from it is infinite or
NaN, as 0 times minus infinity would be. A power of two, so that it is the same number in every precision."""


def absent(logits: Float[Tensor, "n classes"]) -> Bool[Tensor, " classes"]:
    """Which classes cannot occur, from logits of at least one image."""
    return (logits == ABSENT).all(0)


class Head(nn.Module, ABC):
    """Maps embeddings `(B, D)` to logits `(B, classes)`.

    The learned state of a head is in its parameters and buffers, and their shapes follow from the arguments of its
    constructor, so that a head can be saved and loaded again. Before the weights are read, the constructor is called on the
    `meta` device, where tensors have no values.

    Args:
        width: Length of an embedding.
        classes: Number of classes.

    Attributes:
        transductive: Whether it answers differently for the images that it stores than for others.
    """

    name: ClassVar[str]
    transductive: ClassVar[bool] = False

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.width = width
        self.classes = classes

    def options(self) -> dict[str, Any]:
        """The arguments of the constructor beyond `width` and `classes`, as plain data."""
        return {}

    @property
    def description(self) -> dict[str, Any]:
        """Name and options, from which `heads.create` builds an untrained head like this one."""
        return {"name": self.name, **self.options()}

    if TYPE_CHECKING:  # nn.Module's call returns anything

        def __call__(self, embeddings: Tensor) -> Tensor:
            """As `forward`."""

    @abstractmethod
    def forward(self, embeddings: Float[Tensor, "b d"]) -> Float[Tensor, "b classes"]:
        """Logits `(B, classes)`; their softmax gives the class probabilities."""
