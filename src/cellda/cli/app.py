"""The command `cellda` itself: how errors, interruptions and lines are shown."""

import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import TextIOWrapper
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from cellda import __version__
from cellda.cli.interrupted import interruptible
from cellda.errors import CelldaError
from cellda.runtime import os_errors
from cellda.text import shown

if TYPE_CHECKING:
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
                _complain(f"cellda: {os_errors.sentence(error)}")
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
            _complain(f"cellda: {error}")
            raise typer.Exit(2) from None

    def _answered(self, ctx: Any) -> Any:
        """Run the command; a question that is answered with Ctrl-C is an interruption like any other."""
        try:
            return super().invoke(ctx)
        except typer.Abort as error:
            if isinstance(error.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise


def _complain(text: str) -> None:
    """Print an error, whose parts are escaped and whose lines are kept."""
    Console(stderr=True).print(shown(text, lines=True), markup=False, highlight=False, soft_wrap=True)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console()


def accept_any_text() -> None:
    """Let the standard streams escape what their encoding lacks: a table must not be lost to the frame around it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(line: str) -> None:
    """Print one line as it is, with control characters escaped."""
    out.print(shown(line), soft_wrap=True, highlight=False, markup=False)


def say_aside(line: str) -> None:
    """Print one line on standard error, for people who watch."""
    Console(stderr=True).print(shown(line), soft_wrap=True, highlight=False, markup=False)


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


def say_without_groups(targets: Sequence[str]) -> None:
    """Say of which targets the numbers may be optimistic."""
    if targets:
        say(without_groups_line(targets))


def without_groups_line(targets: Sequence[str]) -> str:
    """What is said of targets without groups."""
    from cellda.datasets.reading.account import NO_GROUPS

    return f"{', '.join(targets)}: {NO_GROUPS}"


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"cellda {__version__}")
        raise typer.Exit


@app.callback()
def cellda(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Make a white-blood-cell classifier work on your own microscope with at most 100 labelled cells."""
