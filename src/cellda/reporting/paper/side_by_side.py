"""Our numbers next to published ones, as one table of data."""

from collections.abc import Sequence

import pandas as pd

from cellda.errors import ConfigurationError
from cellda.evaluation.compare import across_draws
from cellda.evaluation.predictions import single
from cellda.reporting.tables.conditions import in_order, scores

PUBLISHED = {"accuracy": "accuracy", "precision": "macro_precision", "recall": "macro_recall"}
"""Columns of published numbers, and the measure that each is compared with."""


def side_by_side(
    predictions: pd.DataFrame, published: pd.DataFrame, conditions: Sequence[str] | None = None
) -> pd.DataFrame:
    """Our numbers next to published ones, for every condition and target that both have.

    Args:
        predictions: A prediction table of one protocol.
        published: Columns `condition, target` and some of `accuracy, precision, recall` (macro averages).
        conditions: The conditions to show, in this order; None shows all, in order of appearance.

    Returns:
        Columns `condition, target, measure, ours, sd, runs, paper, difference`; `difference` is ours minus
        paper's.

    Raises:
        ConfigurationError: If a condition is unknown, protocols are mixed, or nothing is in both.
    """
    predictions = in_order(predictions, conditions)
    single(predictions, "protocol")
    ours = scores(predictions, resamples=0)
    parts = []
    for column, name in PUBLISHED.items():
        if column in published.columns:
            paper = published[["condition", "target", column]].rename(columns={column: "paper"})
            mean = (
                across_draws(ours, name).rename(columns={"mean": "ours"}).drop(columns=["values", "protocol"])
            )
            parts.append(mean.merge(paper, on=["condition", "target"]).assign(measure=name))
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    if table.empty:
        raise ConfigurationError(
            "No condition and target are in both the predictions and the published numbers; the latter need "
            "columns condition, target and accuracy, precision or recall, with cellda's names."
        )
    table["difference"] = table["ours"] - table["paper"]
    return table[["condition", "target", "measure", "ours", "sd", "runs", "paper", "difference"]]
