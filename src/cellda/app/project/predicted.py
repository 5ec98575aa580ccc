"""What a model predicted of the images, with what people have said of them since."""

import pandas as pd

from cellda.app.project.labels import NO_CELL, UNSURE, labels
from cellda.app.project.models import place, predictions
from cellda.app.project.project import Project
from cellda.app.project.tables import Model
from cellda.models.classifier import CellClassifier
from cellda.models.counted import counted_by, wide


def as_labelled(project: Project, model: Model) -> pd.DataFrame | None:
    """The predictions of a model, with the labels of people instead of what it said; None if it has predicted nothing.

    Returns:
        A table of predictions with the columns `cell` (its number), `said` (what the model predicted), `label` (what people
        say; empty if nothing) and `certain` (whether `predicted` is a person's).
    """
    table = predictions(project, model)
    if table is None:
        return None
    numbers = {str(project.images / cell.path): cell.id for cell in project.cells()}
    table = table[table["path"].isin(list(numbers))].reset_index(drop=True)
    told = labels(project)
    table["cell"] = [numbers[path] for path in table["path"]]
    table["said"] = table["predicted"]
    table["label"] = [told.get(cell, "") for cell in table["cell"]]
    table["certain"] = [bool(name) and name != UNSURE for name in table["label"]]
    table["predicted"] = [
        (None if label == NO_CELL else label) if sure else said
        for label, sure, said in zip(table["label"], table["certain"], table["said"], strict=True)
    ]
    return table


def counts(project: Project, model: Model, table: pd.DataFrame) -> pd.DataFrame | None:
    """Differential counts of all cells, patients and slides (`cellda.evaluation.counts.by_group`); None without a cell."""
    if not table["predicted"].notna().any():
        return None
    return counted_by(CellClassifier.load(place(project, model)), table)


def why_wide(project: Project, model: Model, table: pd.DataFrame) -> str:
    """Why the intervals of counts are wide, where other labels would help; empty otherwise."""
    line = wide(CellClassifier.load(place(project, model)), table)
    return f"{line} (step Label: choose more cells, at random)." if line else ""
