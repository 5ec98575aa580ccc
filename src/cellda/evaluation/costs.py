"""What runs cost: labels, image passes, seconds; an extract of their records that lies beside the predictions."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cellda.errors import DataError
from cellda.evaluation.predictions import RUN

FILE = "runs.csv"

COSTS = ("labels_used", "image_passes", "seconds")
"""Columns of costs; `seconds` are those of search, adaptation and prediction."""

POOL = "pool"
"""`Recipe.pool` of a run; empty where it looked at no unlabelled image and was measured on the whole query."""

_STAGES = ("search", "adapt", "predict")

_EXTRACT = (POOL, "selector", "oracle", "labels_used", "image_passes")
_COLUMNS = (*RUN, *_EXTRACT, "seconds", "digest")


def costs_of(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a run, taken from the records of runs (`RunResult.record`); records are where costs are kept.

    Returns:
        Columns `condition, target, draw, seed, protocol, pool, selector, oracle, labels_used, image_passes, seconds, digest`;
            `seconds` are those of search, adaptation and prediction. What an earlier version's record does not say is empty.
    """
    rows = [
        {name: record.get(name) for name in (*RUN, *_EXTRACT, "digest")}
        | {"seconds": sum(record["seconds"].get(stage, 0.0) for stage in _STAGES)}
        for record in records
    ]
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def read_costs(*sources: str | Path) -> pd.DataFrame:
    """The `runs.csv` that lie beside prediction files, as one table; empty where there is none.

    Args:
        sources: What `read_predictions` takes: files, beside which it may lie, or folders, of which every one is read.

    Raises:
        DataError: If a file lacks a column, or two hold the same run.
    """
    files: dict[Path, None] = {}
    for source in map(Path, sources):
        path = source.expanduser()
        found = sorted(path.rglob(FILE)) if path.is_dir() else [path.with_name(FILE)]
        files |= dict.fromkeys(file.resolve() for file in found if file.is_file())
    tables = []
    for file in files:
        table = pd.read_csv(file)
        missing = [name for name in (*RUN, *COSTS, POOL) if name not in table.columns]
        if missing:
            raise DataError(f"'{file}' lacks columns of a table of runs.", missing)
        tables.append(table)
    runs = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(_COLUMNS))
    if runs.duplicated(list(RUN)).any():
        raise DataError("The same run is in these tables of runs twice.", list(map(str, files)))
    return runs


def with_costs(predictions: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """A prediction table with the costs and the pool of each row's run as further columns; empty where `runs` lacks it."""
    known = runs[[*RUN, *COSTS, POOL]].astype(
        dict.fromkeys(("condition", "target", "protocol", POOL), "string")
        | dict.fromkeys(("draw", "seed"), "int64")
        | dict.fromkeys(COSTS, "float64")
    )
    return predictions.merge(known, how="left", on=list(RUN), validate="many_to_one")
