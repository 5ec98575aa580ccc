"""Progress bars: one display per process, to which every long task adds a bar."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from typing import Any, Literal, Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from cellda.runtime.work import Work, begin
from cellda.text import shown

_display: ContextVar[Progress | None] = ContextVar("cellda_progress", default=None)


class Listener(Protocol):
    """Who follows long work without a terminal."""

    def advanced(self, what: str, done: int, total: int | None) -> None:
        """So many steps of a piece of work are done."""

    def said(self, line: str) -> None:
        """What a user has to know."""


_listener: ContextVar[Listener | None] = ContextVar("cellda_listener", default=None)


@contextmanager
def heard(listener: Listener) -> Iterator[None]:
    """Context in which a listener follows every bar and note, whether or not they are shown."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def display(enabled: bool = True, unit: Literal["steps", "bytes"] = "steps") -> Iterator[None]:
    """Context that shows progress bars on standard error; an outer display is reused if there is one.

    If standard error is a file, such as the log of a long run, nothing is shown; a notebook shows bars if ipywidgets is
    installed. Bytes are shown with the transfer speed.
    """
    console = Console(stderr=True)
    widgets = (
        console.is_jupyter and find_spec("ipywidgets") is not None
    )  # rich would only complain without them
    seen = console.is_terminal or widgets
    if not enabled or not seen or _display.get() is not None:
        yield
        return
    counts: tuple[ProgressColumn, ...] = (MofNCompleteColumn(), TimeElapsedColumn())
    if unit == "bytes":
        counts = (DownloadColumn(), TransferSpeedColumn())
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        *counts,
        TextColumn("left:"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        token = _display.set(progress)
        try:
            yield
        finally:
            _display.reset(token)


@contextmanager
def task(work: Work, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar with `total` steps; yields a function that advances it. Outside a `display`, nothing is drawn.

    If `total` is None, it is unknown, and the bar shows activity only. Watchers (`cellda.runtime.work`) are notified.
    """
    begin(work)
    progress, listener, done = _display.get(), _listener.get(), 0
    bar = None if progress is None else progress.add_task(escape(shown(work)), total=total)

    def advance(steps: int) -> None:
        nonlocal done
        done += steps
        if progress is not None and bar is not None:
            progress.advance(bar, steps)
        if listener is not None:
            listener.advanced(str(work), done, total)

    advance(0)
    try:
        yield advance
    finally:
        if progress is not None and bar is not None:
            progress.remove_task(bar)


def mirror() -> Callable[[Sequence[Any]], None]:
    """A function that shows in the current display what tasks elsewhere report; it may be called in another thread.

    It takes `(task, "advanced", what, done, total)` and `(task, "said", line)`, as `Listener` is told, and passes over others.
    """
    progress, listener = _display.get(), _listener.get()
    bars: dict[tuple[str, str], TaskID] = {}

    def show(report: Sequence[Any]) -> None:
        match report:
            case [_, "said", line]:
                console = Console(stderr=True) if progress is None else progress.console
                console.print(shown(line), markup=False, highlight=False, soft_wrap=True)
            case [task, "advanced", what, done, total]:
                if listener is not None:
                    listener.advanced(what, done, total)
                if progress is None:
                    return
                if (task, what) not in bars:
                    bars[task, what] = progress.add_task(escape(shown(what)), total=total)
                progress.update(bars[task, what], completed=done)
                if done == total:
                    progress.remove_task(bars.pop((task, what)))

    return show


def note(line: str) -> None:
    """Say on standard error what a user has to know, above the bars if there are any."""
    progress, listener = _display.get(), _listener.get()
    if listener is not None:
        listener.said(line)
    console = Console(stderr=True) if progress is None else progress.console
    console.print(shown(line), markup=False, highlight=False, soft_wrap=True)
