"""Files of predictions: CSV, Parquet, JSON or Excel, by the suffix; and the record next to each."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cellda.datasets.reading.corrected import LABEL, said_by_a_person
from cellda.datasets.reading.sheet import read_sheet
from cellda.errors import DataError, nearest
from cellda.models.table_file import SUFFIXES, record_of
from cellda.runtime.place import written
from cellda.text import csv_safe, from_csv

TEXTS = ("path", "group", "predicted", "set", "flag", "reason")
"""Columns of text."""
NEEDED = ("path", "predicted", "flag")
NUMBERS = ("x", "y", "w", "h")
LEFT_OUT = ("other", "not a cell")
"""What people write of an image that has no class."""


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
    """A table of predictions that `cellda predict` wrote, with what people have changed in it, and its record.

    Returns:
        The table: empty text as `""`; `confidence`, always the largest probability; `predicted`, the class that a person has
            given, or else the model's, None for no class; `certain`, whether it is a person's. And what made the table, empty
            if the record is missing.

    Raises:
        DataError: If the file cannot be read, is no such table, or names unknown classes.
    """
    header, rows = _listed(file)
    known = {name.lower() for name in (*TEXTS, *NUMBERS, LABEL)}
    header = [name.lower() if name.lower() in known else name for name in header]
    missing = [name for name in NEEDED if name not in header]
    if missing:
        raise DataError(
            f"{file} is no table of predictions.",
            [f"column '{name}' is missing; {nearest(name, header)}" for name in missing],
        )
    if sum(name.startswith("p_") for name in header) < 2:
        raise DataError(
            f"{file} is no table of predictions: it has no probabilities (columns p_CLASS), without which nobody can tell "
            "what a person has changed."
        )
    if bad := [f"{where}: {entries}" for where, entries in rows if isinstance(entries, str)]:
        raise DataError(f"{file} cannot be read as a table of predictions.", bad)
    table = pd.DataFrame([entries for _, entries in rows], columns=header, dtype=object)
    for name in header:
        if name in NUMBERS or name.startswith("p_"):
            table[name] = _numbers(table[name], name, file)
        else:
            table[name] = table[name].map(from_csv)
    probabilities = [name for name in header if name.startswith("p_")]
    table["confidence"] = table[probabilities].max(axis=1)
    return _with_people(table, [where for where, _ in rows], file), _record(file)


def _listed(file: Path) -> tuple[list[str], list[tuple[str, list[str] | str]]]:
    """Names of the columns, and the place and entries of each row."""
    if file.suffix.lower() not in SUFFIXES:
        raise DataError(f"{file} is no table of predictions, which end in {', '.join(SUFFIXES)}.")
    if file.suffix.lower() != ".json":
        sheet = read_sheet(file, (*NEEDED, "confidence"))
        return sheet.header, list(sheet.rows)
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        header = list(found[0]) if found else []
        texts = [["" if one[name] is None else str(one[name]) for name in header] for one in found]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file} cannot be read as a table of predictions: {error}") from error
    return header, [(f"row {number}", entries) for number, entries in enumerate(texts, start=1)]


def _record(file: Path) -> dict[str, Any]:
    known = record_of(file)
    try:
        record = json.loads(known.read_text(encoding="utf-8")) if known.is_file() else {}
    except (OSError, ValueError) as error:
        raise DataError(f"{known}, the record of {file}, cannot be read: {error}") from error
    return record if isinstance(record, dict) else {}


def _with_people(table: pd.DataFrame, places: Sequence[str], file: Path) -> pd.DataFrame:
    """The table with the classes that people have given.

    Raises:
        DataError: If they name unknown classes.
    """
    classes = {name[2:].lower(): name[2:] for name in table.columns if name.startswith("p_")}
    values = table[[f"p_{name}" for name in classes.values()]].to_numpy(dtype=float)
    labels = table[LABEL] if LABEL in table.columns else [""] * len(table)
    found: list[str | None] = []
    certain, unknown = [], []
    for where, label, predicted, flag, row in zip(
        places, labels, table["predicted"], table["flag"], values, strict=True
    ):
        told = {} if math.isnan(row[0]) else dict(zip(classes, row.tolist(), strict=True))
        given = said_by_a_person(label.lower(), predicted.lower(), flag.split("+"), told)
        name = given or predicted.lower()
        if name and name not in classes and name not in LEFT_OUT:
            unknown.append(f"{where}: '{label or predicted}'")
        found.append(classes.get(name))
        certain.append(bool(given))
    if unknown:
        raise DataError(
            f"{file} names classes that the model does not know. Known are {', '.join(classes.values())}; and other, for what "
            "is none of them and is not counted.",
            unknown,
        )
    return table.assign(predicted=pd.Series(found, table.index, dtype=object), certain=certain)


def _numbers(column: "pd.Series[Any]", name: str, file: Path) -> "pd.Series[float]":
    """A column of numbers; spreadsheets of some languages write decimal commas.

    Raises:
        DataError: If an entry is no number.
    """
    try:
        values = [float(one.replace(",", ".")) if one else math.nan for one in column]
    except ValueError as error:
        raise DataError(f"{file}: the column '{name}' holds an entry that is no number ({error}).") from None
    return pd.Series(values, index=column.index, dtype="float64")
