"""`cellda app`: the laboratory's screen, in a browser."""

import webbrowser
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from cellda.cli.early import each, existing, known_model
from cellda.cli.output import say
from cellda.errors import ConfigurationError
from cellda.source_models import DEFAULT as MODEL

NEEDED = ("fastapi", "uvicorn", "sqlmodel", "multipart")
"""Modules of the extra `app`."""


def app_(
    folder: Annotated[
        Path | None,
        typer.Argument(
            callback=existing,
            help="Folder of the images, one cell each; without it, the page asks.",
        ),
    ] = None,
    project: Annotated[
        Path | None,
        typer.Option(
            help="Folder for labels, models and results; default: FOLDER.cellda, next to the images."
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            callback=each(known_model),
            help="Source model: a name (see: cellda list models), or the folder of a saved model.",
        ),
    ] = MODEL,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on this machine; default: a free one.")
    ] = 0,
    show: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")] = True,
) -> None:
    """Label, adapt, look and decide, on a page in the browser of this machine; nothing leaves it.

    Everything is saved at once: interrupt it with Ctrl-C whenever you like, and begin again with the same folder.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigurationError("The app is not installed: pip install 'cellda[app]'")
    if project is not None and folder is None:
        raise ConfigurationError("--project belongs to a folder of images: give that, too.")

    from cellda.app.project.project import Project
    from cellda.app.server import Server
    from cellda.source_models.spec import SourceModel

    classes = SourceModel.model_validate(model).description.classes
    opened = None if folder is None else Project(folder, project, classes)
    try:
        server = Server(opened, model, port)
    except OSError as error:
        raise ConfigurationError(
            f"The port {port} cannot be used ({error.strerror}); give another one, or none."
        ) from error
    say(f"Open {server.address}")
    say("The address is for you alone: whoever has it can see the images and change labels. Ctrl-C ends.")
    if show:
        webbrowser.open(server.address)
    server.run()
