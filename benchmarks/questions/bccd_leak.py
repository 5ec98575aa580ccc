"""How much BCCD's copies of one photograph help under the published draw (`benchmarks/results/bccd_leak/`).

    python -m benchmarks.questions.bccd_leak --data ~/wbc

From the predictions of `ablation.py`, protocol `paper`: query cells whose photograph has a copy in the support ("siblings")
against all others, condition by condition and draw by draw. Accuracy is taken class by class and then averaged, because a
balanced support holds more of the photographs of a rare class. A condition that learns nothing from the support is the
reference: any advantage of siblings there is not due to the leak. Needs no model; takes seconds.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.common.options import command, command_line
from benchmarks.common.results import RESULTS, write_table
from cellda.data.few_shot import draw_support
from cellda.data.root import DataRoot
from cellda.evaluation.predictions import read_predictions


def compared(predictions: pd.DataFrame, photographs: set[str]) -> dict[str, float]:
    """Share of siblings in the query of one run, and class-averaged accuracy of siblings and of the others."""
    sibling = predictions["group"].isin(photographs)
    right = predictions["label"] == predictions["predicted"]
    by_class = right.groupby([sibling, predictions["label"]]).mean().groupby(level=0).mean()
    return {
        "siblings_share": float(sibling.mean()),
        "siblings": float(by_class.get(True, np.nan)),
        "others": float(by_class.get(False, np.nan)),
    }


def main(given: Sequence[str] | None = None) -> None:
    """Compare, print and write."""
    parser = command_line(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the folder bccd")
    parser.add_argument(
        "--predictions", type=Path, default=RESULTS / "ablation" / "predictions_paper.parquet"
    )
    parser.add_argument("--out", type=Path, default=RESULTS / "bccd_leak", help="folder of the results")
    chosen = parser.parse_args(given)
    dataset = DataRoot(chosen.data).load("bccd")
    photograph = dataset.effective_groups()
    table = read_predictions(chosen.predictions)
    rows = []
    names = ["condition", "draw", "seed"]
    for _, run in table[table["target"] == "bccd"].groupby(names):
        named: dict[str, Any] = {name: run[name].iloc[0] for name in names}
        support = draw_support(dataset, draw=int(named["draw"]), protocol="paper").support
        rows.append({**named, **compared(run, {photograph[row] for row in support})})
    write_table(pd.DataFrame(rows), chosen.out / "siblings.csv")


if __name__ == "__main__":
    command(main)
