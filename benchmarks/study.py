"""What every study here shares: its command line, its files, its tables."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.console import Console

from cellda.ablation import Ablation
from cellda.evaluation.compare import compare
from cellda.evaluation.predictions import write_predictions
from cellda.presets import published_frame
from cellda.reporting.tables import (
    beside_paper_table,
    comparison_table,
    condition_table,
    scores,
    summary_table,
)

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Study:
    """One study.

    Attributes:
        name: Folder of its results.
        ablation: Makes the runs for some draws.
        conditions: Order of the conditions in tables.
        baseline: Condition that the others are compared with.
    """

    name: str
    ablation: Callable[[list[int]], Ablation]
    conditions: tuple[str, ...]
    baseline: str


def main(study: Study) -> argparse.Namespace:
    """Run the study and write `predictions.parquet`, `scores.csv` and `tables.md` into its results folder.

    Returns:
        What was given on the command line.
    """
    parser = argparse.ArgumentParser(description=study.name)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder that holds one folder per dataset name"
    )
    parser.add_argument(
        "--store", type=Path, default=None, help="where runs lie (default: the user's cache folder)"
    )
    parser.add_argument(
        "--draws", type=int, nargs="+", default=[0, 1, 2], help="which draws (default: 0 1 2)"
    )
    parser.add_argument("--only-run", action="store_true", help="fill the store, write no results")
    given = parser.parse_args()
    predictions = study.ablation(given.draws).run(given.data, store=given.store)
    if not given.only_run:
        report(study, predictions, RESULTS / study.name)
    return given


def report(study: Study, predictions: pd.DataFrame, folder: Path) -> None:
    """Write a study's predictions and what is computed from them, and print its tables."""
    folder.mkdir(parents=True, exist_ok=True)
    write_predictions(predictions, folder / "predictions.parquet")
    measured = scores(predictions)
    measured.to_csv(folder / "scores.csv", index=False, float_format="%.4f")
    tables = [
        summary_table(predictions, study.conditions),
        condition_table(predictions, conditions=study.conditions),
        comparison_table(compare(measured, study.baseline)),
    ]
    published = published_frame()
    if set(published["condition"]) & set(study.conditions):
        tables.append(beside_paper_table(predictions, published, study.conditions))
    console = Console()
    for table in tables:
        console.print(table)
    (folder / "tables.md").write_text("\n".join(table.to_markdown() for table in tables), encoding="utf-8")
