"""Step 2: say what the cells are."""

import json
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, UploadFile
from fastapi.responses import Response
from pydantic import BaseModel

from cellda.app.desk import Desk, person_of
from cellda.app.pages.uploads import sent
from cellda.app.project.exchange import table_text, take_folder, take_table
from cellda.app.project.labels import (
    NO_CELL,
    UNSURE,
    class_counts,
    give,
    labels,
    notes,
    redo,
    said_by,
    to_label,
    undo,
    write_note,
)
from cellda.app.project.project import Project
from cellda.errors import ConfigurationError
from cellda.suggestion import DEFAULT

TAKEN = "nugwmzye"
"""Letters that mean something already."""


class Said(BaseModel):
    """Actions in their order, each cell -> class; None takes it back."""

    actions: list[dict[int, str | None]]


class Written(BaseModel):
    """A note."""

    cell: int
    text: str


class Keys(BaseModel):
    """Class -> letter."""

    keys: dict[str, str]


class Place(BaseModel):
    """A folder of labelled images."""

    folder: str


def routes(desk: Desk) -> APIRouter:
    """The calls of this step."""
    router = APIRouter()

    @router.get("/label")
    def page(request: Request) -> Response:
        project = desk.at_work if desk.project is not None else None
        lines = [] if project is None else project.setting("suggested").splitlines()
        return desk.page(
            "label",
            request,
            classes=() if project is None else project.classes,
            keys={} if project is None else keys_of(project),
            account=lines,
            usual=DEFAULT,
        )

    @router.get("/api/label")
    def everything(request: Request) -> dict[str, Any]:
        """The cells to label, what this person said of each, and how many labels there are of each class."""
        project, person = desk.at_work, person_of(request)
        own, texts = said_by(project).get(person, {}), notes(project)
        cells = [
            {
                "id": one.id,
                "name": one.path,
                "group": one.group,
                "similar": one.similar,
                "guess": one.guess,
                "label": own.get(one.id or 0, ""),
                "note": texts.get(one.id or 0, {}).get(person, ""),
            }
            for one in to_label(project)
        ]
        return {"cells": cells, "keys": keys_of(project), **_standing(project, person)}

    @router.post("/api/labels")
    def labelled(given: Said, request: Request) -> dict[str, Any]:
        project, person = desk.at_work, person_of(request)
        project.check_there()
        give(project, given.actions, person)
        cells = {cell for action in given.actions for cell in action}
        return {"disagree": _others(project, person, cells), **_standing(project, person)}

    @router.post("/api/undo")
    def undone(request: Request) -> dict[str, Any]:
        return _changed(desk.at_work, request, undo(desk.at_work, person_of(request)))

    @router.post("/api/redo")
    def redone(request: Request) -> dict[str, Any]:
        return _changed(desk.at_work, request, redo(desk.at_work, person_of(request)))

    @router.post("/api/note")
    def noted(given: Written, request: Request) -> dict[str, str]:
        write_note(desk.at_work, given.cell, person_of(request), given.text)
        return {"saved": given.text.strip()}

    @router.post("/api/keys")
    def chosen(given: Keys) -> dict[str, dict[str, str]]:
        """Letters of one's own for classes."""
        desk.at_work.set("keys", json.dumps(_checked(desk.at_work, given.keys)))
        return {"keys": keys_of(desk.at_work)}

    @router.get("/export/labels.csv")
    def exported() -> Response:
        return Response(
            table_text(desk.at_work),
            media_type="text/csv; charset=utf-8",
            headers={"content-disposition": 'attachment; filename="labels.csv"'},
        )

    @router.post("/api/import")
    def imported(file: UploadFile, request: Request) -> dict[str, Any]:
        """The labels of a table, entered as those of this person."""
        with sent(file) as table:
            number, account = take_table(desk.at_work, table, person_of(request))
        return {"taken": number, "account": account}

    @router.post("/api/import-folder")
    def imported_folder(given: Place, request: Request) -> dict[str, Any]:
        """The labels of a folder with one folder for each class."""
        number, account = take_folder(desk.at_work, Path(given.folder), person_of(request))
        return {"taken": number, "account": account}

    return router


def keys_of(project: Project) -> dict[str, str]:
    """Class -> its letter; the digits 1 to 9 mean the classes in their order, in addition."""
    found: dict[str, str] = json.loads(project.setting("keys", "{}"))
    return found


def _checked(project: Project, keys: dict[str, str]) -> dict[str, str]:
    given = {name: key.strip().lower() for name, key in keys.items() if key.strip()}
    for name, key in given.items():
        if name not in project.classes:
            raise ConfigurationError(f"'{name}' is no class.")
        if len(key) != 1 or not key.isalpha():
            raise ConfigurationError(f"The key of {name} is one letter; got '{key}'.")
        if key in TAKEN:
            raise ConfigurationError(
                f"The letter {key} means something already; take another one for {name}."
            )
    if len(set(given.values())) < len(given):
        raise ConfigurationError("Two classes have the same letter.")
    return given


def _standing(project: Project, person: str) -> dict[str, Any]:
    own = said_by(project).get(person, {}).values()
    return {
        "counts": class_counts(project, own),
        "others": {name: sum(one == name for one in own) for name in (NO_CELL, UNSURE)},
        "all": len(labels(project)),
    }


def _others(project: Project, person: str, cells: set[int]) -> dict[int, str]:
    """What others say of the cells of which this person says something else."""
    said = said_by(project)
    own = said.pop(person, {})
    found: dict[int, str] = {}
    for cell in cells & own.keys():
        others = [
            f"{who}: {what[cell]}" for who, what in said.items() if what.get(cell, own[cell]) != own[cell]
        ]
        if others:
            found[cell] = ", ".join(others)
    return found


def _changed(project: Project, request: Request, cells: list[int]) -> dict[str, Any]:
    person = person_of(request)
    own = said_by(project).get(person, {})
    return {"changed": {cell: own.get(cell, "") for cell in cells}, **_standing(project, person)}
