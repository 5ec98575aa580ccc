"""The models of a project: what each learned from, how good it is, and which one predicts."""

import time
from pathlib import Path

import pandas as pd
from sqlmodel import col, select

from cellda.app.project.project import Project
from cellda.app.project.tables import Model
from cellda.errors import ConfigurationError, DataError
from cellda.models.classifier import CellClassifier
from cellda.models.predicted_file import read_table

PREDICTIONS = "predictions.parquet"
REPORT = "report.html"


def models(project: Project) -> list[Model]:
    """All models, the newest first."""
    with project.session() as session:
        return list(session.exec(select(Model).order_by(col(Model.id).desc())))


def chosen(project: Project) -> Model | None:
    """The model that predicts; None if there is none yet."""
    with project.session() as session:
        return session.exec(select(Model).where(col(Model.chosen).is_(True))).first()


def needed(project: Project) -> Model:
    """The model that predicts.

    Raises:
        ConfigurationError: If there is none yet.
    """
    model = chosen(project)
    if model is None:
        raise ConfigurationError("There is no model yet: label cells and adapt first.")
    return model


def choose(project: Project, number: int) -> Model:
    """Let a model predict from now on; the others stay.

    Raises:
        DataError: If there is none of that number.
    """
    with project.session() as session:
        wanted = session.get(Model, number)
        if wanted is None:
            raise DataError(f"There is no model {number} in this project.")
        for one in session.exec(select(Model)):
            one.chosen = one.id == number
        return wanted


def add(project: Project, folder: Path, labels: int) -> Model:
    """Enter a saved model, with what its labelled cells say of it, and choose it."""
    from cellda.evaluation.metrics import measure

    evidence = CellClassifier.load(folder).evidence
    model = Model(folder=folder.relative_to(project.place).as_posix(), made=time.time(), labels=labels)
    if evidence is not None:
        found = measure(evidence.cells)
        model.accuracy, model.low, model.high = found.accuracy.value, found.accuracy.low, found.accuracy.high
        model.balanced = found.balanced_accuracy.value
        model.classes = len(found.per_class) - len(found.left_out)
    with project.session() as session:
        session.add(model)
    assert model.id is not None
    return choose(project, model.id)


def place(project: Project, model: Model) -> Path:
    """The folder of a model."""
    return project.place / model.folder


def new_folder(project: Project) -> Path:
    """A folder for the next model, which is not there yet."""
    number = 1
    while (project.place / "models" / f"model_{number}").exists():
        number += 1
    return project.place / "models" / f"model_{number}"


def predictions(project: Project, model: Model) -> pd.DataFrame:
    """What a model predicted of the project's images (`cellda.models.predicted_file`)."""
    return read_table(place(project, model) / PREDICTIONS)[0]
