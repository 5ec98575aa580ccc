"""The box of a row: four numbers as people and spreadsheets write them."""

import re
from collections.abc import Mapping

from cellda.datasets.reading.decode import Box
from cellda.text import shortened

SIDES = ("x", "y", "w", "h")

FARTHEST = 1e9
"""Pixels beyond which the side of a box is a mistake."""

_DECIMAL_COMMA = re.compile(r"-?\d+,(\d+)")
_THOUSANDS = 3


def side_of(text: str) -> float:
    """One number of a box, also with a decimal comma: `1,5`.

    Raises:
        ValueError: If it is not a number, or `1,500`, which may be both 1.5 and 1500.
    """
    comma = _DECIMAL_COMMA.fullmatch(text)
    if comma is None:
        return float(text)
    if len(comma[1]) == _THOUSANDS:
        raise _AmbiguousError(text)
    return float(text.replace(",", "."))


class _AmbiguousError(ValueError):
    """A number whose comma may separate decimals or thousands."""


def box_of(row: Mapping[str, str]) -> tuple[Box | None, str]:
    """The box of a row, and its problem ("" if none)."""
    sides = [row[side] for side in SIDES]
    if not any(sides):
        return None, ""
    missing = [side for side in SIDES if not row[side]]
    if missing:
        return None, f"the box lacks {', '.join(missing)}; give all four numbers {', '.join(SIDES)} or none"
    shown = shortened(", ".join(sides), 80)
    try:
        x, y, width, height = (round(side_of(side)) for side in sides)
    except _AmbiguousError as error:
        return (
            None,
            f"the box ({shown}) holds {error}, with a comma for decimals or for thousands: write a point, or none",
        )
    except (ValueError, OverflowError):
        return None, f"the box ({shown}) is not made of numbers"
    if max(map(abs, (x, y, width, height))) > FARTHEST:
        return None, f"the box ({shown}) is not made of numbers of pixels"
    if width < 1 or height < 1:
        return None, f"the box ({shown}) has no width or height"
    return (x, y, width, height), ""
