"""The job that makes a model of what is labelled, and lets it predict all images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cellda.app.project import models
from cellda.app.project.exchange import write_table
from cellda.app.project.labels import NO_CELL, UNSURE, labels
from cellda.app.project.project import Project
from cellda.data.own_cells import image_files
from cellda.datasets.reading.account import Tally
from cellda.experiment.keeping import keep
from cellda.experiment.workflow import accounted
from cellda.experiment.workspace import Workspace
from cellda.models.classifier import CellClassifier
from cellda.models.inputs import Picture
from cellda.models.made_by import made_by
from cellda.models.predicting import predict_into
from cellda.models.rows import Rows
from cellda.models.told import Terms
from cellda.presets import adaptation_of
from cellda.recipe import Recipe
from cellda.runtime import progress
from cellda.runtime.device import device_named
from cellda.runtime.place import saving

STORE = "store"
DOUBT = 0.05
"""Share of the cells that are not left for a person that may be wrong."""


def adapt(project: Project, arguments: Mapping[str, Any]) -> None:
    """Adapt a source model as the preset `best` does, measure it by cross-validation, and predict all images.

    Args:
        project: The project.
        arguments: `model`, a source model by name.
    """
    said = [name for name in labels(project).values() if name not in (NO_CELL, UNSURE)]
    recipe = Recipe().with_(source_model=arguments["model"]).with_(**adaptation_of("best"))
    workspace = Workspace(None, project.place / STORE, progress=True)
    known = workspace.load(f"table={write_table(project)}", recipe.taxonomy)
    classifier, accounts = accounted(recipe, known, (), workspace)
    folder = models.new_folder(project)
    with saving(folder, "The model is in the store: the next attempt saves it without training again."):
        try:
            keep(classifier, recipe, folder, accounts)
            predict(project, folder)
        except BaseException:
            models.remove(folder)
            raise
    models.add(project, folder, len(said))


def predict(project: Project, folder: Path) -> None:
    """Predict all images of a project by a saved model, into its folder."""
    classifier = CellClassifier.load(folder).to(device_named("auto"))
    tally = Tally()
    files = image_files([project.images], tally)
    groups = {project.images / cell.path: cell.group for cell in project.cells()}
    pictures = [Picture(str(path), path, group=groups.get(path.absolute(), "")) for path in files]
    account = tally.close("images", len(pictures))
    file = folder / models.PREDICTIONS
    # Without labels that were kept out of training, nothing says how sure is sure enough.
    terms = Terms(0.9, DOUBT if classifier.calibration is not None else None)
    with Rows(file, made_by(classifier, pictures, None), classifier.classes, overwrite=True) as rows:
        predict_into(rows, classifier, pictures, None, progress.note)
        rows.finish(account, classifier.evidence, terms)
