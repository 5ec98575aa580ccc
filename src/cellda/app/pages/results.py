"""Step 4: what the model says of all images; look, correct, count, take along."""

import io
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response, StreamingResponse

from cellda.app.desk import Desk
from cellda.app.guard import REPORT_POLICY
from cellda.app.pages.label import keys_of
from cellda.app.project import models
from cellda.app.project.labels import last_said
from cellda.app.project.predicted import added, as_labelled, counted
from cellda.app.project.tables import Model
from cellda.errors import ConfigurationError
from cellda.models.told import most_doubtful
from cellda.reporting.tables.counted import count_tables, not_shown
from cellda.text import csv_safe


def routes(desk: Desk) -> APIRouter:
    """The calls of this step."""
    router = APIRouter()

    @router.get("/results")
    def page(request: Request) -> Response:
        model = None if desk.project is None else models.chosen(desk.project)
        if desk.project is None or model is None:
            return desk.page("results", request, model=None)
        table = as_labelled(desk.project, model)
        found = counted(desk.project, model, table)
        file = models.place(desk.project, model) / models.REPORT
        return desk.page(
            "results",
            request,
            classes=desk.project.classes,
            keys=keys_of(desk.project),
            model=model,
            tables=[] if found.table is None else count_tables(found.table),
            small="" if found.table is None else not_shown(found.table),
            wide=found.wide,
            measured=model.accuracy is not None,
            added=added(desk.project, table),
            reported=file.is_file(),
            old=file.is_file() and last_said(desk.project) > file.stat().st_mtime,
        )

    @router.get("/api/results")
    def everything() -> dict[str, Any]:
        """All predictions, the least sure first."""
        _, table = _predicted(desk)
        order = table.sort_values("confidence", kind="stable", na_position="first")
        rows = [
            {
                "id": int(row["cell"]),
                "name": Path(row["path"]).relative_to(desk.at_work.images).as_posix(),
                "group": row["group"],
                "said": row["said"] or "",
                "confidence": None if pd.isna(row["confidence"]) else round(float(row["confidence"]), 3),
                "set": row["set"],
                "flag": row["flag"],
                "reason": row["reason"],
                "label": row["label"],
            }
            for row in order.to_dict("records")
        ]
        return {"cells": rows}

    @router.get("/export/predictions.csv")
    def predictions() -> Response:
        """The predictions, with people's labels instead of them where there are any."""
        _, table = _predicted(desk)
        told = table.drop(columns=["cell", "said"])
        text = {name: told[name].map(csv_safe, na_action="ignore") for name in ("path", "group", "label")}
        return _attached(
            told.assign(**text).to_csv(index=False, float_format="%.4f").encode(),
            "predictions.csv",
            "text/csv",
        )

    @router.get("/export/counts.csv")
    def counts() -> Response:
        model, table = _predicted(desk)
        found = counted(desk.at_work, model, table).table
        if found is None:
            raise ConfigurationError("No image has a class, so there is nothing to count.")
        return _attached(found.to_csv(index=False, float_format="%.4f").encode(), "counts.csv", "text/csv")

    @router.get("/export/doubtful.zip")
    def doubtful(number: int = 30) -> Response:
        """The least sure cells for an expert: their images, and a table to fill in, which `/api/import` reads back."""
        _, table = _predicted(desk)
        rows = most_doubtful(table[table["label"] == ""].reset_index(drop=True), number)
        made = io.BytesIO()
        listed = []
        with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as zipped:
            for place, path in enumerate(rows["path"], start=1):
                file = Path(path)
                zipped.write(file, f"images/{place:03d}_{file.name}")
                listed.append({"image": f"{place:03d}_{file.name}", "label": "", "path": csv_safe(path)})
            zipped.writestr(
                "to_fill_in.csv", pd.DataFrame(listed, columns=["image", "label", "path"]).to_csv(index=False)
            )
            zipped.writestr("README.txt", _readme(desk.at_work.classes))
        return _attached(made.getvalue(), "doubtful.zip", "application/zip")

    @router.get("/export/model.zip")
    def model_file() -> Response:
        """The chosen model, as `cellda predict` takes it."""
        model = models.needed(desk.at_work)
        return StreamingResponse(
            _zipped(models.place(desk.at_work, model), model.folder.rpartition("/")[2]),
            media_type="application/zip",
            headers={"content-disposition": 'attachment; filename="model.zip"'},
        )

    @router.get("/report")
    def report() -> Response:
        """The report, which holds its scripts itself and is therefore shown as a site of its own."""
        return FileResponse(_report(desk), headers={"content-security-policy": REPORT_POLICY})

    @router.get("/export/report.html")
    def report_file() -> Response:
        return FileResponse(_report(desk), filename="report.html")

    return router


def _predicted(desk: Desk) -> tuple[Model, pd.DataFrame]:
    model = models.needed(desk.at_work)
    return model, as_labelled(desk.at_work, model)


def _report(desk: Desk) -> Path:
    file = models.place(desk.at_work, models.needed(desk.at_work)) / models.REPORT
    if not file.is_file():
        raise ConfigurationError("The report is not written yet.")
    return file


def _attached(content: bytes, name: str, kind: str) -> Response:
    return Response(
        content, media_type=kind, headers={"content-disposition": f'attachment; filename="{name}"'}
    )


def _readme(classes: Sequence[str]) -> str:
    return (
        "Cells of which the model is least sure. Look at images/, and write into the column label of to_fill_in.csv what\n"
        f"each cell is: {', '.join(classes)}; or other, for what is no single white blood cell.\n"
        "Leave empty what you cannot tell.\n"
        "Whoever sent this reads the table back in the step Label of cellda app.\n"
    )


def _zipped(folder: Path, name: str) -> Iterator[bytes]:
    """A folder as a zip file, without what belongs to this project only."""
    left = {models.PREDICTIONS, f"{models.PREDICTIONS}.json", models.REPORT}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as zipped:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and file.name not in left:
                zipped.write(file, f"{name}/{file.relative_to(folder).as_posix()}")
    yield made.getvalue()
