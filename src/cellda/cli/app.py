"""The command `cellda` itself: how errors, interruptions and lines are shown."""

import sys
from contextlib import suppress
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from cellda import __version__
from cellda.errors import CelldaError
from cellda.runtime import os_errors


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

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was given."""
        try:
            return super().invoke(ctx)
        except CelldaError as error:
            _complain(f"cellda: {error}")
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            _complain("Interrupted. Finished stages are kept; the same command continues from there.")
            raise typer.Exit(130) from None


def _complain(line: str) -> None:
    Console(stderr=True).print(line, markup=False, highlight=False, soft_wrap=True)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console()


def say(line: str) -> None:
    """Print one line as it is."""
    out.print(line, soft_wrap=True, highlight=False, markup=False)


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
