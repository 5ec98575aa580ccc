"""The local server: pages and what they call, on this machine only."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp

from cellda import source_models
from cellda.app.desk import Desk
from cellda.app.guard import Guard, new_token
from cellda.app.pages import adapt, agreement, images, label, pictures, results
from cellda.app.project.project import Project
from cellda.errors import CelldaError

HOST = "127.0.0.1"
PROJECT = "x-cellda-project"
"""Header in which a page says which project it shows."""
OTHER = "Another folder was opened in another tab: {}. Open this one again there, or reload this page to go on with that one."


def application(desk: Desk) -> FastAPI:
    """The pages of a desk, unguarded."""
    app = FastAPI(title="cellda", docs_url=None, redoc_url=None, openapi_url=None)
    for part in (images, pictures, label, agreement, adapt, results):
        app.include_router(part.routes(desk))
    static = Path(str(files("cellda.app").joinpath("static")))
    app.mount("/static", StaticFiles(directory=static))

    @app.middleware("http")
    async def of_this_project(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        """Refuse what a page asks that shows another project: cells are numbers, and mean others there."""
        given = request.headers.get(PROJECT) or request.query_params.get("project", "")
        if given and desk.project is not None and given.partition(".")[0] != desk.project.id:
            return JSONResponse({"detail": OTHER.format(desk.project.images)}, 409)
        return await go_on(request)

    @app.exception_handler(CelldaError)
    def refused(_request: Request, error: CelldaError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 400)

    return app


def guarded(desk: Desk, token: str, port: int) -> ASGIApp:
    """The pages of a desk, for whoever has the token."""
    return Guard(application(desk), token, port)


class Server:
    """A server on a port of this machine.

    Args:
        project: The project to open; None to let the user choose a folder.
        model: The source model: a name, or the folder of a saved one.
        port: 0 for a free one.

    Attributes:
        address: What the browser opens; it holds the token.

    Raises:
        OSError: If the port is taken.
    """

    def __init__(self, project: Project | None, model: str = source_models.DEFAULT, port: int = 0) -> None:
        desk = Desk(source=model)
        if project is not None:
            desk.open(project)
        # As before, so that a page that is still open goes on after a restart.
        last = int(project.setting("port", "0")) if project is not None else 0
        self._socket = _bound(port) if port or not last else _bound_if_free(last)
        self.port = int(self._socket.getsockname()[1])
        token = new_token()
        if project is not None:
            token = project.setting("token", token)
            project.set("token", token)
            project.set("port", str(self.port))
        self.address = f"http://{HOST}:{self.port}/?token={token}"
        config = uvicorn.Config(
            guarded(desk, token, self.port), log_level="warning", server_header=False, access_log=False
        )
        self._server = uvicorn.Server(config)

    def run(self) -> None:
        """Answer until it is interrupted."""
        asyncio.run(self._server.serve(sockets=[self._socket]))


def _bound(port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((HOST, port))
    except OSError:
        made.close()
        raise
    return made


def _bound_if_free(port: int) -> socket.socket:
    try:
        return _bound(port)
    except OSError:
        return _bound(0)
