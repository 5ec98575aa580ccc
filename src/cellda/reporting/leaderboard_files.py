"""The files of a leaderboard, and the conditions that are chosen on other targets."""

from pathlib import Path
from typing import Any

import pandas as pd

from cellda.evaluation.costs import FILE, with_costs
from cellda.evaluation.elsewhere import BEST, best_elsewhere, under_one_name
from cellda.evaluation.predictions import write_predictions
from cellda.reporting.figures import save_figure
from cellda.reporting.rank_figures import critical_difference_diagram
from cellda.reporting.tables.conditions import condition_table, scores
from cellda.reporting.tables.leaderboard import (
    NO_LABELS,
    label_free,
    leaderboard_table,
    leaderboard_without_labels,
    ranked,
    ranking,
    without_labels,
)
from cellda.runtime.place import written
from cellda.text import csv_safe

CHOICES = "best.csv"


def with_best(
    predictions: pd.DataFrame, runs: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Add the conditions `best` and `best_without_labels` to predictions and runs, and return what was chosen for them.

    `best` is chosen among all that compete, `best_without_labels` among those that used no target label, each only if there
    are at least two targets and two candidates.

    Args:
        predictions: A prediction table of one protocol.
        runs: The costs of its runs (`cellda.experiment.result.costs_of`).

    Returns:
        Predictions; runs; the choices, with the columns `condition, target, chosen`.
    """
    competing, unlabelled = ranked(predictions), label_free(predictions)
    free = [name for name in competing if name in unlabelled]
    families = {BEST: competing} | ({BEST + NO_LABELS: free} if len(free) < len(competing) else {})
    measured = scores(predictions, resamples=0)
    tables, costs, choices = [predictions], [runs], []
    for name, candidates in families.items():
        if predictions["target"].nunique() < 2 or len(candidates) < 2:
            continue
        choice = best_elsewhere(measured, candidates)
        tables.append(under_one_name(predictions, choice, name))
        costs.append(under_one_name(runs, choice, name))
        choices += [(name, target, chosen) for target, chosen in choice.items()]
    table = pd.DataFrame(choices, columns=["condition", "target", "chosen"])
    return pd.concat(tables, ignore_index=True), pd.concat(costs, ignore_index=True), table


def write_leaderboard(
    predictions: pd.DataFrame, runs: pd.DataFrame, choices: pd.DataFrame, folder: Path
) -> list[Path]:
    """Write `predictions.parquet`, `runs.csv`, `best.csv`, `leaderboard.md` and, with two that compete, the diagram.

    Args:
        predictions: As `with_best` returns them.
        runs: The same.
        choices: The same.
        folder: Created if it does not exist.

    Returns:
        The files.
    """
    files = [write_predictions(predictions, folder / "predictions.parquet")]
    for name, table in ((FILE, runs), (CHOICES, choices)):
        texts = table.select_dtypes(["object", "string"]).columns
        safe = table.assign(**{text: table[text].map(_safe, na_action="ignore") for text in texts})
        with written(folder / name) as part:
            safe.to_csv(part, index=False, float_format="%.4g")
        files.append(folder / name)
    known = with_costs(predictions, runs)
    tables = [leaderboard_table(known)]
    free, competing = ranked(without_labels(known)), ranked(known)
    if 0 < len(free) < len(competing):
        tables.append(leaderboard_without_labels(known))
    tables.append(condition_table(predictions, "balanced_accuracy"))
    text = "\n".join(table.to_markdown() for table in tables)
    with written(folder / "leaderboard.md") as part:
        part.write_text(text, encoding="utf-8")
    files.append(folder / "leaderboard.md")
    found = ranking(known)
    if len(found.mean_ranks) > 1:
        files.append(save_figure(critical_difference_diagram(found), folder / "critical_difference.png"))
    return files


def _safe(value: Any) -> Any:
    return csv_safe(value) if isinstance(value, str) else value
