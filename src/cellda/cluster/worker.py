"""What a worker does around a task: one thread, a log of its own, and reports to whoever waits."""

import contextlib
import os
import socket
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from distributed import get_worker

from cellda.cluster.engine import GPU, TOPIC
from cellda.runtime.progress import heard

OFTEN = 0.5
"""Seconds between two reports of the progress of one piece of work."""


class Reporter:
    """Tells the client how far a task is (`cellda.runtime.progress.Listener`).

    Args:
        name: Name of the task.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._last: dict[str, float] = {}

    def advanced(self, what: str, done: int, total: int | None) -> None:
        """Report steps, at most every `OFTEN` seconds, and always the first and the last."""
        now = time.monotonic()
        if done == 0 or done == total or now - self._last.get(what, 0.0) > OFTEN:
            self._last[what] = now
            self._report("advanced", what, done, total)

    def said(self, line: str) -> None:
        """Report a line that a user has to know."""
        self._report("said", line)

    def begun(self) -> None:
        """Report that the task has begun, and where."""
        self._report("begun", f"{socket.gethostname()}:{os.getpid()}")

    def _report(self, *parts: Any) -> None:
        get_worker().log_event(TOPIC, [self.name, *parts])


@contextlib.contextmanager
def reported(name: str, logs: Path) -> Iterator[None]:
    """Context of a task on a worker: one thread; what it prints goes into `NAME.log`; what it warns of is reported.

    Args:
        name: Name of the task.
        logs: Folder of the logs; it is created.
    """
    torch.set_num_threads(1)
    _take_gpu(str(get_worker().name))
    logs.mkdir(parents=True, exist_ok=True)
    reporter = Reporter(name)
    with (
        (logs / f"{name}.log").open("a", encoding="utf-8") as log,
        contextlib.redirect_stderr(log),
        contextlib.redirect_stdout(log),
        heard(reporter),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("default")
        reporter.begun()
        try:
            yield
        except BaseException:
            traceback.print_exc(file=log)
            raise
        finally:
            for one in caught:
                reporter.said(str(one.message))


def without_gpu(worker: Any) -> list[str]:
    """What is wrong with a worker that was started with the resource `GPU`, and has none."""
    if worker is None or GPU not in worker.state.total_resources or torch.cuda.is_available():
        return []
    return ["offers a GPU (--resources GPU=1), but PyTorch finds none there"]


def _take_gpu(name: str) -> None:
    """Of several GPUs of a machine, the workers that `processes:N` numbers use one after another."""
    if name.isdecimal() and torch.cuda.device_count() > 1:
        torch.cuda.set_device(int(name) % torch.cuda.device_count())
