"""The job that writes the report of a model and its predictions."""

from collections.abc import Mapping
from typing import Any

from cellda.app.project import models
from cellda.app.project.predicted import as_labelled
from cellda.app.project.project import Project
from cellda.experiment.keeping import RECIPE
from cellda.models.classifier import CellClassifier
from cellda.report.of_model import report_of_model
from cellda.report.page import write


def report(project: Project, arguments: Mapping[str, Any]) -> None:  # noqa: ARG001 (of other kinds)
    """Write the report of the chosen model into its folder.

    Raises:
        ConfigurationError: If there is no model yet.
    """
    model = models.needed(project)
    table = as_labelled(project, model)
    folder = models.place(project, model)
    classifier = CellClassifier.load(folder)
    recipe = (folder / RECIPE).read_text(encoding="utf-8")
    account = project.setting("account").splitlines()
    write(report_of_model(classifier, folder.name, recipe, table, account), folder / models.REPORT)
