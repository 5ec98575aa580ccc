"""The base class of heads that correct another head."""

from typing import Any, Self

from cellda.models.heads import create
from cellda.models.heads.base import Head


class Wrapping(Head):
    """A head around another one.

    Args:
        width: Length of an embedding.
        classes: Number of classes.
        inner: Name and options of the other head.
    """

    def __init__(self, width: int, classes: int, *, inner: dict[str, Any]) -> None:
        super().__init__(width, classes)
        self.inner = create(width=width, classes=classes, **inner)

    @classmethod
    def wrapped(cls, inner: Head, **options: Any) -> Self:
        """A head of this class, with these options of its own, around a head that keeps its weights."""
        head = cls(inner.width, inner.classes, inner=inner.description, **options)
        head.inner = inner
        return head

    def options(self) -> dict[str, Any]:
        """Name and options of the other head."""
        return {"inner": self.inner.description}
