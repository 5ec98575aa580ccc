"""What long work is: its stage and whom it is for; bars show it, and whoever watches is told when it begins."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum


class Stage(Enum):
    """Kinds of long work, by what bars call them."""

    DOWNLOAD = "downloading"
    UNPACK = "unpacking"
    READ = "reading"
    FRAME = "framing"
    DECODE = "decoding"
    TRAIN = "training"
    TRAIN_SOURCE = "training the source model"
    MEASURE_SOURCE = "measuring the source model"
    SEARCH = "searching"
    PROBE = "probing"
    ADAPT = "adapting"
    TAKE_STATISTICS = "taking statistics"
    EMBED = "embedding"
    PREDICT = "predicting"
    RUN = "runs"


@dataclass(frozen=True)
class Work:
    """One piece of long work.

    Attributes:
        stage: What is done.
        subject: For whom: the name of an adapter, a dataset or a file; empty where there is only one.
    """

    stage: Stage
    subject: str = ""

    def __str__(self) -> str:
        return f"{self.stage.value} ({self.subject})" if self.subject else self.stage.value


Watcher = Callable[[Work], None]

_watchers: ContextVar[tuple[Watcher, ...]] = ContextVar("cellda_watchers", default=())


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Within it, `watcher` is called with every piece of work that begins, whether bars are shown or not."""
    token = _watchers.set((*_watchers.get(), watcher))
    try:
        yield
    finally:
        _watchers.reset(token)


def begin(work: Work) -> None:
    """Tell all watchers that a piece of work begins."""
    for watcher in _watchers.get():
        watcher(work)
