"""Step 3: a model of what is labelled."""

import math
import time
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from cellda.app.desk import Desk
from cellda.app.project import models
from cellda.app.project.agreement import disagreements
from cellda.app.project.labels import class_counts, usable
from cellda.app.project.tables import Job, Model, Stage
from cellda.errors import ConfigurationError
from cellda.evaluation.rates import MIN_CELLS
from cellda.models.classifier import CellClassifier
from cellda.reporting.tables.measured import confusion_table, doubts
from cellda.suggestion import DEFAULT

MORE = 20
"""Labels by which it is said what more of them would bring."""


class Wanted(BaseModel):
    """A job to begin."""

    kind: Literal["suggest", "adapt", "predict", "report"]
    number: int = Field(default=40, ge=1, le=1000)
    suggester: str = DEFAULT


def routes(desk: Desk) -> APIRouter:
    """The calls of this step, and those of jobs."""
    router = APIRouter()

    @router.get("/adapt")
    def page(request: Request) -> Response:
        if desk.project is None:
            return desk.page("adapt", request)
        said = usable(desk.project)
        number = class_counts(desk.project, said.values())
        model = models.chosen(desk.project)
        return desk.page(
            "adapt",
            request,
            counts=number,
            few=[name for name, count in number.items() if 0 < count < MIN_CELLS],
            usable=len(said),
            open=sum(not one.decided for one in disagreements(desk.project)),
            history=[_shown(one) for one in models.models(desk.project)],
            model=None if model is None else _shown(model),
            told={} if model is None else _told(desk, model),
        )

    @router.post("/api/jobs")
    def begun(given: Wanted) -> dict[str, Any]:
        if given.kind == "adapt" and len({*usable(desk.at_work).values()}) < 2:
            raise ConfigurationError("Label cells of at least two classes first.")
        arguments = {"number": given.number, "suggester": given.suggester, "model": desk.source}
        job = desk.its_jobs.start(given.kind, arguments)
        return {"job": _state(job)}

    @router.get("/api/job")
    def standing() -> dict[str, Any]:
        job = desk.its_jobs.latest()
        return {"job": None if job is None else _state(job)}

    @router.post("/api/job/cancel")
    def cancelled() -> dict[str, Any]:
        desk.its_jobs.cancel()
        return {}

    @router.post("/api/models/{number}/choose")
    def chosen(number: int) -> dict[str, Any]:
        return {"model": _shown(models.choose(desk.at_work, number))}

    return router


def _state(job: Job) -> dict[str, Any]:
    seconds = (job.ended or time.time()) - job.started
    return {
        "id": job.id,
        "kind": job.kind,
        "stage": job.stage.value,
        "running": job.stage is Stage.RUNNING,
        "doing": job.doing,
        "done": job.done,
        "total": job.total,
        "said": job.said.splitlines(),
        "seconds": round(seconds),
    }


def _shown(model: Model) -> dict[str, Any]:
    """A model as the page shows it."""
    return {
        "id": model.id,
        "name": model.folder.rpartition("/")[2].replace("_", " "),
        "made": time.strftime("%Y-%m-%d %H:%M", time.localtime(model.made)),
        "labels": model.labels,
        "accuracy": model.accuracy,
        "low": model.low,
        "high": model.high,
        "balanced": model.balanced,
        "classes": model.classes,
        "chosen": model.chosen,
    }


def _told(desk: Desk, model: Model) -> dict[str, Any]:
    """What the labelled cells say of a model: confusion matrix, doubts, and what more labels would bring."""
    evidence = CellClassifier.load(models.place(desk.at_work, model)).evidence
    if evidence is None:
        return {
            "doubts": ["This model was not measured: nothing says how many of its predictions are right."]
        }
    return {
        "confusion": confusion_table(evidence.cells),
        "doubts": doubts(evidence.cells),
        "more": _more(model, len(evidence.cells)),
    }


def _more(model: Model, cells: int) -> str:
    """How much surer the number would be with more labels, if the model stayed as good."""
    if model.accuracy is None or model.low is None or model.high is None:
        return ""
    known = (model.high - model.low) / 2
    return (
        f"The accuracy is known to ±{known:.2f}. With {MORE} more labels it would be known to about "
        f"±{known * math.sqrt(cells / (cells + MORE)):.2f}, and the model itself learns from them, too."
    )
