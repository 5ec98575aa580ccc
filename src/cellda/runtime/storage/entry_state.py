"""What has become of the entries of a store."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePath
from typing import Any

from pydantic_core import from_json

from cellda.runtime.storage.manifest import KEY


class State(Enum):
    """What has become of an entry."""

    USABLE = "usable"
    ORPHANED = "orphaned"
    PARTIAL = "partial"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class Entry:
    """One entry of a store.

    Attributes:
        place: Its folder, or what lies in its place; in a bucket, the object's name below its URL.
        state: What has become of it.
        size: Bytes of its files.
        changed: When it was changed last, in seconds since 1970.
        why: What is orphaned or damaged about it; empty otherwise.
    """

    place: PurePath
    state: State
    size: int
    changed: float
    why: str = ""

    @property
    def kind(self) -> str:
        """The stage that it is the result of."""
        return self.place.parent.name

    @property
    def age(self) -> float:
        """Days since it was changed last."""
        return (time.time() - self.changed) / 86400


Orphaned = Callable[[Mapping[str, Any]], str | None]
"""Why no run of today asks for the entry with this key; None if one may."""


def state_by_key(key: bytes | None, orphaned: Orphaned) -> tuple[State, str]:
    """The state of a finished entry, and what is wrong with it.

    Args:
        key: What its `KEY` holds; None if it cannot be read.
        orphaned: Judges it.
    """
    try:
        why = orphaned(from_json(key or b""))
    except (ValueError, AttributeError, TypeError):
        return State.DAMAGED, f"{KEY} cannot be read"
    return (State.USABLE, "") if why is None else (State.ORPHANED, why)
