"""What a command said, and its words."""

import re
from typing import NamedTuple

WIDTH = 80


class Said(NamedTuple):
    """What a command left: exit status, standard output, standard error."""

    status: int
    out: str
    err: str


def text(said: str) -> str:
    """Words as they were before they were broken into lines and framed."""
    return re.sub(r"[\s│]+", " ", said)
