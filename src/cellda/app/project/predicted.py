"""What a model predicted of the images, with what people have said of them since."""

from dataclasses import dataclass

import pandas as pd

from cellda.app.project.labels import NO_CELL, UNSURE, labels
from cellda.app.project.models import place, predictions
from cellda.app.project.project import Project
from cellda.app.project.tables import Model
from cellda.models.classifier import CellClassifier
from cellda.models.counted import counted_by, wide


def as_labelled(project: Project, model: Model) -> pd.DataFrame:
    """The predictions of a model of the images that are there, with the labels of people instead of what it said.

    Returns:
        A table of predictions with the columns `cell` (its number), `group` (as the project knows it now), `said` (what the
        model predicted), `label` (what people say; empty if nothing) and `certain` (whether `predicted` is a person's).
    """
    cells = {str(project.images / cell.path): cell for cell in project.cells()}
    table = predictions(project, model)
    table = table[table["path"].isin(list(cells))].reset_index(drop=True)
    told = labels(project)
    table["cell"] = [cells[path].id for path in table["path"]]
    table["group"] = [cells[path].group for path in table["path"]]
    table["said"] = table["predicted"]
    table["label"] = [told.get(cell, "") for cell in table["cell"]]
    table["certain"] = [bool(name) and name != UNSURE for name in table["label"]]
    table["predicted"] = [
        (None if label == NO_CELL else label) if sure else said
        for label, sure, said in zip(table["label"], table["certain"], table["said"], strict=True)
    ]
    return table


@dataclass(frozen=True, eq=False)
class Counted:
    """Differential counts.

    Attributes:
        table: Of all cells, patients and slides (`cellda.evaluation.counts.by_group`); None if no image has a class.
        wide: Why the intervals are wide, where other labels would help; empty otherwise.
    """

    table: pd.DataFrame | None
    wide: str = ""


def counted(project: Project, model: Model, table: pd.DataFrame) -> Counted:
    """The differential counts of what `as_labelled` returns."""
    if not table["predicted"].notna().any():
        return Counted(None)
    classifier = CellClassifier.load(place(project, model))
    line = wide(classifier, table)
    return Counted(
        counted_by(classifier, table), f"{line} (step Label: choose more cells, at random)." if line else ""
    )


def added(project: Project, table: pd.DataFrame) -> int:
    """Number of images that are there and that the model has not predicted, because they were added later."""
    return len(project.cells()) - len(table)
