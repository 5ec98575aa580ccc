"""Pictures of cells."""

from fastapi import APIRouter, HTTPException
from fastapi.responses import FileResponse

from cellda.app.desk import Desk
from cellda.app.pictures import Kind, picture
from cellda.errors import DataError


def routes(desk: Desk) -> APIRouter:
    """The calls that show cells."""
    router = APIRouter()

    @router.get("/picture/{kind}/{cell}")
    def shown(kind: Kind, cell: int) -> FileResponse:
        """A picture of a cell of the project; nothing else is ever read for a page."""
        try:
            found = desk.at_work.cell(cell)
            file = picture(desk.at_work, found, kind)
        except (DataError, OSError) as error:
            raise HTTPException(404, f"This image cannot be shown: {error}") from error
        return FileResponse(file, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})

    return router
