"""What the server knows while it runs: the open project, its jobs, and how pages are drawn."""

from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any
from urllib.parse import unquote

import jinja2
from fastapi import HTTPException, Request
from fastapi.responses import HTMLResponse

from cellda import source_models
from cellda.app.project import models
from cellda.app.project.jobs import Jobs
from cellda.app.project.labels import labels, to_label
from cellda.app.project.project import Project
from cellda.app.project.tables import Stage
from cellda.source_models.spec import SourceModel

STEPS = (("images", "Images"), ("label", "Label"), ("adapt", "Adapt"), ("results", "Results"))
PERSON = "cellda_person"
"""Cookie that holds who labels in this browser."""
ME = "me"
NO_FOLDER = "Choose the folder of your images first."


@dataclass(eq=False)
class Desk:
    """The open project and what belongs to it.

    Attributes:
        project: None until a folder is chosen.
        jobs: Its jobs.
        source: The source model: a name, or the folder of a saved one.
    """

    project: Project | None = None
    jobs: Jobs | None = None
    source: str = source_models.DEFAULT
    _pages: jinja2.Environment = field(
        default_factory=lambda: jinja2.Environment(
            loader=jinja2.FunctionLoader(_template),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
    )

    def open(self, project: Project) -> None:
        """Take a project, and read its folder."""
        project.read_folder()
        self.project, self.jobs = project, Jobs(project)

    @property
    def classes(self) -> tuple[str, ...]:
        """What cells may be called in a project that is begun: the classes of the source model."""
        return SourceModel.model_validate(self.source).description.classes

    @property
    def at_work(self) -> Project:
        """The open project.

        Raises:
            HTTPException: 409, if no folder is chosen yet.
        """
        if self.project is None:
            raise HTTPException(409, NO_FOLDER)
        return self.project

    @property
    def its_jobs(self) -> Jobs:
        """The jobs of the open project."""
        if self.jobs is None:
            raise HTTPException(409, NO_FOLDER)
        return self.jobs

    def page(self, name: str, request: Request, **shown: Any) -> HTMLResponse:
        """A page of the four steps."""
        state: dict[str, Any] = {"done": (), "folder": "", "project": ""}
        if self.project is not None:
            job = self.its_jobs.latest()
            state = {
                "done": [
                    "images",
                    *(["label"] if labels(self.project) else []),
                    *(["adapt"] if models.chosen(self.project) else []),
                ],
                "folder": str(self.project.images),
                "project": f"{self.project.id}.{self.project.setting('read')}",
                "gone": not self.project.images.is_dir(),
                "running": job is not None and job.stage is Stage.RUNNING,
                "suggested": len(to_label(self.project)),
            }
        text = self._pages.get_template(f"{name}.html.j2").render(
            steps=STEPS, step=name, person=person_of(request), **state, **shown
        )
        return HTMLResponse(text)


def person_of(request: Request) -> str:
    """Who labels in this browser."""
    return unquote(request.cookies.get(PERSON, "")) or ME


def _template(name: str) -> str:
    return files("cellda.app").joinpath("templates", name).read_text(encoding="utf-8")
