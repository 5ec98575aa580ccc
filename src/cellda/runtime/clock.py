"""Wall time of a run's stages."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Adds up seconds by stage.

    Attributes:
        seconds: Wall time of each stage so far.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside as stage `name`."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0) + time.perf_counter() - started, 3)

    def at_least(self, name: str, seconds: float) -> None:
        """State what a stage has cost, wherever and whenever its parts were made."""
        self.seconds[name] = max(self.seconds.get(name, 0), round(seconds, 3))


def duration(seconds: float) -> str:
    """A time as people say it: in seconds, minutes or hours."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
