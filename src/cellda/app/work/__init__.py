"""What the processes of jobs do: one file for each kind of job."""

from collections.abc import Callable, Mapping
from typing import Any

from cellda.app.project.project import Project
from cellda.app.work.adapt import adapt
from cellda.app.work.predict import predict
from cellda.app.work.report import report
from cellda.app.work.suggest import suggest

Kind = Callable[[Project, Mapping[str, Any]], None]

KINDS: Mapping[str, Kind] = {"suggest": suggest, "adapt": adapt, "predict": predict, "report": report}
"""Kind of a job -> what it does in a project, with its arguments."""
