"""The command line: a thin layer over the Python API; heavy imports happen inside the commands."""

from cellda.cli.interrupted import guarded, interruptible


def main() -> None:
    """Entry point of the command `cellda`."""
    with guarded(), interruptible():
        from cellda.cli.commands import (
            app,  # typer and rich take a part of a second, in which a user may interrupt
        )

        app()
