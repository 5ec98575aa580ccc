"""What the labelled cells of a model say of it, for people: its numbers, its confusion matrix, and what to doubt."""

import pandas as pd

from cellda.evaluation.bootstrap import group_counts
from cellda.evaluation.metrics import Metrics, measure
from cellda.evaluation.predictions import classes_of
from cellda.evaluation.rates import MIN_CELLS
from cellda.reporting.tables.text_table import TextTable
from cellda.text import agreeing, counted


def confusion_table(predictions: pd.DataFrame) -> TextTable:
    """How many cells of each class were taken for each class.

    Args:
        predictions: Rows of a prediction table. Classes that have no cell and are never predicted are left out.
    """
    classes, confusion = classes_of(predictions), group_counts(predictions).sum((0, 1))
    used = [place for place, _ in enumerate(classes) if confusion[place].any() or confusion[:, place].any()]
    names = [classes[place] for place in used]
    return TextTable(
        "Cells of each class (rows), and what they were taken for (columns)",
        ("", *names, "cells"),
        tuple(
            (
                classes[row],
                *(str(confusion[row, column]) for column in used),
                str(confusion[row].sum()),
            )
            for row in used
        ),
    )


def headline(predictions: pd.DataFrame, folds: int, *, searched: bool) -> list[str]:
    """How good a model is, by its labelled cells, in sentences.

    Args:
        predictions: Prediction table of the labelled cells, each predicted by a model that has not learned from it.
        folds: Number of parts that were left out in turn; 0 if the model has not learned from them.
        searched: Whether values were chosen on the same cells.
    """
    found = measure(predictions)
    cells, groups = counted(found.n, "labelled cell(s)"), counted(found.groups, "group(s)")
    apart = "" if found.groups == found.n else f" of {groups}, which are kept together"
    how = (
        f"each predicted by a model that learned from the others, without its own part of {folds}"
        if folds
        else "from which the model has not learned"
    )
    lines = [f"Measured on your {cells}{apart}, {how}:", *_numbers(found)]
    if found.groups == found.n:
        lines.append("No groups are known: cells of one patient or slide may be on both sides.")
    if searched:
        lines.append(
            "Hyper-parameters were chosen on the same cells, so these numbers are a little optimistic."
        )
    return lines


def doubts(predictions: pd.DataFrame) -> list[str]:
    """What to doubt, in sentences: classes without cells, with few, and those that are never predicted.

    Args:
        predictions: Prediction table of the labelled cells.
    """
    labelled, predicted = predictions["label"].value_counts(), set(predictions["predicted"])
    classes = classes_of(predictions)
    none = [name for name in classes if name not in labelled.index]
    few = {
        name: int(labelled[name]) for name in classes if name in labelled.index and labelled[name] < MIN_CELLS
    }
    missed = [name for name in labelled.index if name not in predicted]
    lines = []
    if none:
        lines.append(
            f"No labelled cell is of the {agreeing(len(none), '(class|classes)')} {', '.join(none)}: nothing says whether "
            f"{agreeing(len(none), '(it is|they are)')} recognised."
        )
    if few:
        named = ", ".join(f"{name} {number}" for name, number in few.items())
        lines.append(
            f"Fewer than {MIN_CELLS} labelled cells: {named}. The averages leave "
            f"{agreeing(len(few), '(this class|these classes)')} out; label more."
        )
    if missed:
        lines.append(
            f"Never predicted: {', '.join(missed)}. Do not trust counts of "
            f"{agreeing(len(missed), '(this class|these classes)')}; label more."
        )
    return lines


def _numbers(found: Metrics) -> list[str]:
    averaged = len(found.per_class) - len(found.left_out)
    return [
        f"accuracy {found.accuracy}, balanced accuracy {found.balanced_accuracy} "
        f"({averaged} of {counted(len(found.per_class), '(class|classes)')}), calibration error {found.ece:.2f}"
    ]
