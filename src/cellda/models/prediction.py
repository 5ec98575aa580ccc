"""Predictions of several images."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Prediction:
    """Predictions of a classifier for N images.

    Attributes:
        labels: The most probable class of each image, also of those that are flagged.
        probabilities: `(N, classes)`, rows sum to 1.
        classes: Class names in column order.
        flags: Why an image cannot be judged (`cellda.models.judged`), empty if nothing speaks against its class; None if the
            images were given as one tensor, which is not judged.
    """

    labels: list[str]
    probabilities: Float[Tensor, "n classes"]
    classes: tuple[str, ...]
    flags: list[str] | None = None

    @classmethod
    def of(
        cls,
        probabilities: Float[Tensor, "n classes"],
        classes: tuple[str, ...],
        flags: list[str] | None = None,
    ) -> Self:
        """The predictions with these probabilities."""
        labels = [classes[index] for index in probabilities.argmax(1).tolist()]
        return cls(labels, probabilities, classes, flags)

    def flagged(self) -> str:
        """How many images are flagged, and why."""
        return flagged(self.flags or [])


def flagged(flags: Sequence[str]) -> str:
    """How many images are flagged, and why, for people.

    >>> flagged(["", "no_nucleus", "size+unlike"])
    '2 of 3 images are flagged (no_nucleus 1, size 1, unlike 1)'
    """
    counts = Counter(flag for one in flags if one for flag in one.split("+"))
    total = sum(map(bool, flags))
    why = ", ".join(f"{flag} {count}" for flag, count in sorted(counts.items()))
    return f"{total} of {len(flags)} images {'is' if total == 1 else 'are'} flagged ({why})"
