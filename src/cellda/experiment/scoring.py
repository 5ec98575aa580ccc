"""Joins the probabilities of a model with the labels of the cells: the only place where query labels meet predictions."""

from collections.abc import Sequence

import pandas as pd
from jaxtyping import Float
from torch import Tensor

from cellda.datasets.base import CellDataset
from cellda.datasets.reading.cell_table import cell_names
from cellda.evaluation.condition import Condition
from cellda.evaluation.predictions import probability_columns
from cellda.text import plain


def prediction_table(
    dataset: CellDataset,
    rows: Sequence[int],
    probabilities: Float[Tensor, "n k"],
    *,
    condition: Condition,
    draw: int,
    seed: int,
    protocol: str,
    groups: Sequence[str],
) -> pd.DataFrame:
    """A prediction table (columns in `cellda.evaluation.predictions`), one row per cell.

    Args:
        dataset: The dataset whose cells were predicted.
        rows: `(N,)` rows of its table.
        probabilities: `(N, classes)` class probabilities of these cells, in class order.
        condition: The condition of the run.
        draw: Number of the draw.
        seed: Seed of the source model.
        protocol: `"clean"` or `"paper"`.
        groups: Group of every row of the dataset's table.
    """
    classes = dataset.taxonomy.classes
    table = pd.DataFrame(
        {
            **condition.columns(),
            "target": plain(dataset.full_name),
            "draw": draw,
            "seed": seed,
            "protocol": protocol,
            "path": cell_names(dataset.table, rows),
            "group": [plain(groups[row]) for row in rows],
            "label": dataset.table["label"].iloc[list(rows)].to_numpy(),
            "predicted": [classes[index] for index in probabilities.argmax(1).tolist()],
        }
    )
    return table.assign(**dict(zip(probability_columns(classes), probabilities.numpy().T, strict=True)))
