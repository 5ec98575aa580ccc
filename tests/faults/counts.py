"""Counts of the long form of these tests, for `benchmarks/results/faults`."""

import csv
import os
from pathlib import Path
from typing import Any


def write(name: str, rows: list[dict[str, Any]]) -> None:
    """Write a table of counts where `make faults` wants it; the short form of a test writes none."""
    folder = os.environ.get("CELLDA_FAULTS")
    if folder is None:
        return
    file = Path(folder) / f"{name}.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
