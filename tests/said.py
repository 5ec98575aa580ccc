"""What a command said, and its words; what a prediction warns of."""

import re
from typing import NamedTuple

import pytest

WIDTH = 80

FLAGGED = pytest.mark.filterwarnings("ignore:.* flagged:UserWarning")
"""Rendered cells and noise are often not cells to a judge."""


class Said(NamedTuple):
    """What a command left: exit status, standard output, standard error."""

    status: int
    out: str
    err: str


def text(said: str) -> str:
    """Words as they were before they were broken into lines and framed."""
    return re.sub(r"[\s│]+", " ", said)
