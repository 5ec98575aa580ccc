"""Functions that workers of the tests run."""

import os
import time
from pathlib import Path

from distributed import get_worker


def die(*_: object) -> None:
    """As a process does that the system kills for its memory."""
    os._exit(1)


def die_once(place: str) -> str:
    """Die the first time."""
    mark = Path(place)
    if not mark.exists():
        mark.touch()
        os._exit(1)
    return "done"


def stamp(place: str, name: str, *_: object) -> float:
    """Append a name to a file, and say when."""
    with Path(place).open("a", encoding="utf-8") as file:
        file.write(f"{name}\n")
    return time.time()


def refuse(*_: object) -> None:
    """Fail as a task does."""
    raise ValueError("no such cell")


def needs(place: str, *_: object) -> str:
    """Fail as long as a file is not there."""
    if not Path(place).exists():
        raise ValueError(f"{place} is not there")
    return "done"


def slow(place: str, name: str) -> str:
    """Append a name to a file after a while; returns it."""
    time.sleep(0.3)
    stamp(place, name)
    return name


def where() -> str:
    """The name of this worker."""
    time.sleep(0.1)
    return str(get_worker().name)
