"""Two people label the same cells: how far they agree, and a decision where they do not."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel

from cellda.app.desk import Desk
from cellda.app.project.agreement import disagreements, pairs
from cellda.app.project.labels import DECIDED, NO_CELL, UNSURE, give


class Decision(BaseModel):
    """What a cell is after all."""

    cell: int
    name: str | None


def routes(desk: Desk) -> APIRouter:
    """The calls of this page."""
    router = APIRouter()

    @router.get("/agreement")
    def page(request: Request) -> Response:
        return desk.page(
            "agreement",
            request,
            pairs=pairs(desk.at_work),
            disagreements=disagreements(desk.at_work),
            names=(*desk.at_work.classes, NO_CELL, UNSURE),
        )

    @router.post("/api/decide")
    def decided(given: Decision) -> dict[str, Any]:
        give(desk.at_work, [{given.cell: given.name}], DECIDED)
        return {"open": sum(not one.decided for one in disagreements(desk.at_work))}

    return router
