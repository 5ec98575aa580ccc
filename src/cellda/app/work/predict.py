"""The job that lets the chosen model predict all images, such as those that were added since."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cellda.app.project import models
from cellda.app.project.project import Project
from cellda.data.own_cells import image_files
from cellda.datasets.reading.account import Tally
from cellda.models.classifier import CellClassifier
from cellda.models.inputs import Picture
from cellda.models.made_by import made_by
from cellda.models.predicting import predict_into
from cellda.models.rows import Rows
from cellda.models.told import Terms
from cellda.runtime import progress
from cellda.runtime.device import device_named

DOUBT = 0.05
"""Share of the cells that are not left for a person that may be wrong."""


def predict(project: Project, arguments: Mapping[str, Any]) -> None:  # noqa: ARG001 (of other kinds)
    """Predict all images by the chosen model.

    Raises:
        ConfigurationError: If there is no model yet.
    """
    predict_all(project, models.place(project, models.needed(project)))


def predict_all(project: Project, folder: Path) -> None:
    """Predict all images of a project by a saved model, into its folder."""
    project.read_folder()
    classifier = CellClassifier.load(folder).to(device_named("auto"))
    tally = Tally()
    files = image_files([project.images], tally)
    groups = {project.images / cell.path: cell.group for cell in project.cells()}
    pictures = [Picture(str(path), path, group=groups[path.absolute()]) for path in files]
    account = tally.close("images", len(pictures))
    # Without a calibration, nothing says how sure is sure enough.
    terms = Terms(error=None if classifier.calibration is None else DOUBT)
    made = made_by(classifier, pictures, None)
    with Rows(folder / models.PREDICTIONS, made, classifier.classes, overwrite=True) as rows:
        predict_into(rows, classifier, pictures, None, progress.note)
        rows.finish(account, classifier.evidence, terms)
