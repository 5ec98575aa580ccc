"""What averaging the probabilities of two models gives: of whole images, and of framed cells (`benchmarks/results/views/`).

    python -m benchmarks.questions.views

From the predictions of the zoo: conditions on whole images and on framed cells, alone and with their probabilities averaged,
run by run. Writes `zoo.csv`: means over draws, one row per pair and target. Needs no model; takes seconds.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks.common.options import command, command_line
from benchmarks.common.results import RESULTS, write_table
from cellda.evaluation.predictions import RUN, probabilities, probability_columns, read_predictions
from cellda.reporting.tables.conditions import scores
from cellda.taxonomies import DEFAULT, create

CLASSES = create(DEFAULT).classes
PAIRS = (
    ("our_workflow", "our_workflow@cell"),
    ("our_workflow", "full+tta@cell"),
    ("l2_sp", "l2_sp+tta@cell"),
    ("none", "none@cell"),
    ("lame", "lame@cell"),
)
"""Whole, framed."""
KEYS = [*(name for name in RUN if name != "condition"), "path"]


def averaged(whole: pd.DataFrame, framed: pd.DataFrame) -> pd.DataFrame:
    """The predictions of `whole` with the mean of the probabilities of both."""
    whole, framed = (table.sort_values(KEYS, ignore_index=True) for table in (whole, framed))
    if not whole[KEYS].equals(framed[KEYS]):
        raise ValueError("The two conditions predict other cells or were run otherwise.")
    mean = (probabilities(whole) + probabilities(framed)) / 2
    labels = [CLASSES[number] for number in mean.argmax(1)]
    return whole.assign(predicted=labels, **dict(zip(probability_columns(CLASSES), mean.T, strict=True)))


def compared(predictions: pd.DataFrame) -> pd.DataFrame:
    """Means over draws of both measures, for each pair and target: whole, framed, both."""
    rows = []
    for names in PAIRS:
        whole, framed = (predictions[predictions["condition"] == name] for name in names)
        tables = {"whole": whole, "framed": framed, "both": averaged(whole, framed)}
        for measure in ("accuracy", "balanced_accuracy"):
            means = {
                name: scores(table, resamples=0).groupby("target", sort=False)[measure].mean()
                for name, table in tables.items()
            }
            found = pd.DataFrame(means).reset_index()
            rows.append(found.assign(whole_is=names[0], framed_is=names[1], measure=measure))
    return pd.concat(rows)[["whole_is", "framed_is", "measure", "target", "whole", "framed", "both"]]


def main(given: Sequence[str] | None = None) -> None:
    """Compare, print and write."""
    parser = command_line(__doc__)
    parser.add_argument("--predictions", type=Path, default=RESULTS / "zoo" / "predictions.parquet")
    parser.add_argument("--out", type=Path, default=RESULTS / "views", help="folder of the results")
    chosen = parser.parse_args(given)
    write_table(compared(read_predictions(chosen.predictions)), chosen.out / "zoo.csv")


if __name__ == "__main__":
    command(main)
