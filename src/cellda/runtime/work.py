"""Long-running work, described by stage and subject; progress bars show it, and watchers are notified when it begins."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum


class Stage(Enum):
    """Kinds of long-running work; the values are the labels of progress bars."""

    DOWNLOAD = "downloading"
    UNPACK = "unpacking"
    READ = "reading"
    HASH = "hashing"
    FRAME = "framing"
    DECODE = "decoding"
    VERIFY = "checking stored files"
    TRAIN = "training"
    TRAIN_SOURCE = "training the source model"
    MEASURE_SOURCE = "measuring the source model"
    SEARCH = "searching"
    PROBE = "probing"
    ADAPT = "adapting"
    CROSS_VALIDATE = "cross-validating"
    TAKE_STATISTICS = "taking statistics"
    EMBED = "embedding"
    PREDICT = "predicting"
    SEND = "sending to the store"
    FETCH = "fetching from the store"
    RUN = "runs"


@dataclass(frozen=True)
class Work:
    """One piece of long-running work.

    Attributes:
        stage: What is done.
        subject: The adapter, dataset or file that is processed; empty if there is only one.
    """

    stage: Stage
    subject: str = ""

    def __str__(self) -> str:
        return f"{self.stage.value} ({self.subject})" if self.subject else self.stage.value


Watcher = Callable[[Work], None]

_watchers: ContextVar[tuple[Watcher, ...]] = ContextVar("cellda_watchers", default=())


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Context in which `watcher` is called with every piece of work that begins, whether or not bars are shown."""
    token = _watchers.set((*_watchers.get(), watcher))
    try:
        yield
    finally:
        _watchers.reset(token)


def begin(work: Work) -> None:
    """Notify all watchers that a piece of work begins."""
    for watcher in _watchers.get():
        watcher(work)
