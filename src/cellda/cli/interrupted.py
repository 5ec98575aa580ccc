"""What an interruption leaves: said for each command, without heavy imports, also while cellda is still loading."""

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

STAGES = "Finished stages are kept; the same command continues from there."
CHANGED_NOTHING = "Nothing was changed."

KEPT = {
    "run": STAGES,
    "adapt": STAGES,
    "ablate": STAGES,
    "bench": STAGES,
    "datasets check": "The dataset was not changed.",
    "datasets show": "The dataset was not changed.",
    "datasets fetch": "What has arrived is kept; the same command continues from there.",
    "store clear": "Results that were already removed are gone, one that was being removed may be partial, and the others are "
    "as they were.",
    "predict": "The rows that are predicted are kept; the same command continues from there.",
    "app": "All labels are saved. What was running (choosing, adapting) goes on: the same command shows it, or cancels it.",
    "table": "Nothing was saved.",
    "figure": "Nothing was saved.",
}
"""Command -> what is kept; any other command only shows something."""

PATIENCE = 1.5
"""Seconds after which an interrupted process is ended whatever it does. Python interrupts between two of its own steps, and
one step may be the gradient of a batch; some libraries swallow the interruption while they are imported. Whatever is stored
withstands a kill."""


_said = threading.Event()


@contextmanager
def interruptible() -> Iterator[None]:
    """Context in which an interruption ends the process with one sentence and status 130."""
    try:
        yield
    except KeyboardInterrupt:
        _said.set()
        print(_sentence(), file=sys.stderr)
        raise SystemExit(130) from None


@contextmanager
def guarded() -> Iterator[None]:
    """Context in which an interruption ends the process within two seconds, whatever it does; a second one ends it at once."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # ignored, as in the background
        yield
        return
    _said.clear()
    heard, told = os.pipe()
    os.set_blocking(told, False)
    before = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    interrupted = threading.Event()
    guard = threading.Thread(target=_end_after_interruption, args=(heard, interrupted), daemon=True)
    guard.start()
    try:
        yield
    finally:
        if interrupted.is_set():
            _end()  # Python's own end waits for threads, and takes seconds once torch is loaded
        signal.set_wakeup_fd(before)
        os.close(told)
        guard.join()
        os.close(heard)


def _end_after_interruption(heard: int, interrupted: threading.Event) -> None:
    """End the process some time after the first interruption that is heard, or at the second one."""
    while (byte := os.read(heard, 1)) != bytes([signal.SIGINT]):
        if not byte:
            return  # there was none
    interrupted.set()
    late = threading.Timer(PATIENCE, _end)
    late.daemon = True
    late.start()
    os.read(heard, 1)
    _end()


def _end() -> None:
    """End the process at once."""
    if not _said.is_set():
        shown = b"\x1b[?25h\n" if os.isatty(2) else b""  # the cursor, which progress bars hide
        os.write(2, shown + _sentence().encode() + b"\n")
    os._exit(130)


def _sentence() -> str:
    return f"Interrupted. {KEPT.get(command(sys.argv[1:]), CHANGED_NOTHING)}"


def command(arguments: Sequence[str]) -> str:
    """The command among the arguments of `cellda`, with its subcommand if it has a sentence of its own: `"store clear"`."""
    words, rest = [], iter(arguments)
    for one in rest:
        if one == "--store":  # `cellda store` takes it before its subcommand
            next(rest, None)
        elif not one.startswith("-"):
            words.append(one)
    return next((name for name in (" ".join(words[:2]), *words[:1]) if name in KEPT), "")
