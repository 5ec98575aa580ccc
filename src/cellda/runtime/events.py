"""What training and search report while they run; listeners are told, and change nothing."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from cellda.runtime.work import Work


@dataclass(frozen=True)
class EpochDone:
    """An epoch of a training has ended.

    Attributes:
        work: The training.
        epoch: Number of the epoch in it, from 0.
        loss: Mean loss over its examples.
    """

    work: Work
    epoch: int
    loss: float


@dataclass(frozen=True)
class TrialDone:
    """A trial of a search has ended.

    Attributes:
        number: From 0.
        state: `"complete"` or `"pruned"`.
        score: The selector's; None if no round was finished.
        values: Value of each searched field.
    """

    number: int
    state: str
    score: float | None
    values: Mapping[str, Any]


Event = EpochDone | TrialDone
Listener = Callable[[Event], None]

_listeners: ContextVar[tuple[Listener, ...]] = ContextVar("cellda_listeners", default=())


@contextmanager
def heard(listener: Listener) -> Iterator[None]:
    """Context in which `listener` is told every event."""
    token = _listeners.set((*_listeners.get(), listener))
    try:
        yield
    finally:
        _listeners.reset(token)


@contextmanager
def unheard() -> Iterator[None]:
    """Context in which nobody is told, such as that of the trainings inside a trial."""
    token = _listeners.set(())
    try:
        yield
    finally:
        _listeners.reset(token)


def tell(event: Event) -> None:
    """Tell all listeners."""
    for listener in _listeners.get():
        listener(event)
