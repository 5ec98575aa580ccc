"""Files of predictions: CSV, Parquet, JSON or Excel, by the suffix; and the record next to each."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from cellda.datasets.reading.corrected import changed
from cellda.errors import DataError, nearest
from cellda.models.table_file import SUFFIXES, record_of
from cellda.runtime.place import written
from cellda.text import csv_safe, from_csv

TEXTS = ("path", "group", "predicted", "set", "flag", "reason")
"""Columns of text."""
NEEDED = ("path", "predicted", "flag")


def write_table(table: pd.DataFrame, file: Path) -> None:
    """Write a table of predictions; the file appears whole or not at all.

    Text that a spreadsheet would take for a formula is marked by an apostrophe in CSV and Excel files.
    """
    suffix = file.suffix.lower()
    safe = {name: table[name].map(csv_safe, na_action="ignore") for name in TEXTS if name in table.columns}
    with written(file) as part:
        if suffix == ".csv":
            table.assign(**safe).to_csv(part, index=False, float_format="%.4f")
        elif suffix == ".xlsx":
            table.assign(**safe).to_excel(part, index=False, sheet_name="predictions", freeze_panes=(1, 1))
        elif suffix == ".json":
            table.to_json(part, orient="records", indent=1, force_ascii=False)
        else:
            table.to_parquet(part, index=False)


def read_table(file: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """A table of predictions that `cellda predict` wrote, and its record.

    Returns:
        The table, with empty text as `""` and no class as None; and what made it, empty if the record is missing.

    Raises:
        DataError: If the file cannot be read, or is no such table.
    """
    suffix = file.suffix.lower()
    text: dict[int | str, Callable[[Any], Any]] = dict.fromkeys(TEXTS, from_csv)
    try:
        if suffix == ".csv":
            table = pd.read_csv(file, converters=text, sep=None, engine="python")
        elif suffix == ".xlsx":
            table = pd.read_excel(file, converters=text)
        elif suffix == ".json":
            table = pd.read_json(file, orient="records", dtype=False)
        elif suffix == ".parquet":
            table = pd.read_parquet(file)
        else:
            raise DataError(f"{file} is no table of predictions, which end in {', '.join(SUFFIXES)}.")
        known = record_of(file)
        record = json.loads(known.read_text(encoding="utf-8")) if known.is_file() else {}
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{file} cannot be read as a table of predictions: {error}") from error
    missing = [name for name in NEEDED if name not in table.columns]
    if missing:
        columns = list(map(str, table.columns))
        raise DataError(
            f"{file} is no table of predictions.",
            [f"column '{name}' is missing; {nearest(name, columns)}" for name in missing],
        )
    if sum(str(name).startswith("p_") for name in table.columns) < 2:
        raise DataError(
            f"{file} is no table of predictions: it has no probabilities (columns p_CLASS), without which nobody can tell "
            "what a person has changed."
        )
    for name in ("confidence", *(name for name in table.columns if str(name).startswith("p_"))):
        if name in table.columns:
            table[name] = _numbers(table[name], str(name), file)
    if "confidence" not in table.columns:
        probabilities = [name for name in table.columns if str(name).startswith("p_")]
        table["confidence"] = table[probabilities].max(axis=1)
    for name in set(TEXTS) & set(table.columns):
        table[name] = ["" if pd.isna(text) else str(text) for text in table[name]]
    table["predicted"] = pd.Series([text or None for text in table["predicted"]], table.index, dtype=object)
    return table, record if isinstance(record, dict) else {}


def _numbers(column: "pd.Series[Any]", name: str, file: Path) -> "pd.Series[float]":
    """A column of numbers; spreadsheets of some languages write decimal commas.

    Raises:
        DataError: If an entry is no number.
    """
    entries = ["" if pd.isna(one) else str(one).strip() for one in column]
    try:
        values = [float(one.replace(",", ".")) if one else math.nan for one in entries]
    except ValueError as error:
        raise DataError(f"{file}: the column '{name}' holds an entry that is no number ({error}).") from None
    return pd.Series(values, index=column.index, dtype="float64")


def corrected(table: pd.DataFrame) -> "pd.Series[bool]":
    """Which classes of a table of predictions a person has changed: those that are not the most probable one."""
    names = [str(name)[2:] for name in table.columns if str(name).startswith("p_")]
    values = table[[f"p_{name}" for name in names]].to_numpy(dtype=float)
    found = [
        isinstance(given, str) and changed(given, dict(zip(names, row, strict=True)))
        for given, row in zip(table["predicted"], values, strict=True)
    ]
    return pd.Series(found, index=table.index, dtype=bool)
