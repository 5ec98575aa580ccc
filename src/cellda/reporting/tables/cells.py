"""Cells of tables: the text that is shown, with the numbers behind it."""

import math
from typing import Any, Self

from cellda.evaluation.metrics import Estimate


class Cell(str):
    """A text as it is shown that remembers its value: documents for programs hold the value, with all digits.

    Attributes:
        value: A number, numbers by name, or None if there is none.
    """

    value: Any

    def __new__(cls, text: str, value: Any) -> Self:
        """The text, and the value behind it."""
        cell = super().__new__(cls, text)
        cell.value = value
        return cell


NOTHING = Cell("–", None)
"""What is shown where there is no number."""


def number(value: float, form: str) -> Cell:
    """A number in a format such as `".3f"`."""
    return Cell(format(value, form), value)


def with_interval(estimate: Estimate) -> Cell:
    """A value with its 95 % interval."""
    return Cell(str(estimate), estimate.model_dump())


def with_sd(mean: float, sd: float) -> Cell:
    """A mean with its standard deviation, if there is one."""
    alone = math.isnan(sd)
    return Cell(
        f"{mean:.3f}" if alone else f"{mean:.3f} ±{sd:.3f}", {"mean": mean, "sd": None if alone else sd}
    )
