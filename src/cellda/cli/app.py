"""The command `cellda` itself: how errors, interruptions and lines are shown."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from cellda import __version__
from cellda.errors import CelldaError

if TYPE_CHECKING:
    from cellda.datasets.reading.account import Account


class Commands(TyperGroup):
    """Prints user errors without a traceback (status 2), and says what remains after an interruption (status 130)."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was given."""
        errors = Console(stderr=True)
        try:
            return super().invoke(ctx)
        except CelldaError as error:
            errors.print(f"cellda: {error}", markup=False, highlight=False, soft_wrap=True)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            errors.print("Interrupted. Finished stages are kept; the same command continues from there.")
            raise typer.Exit(130) from None


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


def tell(account: "Account") -> None:
    """Print on standard error what was left out and assumed when something was read."""
    for line in account.lines():
        Console(stderr=True).print(line, soft_wrap=True, highlight=False, markup=False)


def say_without_groups(targets: Sequence[str]) -> None:
    """Say of which targets the numbers may be optimistic."""
    from cellda.datasets.reading.account import NO_GROUPS

    if targets:
        say(f"{', '.join(targets)}: {NO_GROUPS}")


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
