"""The command line: a thin layer over the Python API; heavy imports happen inside the commands."""

import sys

from cellda.cli.interrupted import guarded, interruptible
from cellda.errors import CelldaError
from cellda.runtime.launched import launched


def main() -> None:
    """Entry point of the command `cellda`; of the processes that a launcher has started, one runs the command."""
    try:
        if launched() is None:
            _command()
            return
        from cellda.training.ranks import on_main  # loads torch

        on_main(_command)
    except CelldaError as error:  # of the processes; the command shows its own
        print(f"cellda: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def _command() -> None:
    with guarded(), interruptible():
        from cellda.cli.commands import (
            app,  # typer and rich take a part of a second, in which a user may interrupt
        )

        app()
