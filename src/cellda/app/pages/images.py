"""Step 1: choose a folder, see what it holds."""

import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, UploadFile
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel

from cellda.app.desk import PERSON, Desk
from cellda.app.pages.uploads import sent
from cellda.app.project.exchange import take_groups
from cellda.app.project.labels import check_person, labels
from cellda.app.project.project import SUFFIX, Project
from cellda.datasets.reading.names import is_image

MANY, PATIENCE = 1000, 0.5
"""Images, and seconds, after which nobody counts further."""


class Folder(BaseModel):
    """A folder that is chosen."""

    folder: str


class Person(BaseModel):
    """Who labels."""

    person: str


def routes(desk: Desk) -> APIRouter:
    """The calls of this step."""
    router = APIRouter()

    @router.get("/")
    def start() -> Response:
        return RedirectResponse("/images", 303)

    @router.get("/images")
    def page(request: Request) -> Response:
        account: list[str] = []
        groups = 0
        number = 0
        if desk.project is not None:
            account = desk.project.setting("account").splitlines()
            cells = desk.project.cells()
            number, groups = len(cells), len({cell.group for cell in cells if cell.group})
        return desk.page(
            "images", request, account=account, groups=groups, number=number, home=str(Path.home())
        )

    @router.get("/api/folders")
    def folders(at: str) -> dict[str, Any]:
        """The folders in a folder, to choose one: names only."""
        try:
            place = Path(at).expanduser().absolute()
            if not place.is_dir():
                return {"at": str(place), "error": f"There is no folder {place}.", "folders": []}
            inside = sorted(
                one.name
                for one in place.iterdir()
                if not one.name.startswith(".") and not one.name.endswith(SUFFIX) and one.is_dir()
            )
        except (OSError, RuntimeError) as error:  # RuntimeError: ~ of nobody
            return {"at": at, "error": f"{at} cannot be read: {error}.", "folders": []}
        return {"at": str(place), "up": str(place.parent), "folders": inside, "error": ""}

    @router.get("/api/folder")
    def images_in(at: str) -> dict[str, Any]:
        """How many images are in a folder and those inside it, up to `MANY`."""
        begin = time.monotonic()
        number = 0
        for _, folders, files in os.walk(at):
            folders[:] = [one for one in folders if not one.startswith(".") and not one.endswith(SUFFIX)]
            number += sum(is_image(one) for one in files)
            if number >= MANY or time.monotonic() - begin > PATIENCE:
                return {"images": number, "more": True}
        return {"images": number, "more": False}

    @router.post("/api/open")
    def opened(given: Folder) -> dict[str, Any]:
        desk.open(Project(Path(given.folder), classes=desk.classes))
        return {"images": len(desk.at_work.cells())}

    @router.post("/api/read")
    def read() -> dict[str, Any]:
        """Read the folder again."""
        return {"account": desk.at_work.read_folder(), "images": len(desk.at_work.cells())}

    @router.post("/api/groups")
    def grouped(file: UploadFile) -> dict[str, int]:
        """Patients or slides from a table with the columns path and group."""
        with sent(file) as table:
            return {"taken": take_groups(desk.at_work, table)}

    @router.get("/api/images")
    def cells() -> list[dict[str, Any]]:
        said = labels(desk.at_work)
        return [
            {"id": one.id, "name": one.path, "group": one.group, "label": said.get(one.id or 0, "")}
            for one in desk.at_work.cells()
        ]

    @router.post("/api/person")
    def person(given: Person, response: Response) -> dict[str, str]:
        name = check_person(given.person)
        response.set_cookie(PERSON, quote(name), max_age=10**8, httponly=True, samesite="strict")
        return {"person": name}

    return router
