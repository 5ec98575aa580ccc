"""What it is worth to know which classes can occur, without labels (`benchmarks/results/present/`).

    python -m benchmarks.questions.present

From the predictions of the zoo: every condition without labels is measured as it is, and with the classes that the target's
dataset does not hold left out of its probabilities and the rest renormalised (`Recipe.present`, `cellda predict --present`).
The adaptation itself did not know the classes. A run in which it does too is made with `--present`, as in

    cellda run --target raabin=FOLDER --adapter lame --present basophil,eosinophil,lymphocyte,monocyte,neutrophil

Writes `zoo.csv`: means over draws, one row per condition and target. Needs no model; takes seconds.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.common.options import command, command_line
from benchmarks.common.results import RESULTS, write_table
from cellda.evaluation.predictions import class_indices, probabilities, probability_columns, read_predictions
from cellda.reporting.tables.conditions import scores
from cellda.reporting.tables.leaderboard import without_labels
from cellda.taxonomies import DEFAULT, create

CLASSES = create(DEFAULT).classes
MEASURED = ("accuracy", "balanced_accuracy")


def stated(predictions: pd.DataFrame) -> pd.DataFrame:
    """The predictions as they would be if it had been known which classes each target holds."""
    parts = []
    for _, part in predictions.groupby("target", sort=False):
        held = np.unique(class_indices(part))
        p = np.zeros((len(part), len(CLASSES)))
        p[:, held] = probabilities(part)[:, held]
        # Stored probabilities are rounded: where those of all classes that the target holds are 0, none is preferred.
        p[:, held] += 1e-9
        p /= p.sum(1, keepdims=True)
        known = part.assign(
            predicted=np.array(CLASSES)[p.argmax(1)],
            **dict(zip(probability_columns(CLASSES), p.T, strict=True)),
        )
        parts.append(known.assign(present="+".join(CLASSES[number] for number in held)))
    return pd.concat(parts)


def compared(predictions: pd.DataFrame) -> pd.DataFrame:
    """Means over runs of every measure, one row per condition and target, without and with the statement."""
    tables = {"": predictions, "_present": stated(predictions)}
    means = [
        scores(table, resamples=0)
        .groupby(["condition", "target"], sort=False)[list(MEASURED)]
        .mean()
        .add_suffix(suffix)
        for suffix, table in tables.items()
    ]
    known = tables["_present"].groupby(["condition", "target"], sort=False)["present"].first()
    found = pd.concat([*means, known], axis=1).reset_index()
    return found.assign(gain=found["accuracy_present"] - found["accuracy"])


def main(given: Sequence[str] | None = None) -> None:
    """Compare, print and write."""
    parser = command_line(__doc__)
    parser.add_argument("--predictions", type=Path, default=RESULTS / "zoo" / "predictions.parquet")
    parser.add_argument("--out", type=Path, default=RESULTS / "present", help="folder of the results")
    chosen = parser.parse_args(given)
    table = without_labels(read_predictions(chosen.predictions))
    free = table.groupby("condition")["labels_used"].transform("max") == 0
    write_table(compared(table[free.to_numpy(dtype=bool)]), chosen.out / "zoo.csv")


if __name__ == "__main__":
    command(main)
