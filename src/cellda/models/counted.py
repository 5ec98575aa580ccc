"""Differential counts of a model's predictions, corrected by what its labelled cells show."""

import pandas as pd

from cellda.evaluation.counts import Confusion, by_group
from cellda.evaluation.counts import wide as too_wide
from cellda.models.classifier import CellClassifier


def counted_by(model: CellClassifier, table: pd.DataFrame) -> pd.DataFrame:
    """The differential counts of all cells, of each patient and of each slide (`cellda.evaluation.counts.by_group`).

    Args:
        model: The model that predicted them. Without labelled cells, nothing is corrected.
        table: A table of predictions (`cellda.models.predicted_file.read_table`, or without `certain`: nothing is).

    Raises:
        DataError: If no cell has a class.
    """
    return by_group(table.assign(group=table.get("group", "")), model.present or model.classes, _known(model))


def wide(model: CellClassifier, table: pd.DataFrame) -> str:
    """Why the intervals of counts are wide, where other labels would help, as `cellda.evaluation.counts.wide` says it."""
    known = _known(model)
    return "" if known is None else too_wide(table, known)


def _known(model: CellClassifier) -> Confusion | None:
    """What is known of how a model confuses the classes that it can predict; None if nothing is."""
    if model.evidence is None:
        return None
    return Confusion.of(model.evidence.cells).among(model.present or model.classes)
