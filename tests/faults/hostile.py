"""Many hostile inputs, one after the other: what became of each, how long it took and how much memory it needed."""

import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cellda.errors import CelldaError

SECONDS, BYTES = 2.0, 1 << 30
"""What an input of less than 1 MB may cost."""


@dataclass
class Outcome:
    """What became of hostile inputs.

    Attributes:
        kinds: Number of inputs that were refused with a sentence (`refused`), or read (as the caller calls it).
        worst: Seconds that the slowest input took.
        growth: Bytes by which the process grew at most.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    worst: float = 0.0
    growth: int = 0

    def row(self, what: str) -> dict[str, Any]:
        """A row of the table of counts."""
        read = {name: number for name, number in sorted(self.kinds.items()) if name != "refused"}
        return {
            "what": what,
            "inputs": self.kinds.total(),
            "refused": self.kinds["refused"],
            "read": ", ".join(f"{number} {name}" for name, number in read.items()),
            "tracebacks": 0,
            "slowest_s": round(self.worst, 2),
            "memory_mb": round(self.growth / (1 << 20)),
        }


def peak() -> int:
    """Bytes that this process has held at most."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def tried(number: int, attempt: Callable[[random.Random], str]) -> Outcome:
    """Call `attempt` with a generator of its own for every input; anything but a `CelldaError` that it raises is a fault.

    Args:
        number: How many inputs.
        attempt: Makes an input and reads it; says in a word how it was read, and asserts that it was read for what it says.
    """
    outcome, before = Outcome(), peak()
    for seed in range(number):
        began = time.perf_counter()
        try:
            kind = attempt(random.Random(seed))
        except CelldaError as error:
            said = str(error)
            assert said.strip(), f"input {seed}: an error without a word"
            assert len(said) < 100_000, f"input {seed}: an error of {len(said)} characters"
            kind = "refused"
        except Exception as error:
            raise AssertionError(f"input {seed}: {type(error).__name__}: {str(error)[:300]}") from error
        outcome.kinds[kind] += 1
        outcome.worst = max(outcome.worst, time.perf_counter() - began)
    outcome.growth = peak() - before
    return outcome
