"""The job that makes a model of what is labelled, and lets it predict all images."""

import shutil
from collections.abc import Mapping
from typing import Any

from cellda.app.project import models
from cellda.app.project.exchange import write_table
from cellda.app.project.labels import usable
from cellda.app.project.project import Project
from cellda.app.work.predict import predict_all
from cellda.experiment.keeping import keep
from cellda.experiment.workflow import accounted
from cellda.experiment.workspace import Workspace
from cellda.presets import adaptation_of
from cellda.recipe import Recipe
from cellda.runtime.place import saving

STORE = "store"
"""Finished stages, below the project."""


def adapt(project: Project, arguments: Mapping[str, Any]) -> None:
    """Adapt a source model as the preset `best` does, measure it by cross-validation, and predict all images.

    Args:
        project: The project.
        arguments: `model`, a source model by name.
    """
    recipe = Recipe().with_(source_model=arguments["model"]).with_(**adaptation_of("best"))
    workspace = Workspace(None, project.place / STORE, progress=True)
    known = workspace.load(f"table={write_table(project)}", recipe.taxonomy)
    classifier, accounts = accounted(recipe, known, (), workspace)
    folder = models.new_folder(project)
    with saving(folder, "The model is in the store: the next attempt saves it without training again."):
        try:
            keep(classifier, recipe, folder, accounts)
            predict_all(project, folder)
        except BaseException:
            shutil.rmtree(folder)  # it is not finished
            raise
    models.add(project, folder, len(usable(project)))
