"""How probabilities can be calibrated, by name; recipes name it, and must not load what computes it."""

from typing import Literal

Kind = Literal["none", "temperature", "classwise"]
"""Not at all, by a temperature, or by a temperature and a shift of every class."""
