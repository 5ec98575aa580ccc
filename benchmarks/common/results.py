"""Where results are stored, and how a table is written."""

from pathlib import Path

import pandas as pd

RESULTS = Path(__file__).parents[1] / "results"
"""One folder per study, question or figure."""


def write_table(table: pd.DataFrame, file: Path) -> None:
    """Print a table and write it as csv."""
    file.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(file, index=False, float_format="%.4f")
    print(table.round(3).to_string(index=False))
