"""Differential counts of a model's predictions, corrected by what its labelled cells show."""

import pandas as pd

from cellda.evaluation.counts import Confusion, by_group
from cellda.models.classifier import CellClassifier
from cellda.models.predicted_file import corrected


def counted_by(model: CellClassifier, table: pd.DataFrame) -> pd.DataFrame:
    """The differential counts of all cells, of each patient and of each slide (`cellda.evaluation.counts.by_group`).

    Args:
        model: The model that predicted them. Without labelled cells, nothing is corrected.
        table: A table of predictions (`cellda.models.predicted_file.read_table`). Classes that a person has given are
            certain: those of the column `certain`, or those that were changed if there is none.

    Raises:
        DataError: If no cell has a class.
    """
    classes = model.present or model.classes
    known = None if model.evidence is None else Confusion.of(model.evidence.cells).among(classes)
    certain = table["certain"] if "certain" in table.columns else corrected(table)
    return by_group(table.assign(group=table.get("group", ""), certain=certain), classes, known)
