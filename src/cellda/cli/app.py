"""The command `cellda` itself: how errors and interruptions are shown, and what is said of data."""

import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import TextIOWrapper
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from cellda import __version__
from cellda.cli.interrupted import interruptible
from cellda.cli.output import Output, complain, say, say_aside
from cellda.errors import CelldaError
from cellda.runtime import os_errors

if TYPE_CHECKING:
    import pandas as pd

    from cellda.datasets.reading.account import Account


class Commands(TyperGroup):
    """Prints errors of user and system without a traceback (status 2), and says what remains after an interruption (130)."""

    def main(self, *args: Any, **settings: Any) -> Any:
        """Run the command line; an error of the operating system that nobody else has put into words becomes a sentence."""
        try:
            return super().main(*args, **settings)
        except Exception as error:
            if not isinstance(error, OSError) and os_errors.number(error) is None:
                raise
            with suppress(OSError):  # nothing is left to say it on
                complain(f"cellda: {os_errors.sentence(error)}")
            sys.exit(2)

    def make_context(self, *given: Any, **options: Any) -> Any:
        """Parse what was given; options are checked here, which may import much."""
        with interruptible():
            return super().make_context(*given, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was given."""
        accept_any_text()
        try:
            with interruptible(), warnings.catch_warnings():
                warnings.showwarning = _shown_by(warnings.showwarning)
                return self._answered(ctx)
        except CelldaError as error:
            complain(f"cellda: {error}")
            raise typer.Exit(2) from None

    def _answered(self, ctx: Any) -> Any:
        """Run the command; a question that is answered with Ctrl-C is an interruption like any other."""
        try:
            return super().invoke(ctx)
        except typer.Abort as error:
            if isinstance(error.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def accept_any_text() -> None:
    """Let the standard streams escape what their encoding lacks: a table must not be lost to the frame around it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _shown_by(other: Callable[..., None]) -> Callable[..., None]:
    """Shows warnings to users as lines; those to programmers as `other` does."""

    def show(message: Warning | str, category: type[Warning], *place: Any, **rest: Any) -> None:
        if category is UserWarning:
            say_aside(f"cellda: warning: {message}")
        else:
            other(message, category, *place, **rest)

    return show


def tell(account: "Account") -> None:
    """Print on standard error what was left out and assumed when something was read."""
    for line in account.lines():
        say_aside(line)


def say_without_groups(output: Output, targets: Sequence[str]) -> None:
    """Say of which targets the numbers may be optimistic."""
    if targets:
        output.say(without_groups_line(targets))


def say_left_out(output: Output, predictions: "pd.DataFrame") -> None:
    """Say over how many classes the averages of each target go, where they leave some out."""
    from cellda.evaluation.left_out import left_out_lines

    for line in left_out_lines(predictions):
        output.say(line)


def without_groups_line(targets: Sequence[str]) -> str:
    """What is said of targets without groups."""
    from cellda.datasets.reading.account import NO_GROUPS

    return f"{', '.join(targets)}: {NO_GROUPS}"


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"cellda {__version__}")
        raise typer.Exit


EPILOG = (
    "Exit status: 0 done; 1 something is wrong or was declined (doctor, datasets check, store clear); 2 a mistake in what was "
    "given; 3 predicted, but some images could not be read; 130 interrupted. See docs/command_line.md."
)


@app.callback(epilog=EPILOG)
def cellda(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Make a white-blood-cell classifier work on your own microscope with at most 100 labelled cells."""
