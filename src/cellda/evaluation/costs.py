"""The costs of runs: image passes and seconds; an extract of their records (`runs.csv`) next to the predictions."""

from pathlib import Path

import pandas as pd

from cellda.errors import DataError
from cellda.evaluation.predictions import RUN
from cellda.runtime.given import path_of
from cellda.text import from_csv

FILE = "runs.csv"

COSTS = ("image_passes", "seconds")
"""Columns of costs; `seconds` are those of search, adaptation and prediction. Labels are a column of the predictions."""

POOL = "pool"
"""`Recipe.pool` of a run; empty where it used no unlabelled image and was measured on the whole query."""


def read_costs(*sources: str | Path) -> pd.DataFrame:
    """Read the `runs.csv` files next to prediction files into one table; empty if there are none.

    Args:
        sources: As for `read_predictions`: files, which may have a `runs.csv` next to them, or folders, in which all are read.

    Raises:
        DataError: If a file lacks a column, or two hold the same run.
    """
    files: dict[Path, None] = {}
    for source in map(Path, sources):
        path = path_of(source)
        found = sorted(path.rglob(FILE)) if path.is_dir() else [path.with_name(FILE)]
        files |= dict.fromkeys(file.resolve() for file in found if file.is_file())
    tables = []
    for file in files:
        names = dict.fromkeys(("condition", "target"), from_csv)
        table = pd.read_csv(file, converters=names)
        missing = [name for name in (*RUN, *COSTS, POOL) if name not in table.columns]
        if missing:
            raise DataError(f"'{file}' lacks columns of a table of runs.", missing)
        tables.append(table)
    runs = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=[*RUN, *COSTS, POOL])
    if runs.duplicated(list(RUN)).any():
        raise DataError("These tables of runs contain the same run twice.", list(map(str, files)))
    return runs


def with_costs(predictions: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """A prediction table with the costs and the pool of each row's run as added columns; empty if `runs` lacks the run."""
    known = runs[[*RUN, *COSTS, POOL]].astype(
        dict.fromkeys(("condition", "target", "protocol", POOL), "string")
        | dict.fromkeys(("draw", "seed"), "int64")
        | dict.fromkeys(COSTS, "float64")
    )
    return predictions.merge(known, how="left", on=list(RUN), validate="many_to_one")
