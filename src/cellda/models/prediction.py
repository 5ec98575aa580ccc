"""Predictions of several images."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor

from cellda.models.results import Result
from cellda.text import agreeing, counted


@dataclass(frozen=True)
class Prediction:
    """Predictions of a classifier for N images.

    Attributes:
        labels: The most probable class of each image; None for an image that does not show one cell (flagged `field` or
            `no_nucleus`).
        probabilities: `(N, classes)`, rows sum to 1.
        classes: Class names in column order.
        flags: Why each image cannot be judged (`cellda.models.judged`); empty if nothing speaks against its class.
    """

    labels: list[str | None]
    probabilities: Float[Tensor, "n classes"]
    classes: tuple[str, ...]
    flags: list[str]

    @classmethod
    def of(cls, results: Sequence[Result], classes: tuple[str, ...]) -> Self:
        """The predictions of images, all of which could be read."""
        known = [result.probabilities for result in results if result.probabilities is not None]
        return cls(
            [result.label for result in results],
            torch.stack(known) if known else torch.empty(0, len(classes)),
            classes,
            [result.flag for result in results],
        )

    def flagged(self) -> str:
        """How many images are flagged, and why."""
        return flagged(self.flags)


def flagged(flags: Sequence[str]) -> str:
    """How many images are flagged, and why, for people.

    >>> flagged(["", "no_nucleus", "size+unlike"])
    '2 of 3 images are flagged (no_nucleus 1, size 1, unlike 1)'
    """
    counts = Counter(flag for one in flags if one for flag in one.split("+"))
    total = sum(map(bool, flags))
    why = ", ".join(f"{flag} {count}" for flag, count in sorted(counts.items()))
    return f"{total} of {counted(len(flags), 'image(s)')} {agreeing(total, '(is|are)')} flagged ({why})"
