"""The command `cellda` itself: how errors, interruptions and lines are shown."""

from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from cellda import __version__
from cellda.cli.interrupted import interruptible
from cellda.errors import CelldaError


class Commands(TyperGroup):
    """Prints user errors without a traceback (status 2), and says what remains after an interruption (status 130)."""

    def make_context(self, *given: Any, **options: Any) -> Any:
        """Parse what was given; options are checked here, which may import much."""
        with interruptible():
            return super().make_context(*given, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was given."""
        errors = Console(stderr=True)
        try:
            with interruptible():
                return super().invoke(ctx)
        except CelldaError as error:
            errors.print(f"cellda: {error}", markup=False, highlight=False, soft_wrap=True)
            raise typer.Exit(2) from None


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
