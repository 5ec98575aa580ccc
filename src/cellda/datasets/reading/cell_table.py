"""The typed table of cells that every dataset has."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from cellda.datasets.reading.decode import Box
from cellda.datasets.reading.naming import Naming
from cellda.errors import DataError
from cellda.text import agreeing, counted, plain

COLUMNS = ("path", "label", "raw_label", "group", "box")
"""Columns of a dataset's table, in order."""


def cell_table(
    paths: Sequence[str],
    raw_labels: Sequence[str],
    groups: Sequence[str | None] | None = None,
    boxes: Sequence[Box | None] | None = None,
) -> pd.DataFrame:
    """A table with `COLUMNS`; the dataset's taxonomy gives its labels afterwards, by the published names (`folded`).

    Args:
        paths: Path of each cell's image, relative to the dataset's folder, "/" as separator.
        raw_labels: Published name of each cell's class.
        groups: Photograph, smear or patient of each cell, or None.
        boxes: Crop box of each cell, or None.
    """
    nothing = [None] * len(paths)
    return _frame(
        {
            "path": paths,
            "label": nothing,
            "raw_label": raw_labels,
            "group": nothing if groups is None else groups,
            "box": nothing if boxes is None else boxes,
        }
    )


def folded(table: pd.DataFrame, naming: Naming) -> pd.DataFrame:
    """A table with the labels that its published names have in a taxonomy.

    Raises:
        DataError: If the taxonomy does not know published names; the message lists them all.
    """
    problems = naming.unknown(table["raw_label"])
    if problems:
        raise DataError(
            f"{counted(len(problems), 'class name(s) (is|are)')} unknown; rename {agreeing(len(problems), '(it|them)')} "
            f"to a known cell type, or say in a mapping what {agreeing(len(problems), '(it is|they are)')} (map=, --map).",
            list(problems.values()),
            problems,
        )
    classes = {raw_label: naming.fold(raw_label) for raw_label in set(table["raw_label"])}
    labels = [classes[raw_label] for raw_label in table["raw_label"]]
    return table.assign(label=pd.Series(labels, index=table.index, dtype=object))


def cell_names(table: pd.DataFrame, rows: Sequence[int]) -> list[str]:
    """A name for each cell of a dataset's table: its path, as in prediction tables (`cellda.text.plain`).

    The box distinguishes cells cropped from one image, as a media fragment: `field.png#xywh=10,20,64,64`.
    """
    shared = table["path"].duplicated(keep=False)
    cells = zip(table["path"], table["box"], shared, strict=True)
    names = [
        f"{plain(path)}#xywh={','.join(map(str, box))}" if several and box is not None else plain(path)
        for path, box, several in cells
    ]
    return [names[row] for row in rows]


def checked(table: pd.DataFrame, owner: str) -> pd.DataFrame:
    """The table in canonical form: `COLUMNS`, nulls as None, boxes as tuples of ints.

    Args:
        table: What a dataset's `_index` returned.
        owner: The name of the dataset in messages.

    Raises:
        DataError: If columns are missing or superfluous, or rows do not match the columns' types; the message
            lists all of them.
    """
    if set(table.columns) != set(COLUMNS):
        raise DataError(
            f"The table of {owner} has the columns {', '.join(map(str, table.columns))}; "
            f"it needs exactly {', '.join(COLUMNS)}."
        )
    columns: dict[str, list[Any]] = {name: _objects(table[name]) for name in COLUMNS}
    problems: list[str] = []
    for name in COLUMNS[:4]:
        optional = name in ("label", "group")
        if (
            set(map(type, columns[name])) <= {str, type(None) if optional else str}
            and "" not in columns[name]
        ):
            continue  # the usual case, without a look at each of 100,000 rows
        wrong = [
            row
            for row, value in enumerate(columns[name])
            if not (isinstance(value, str) and value) and not (optional and value is None)
        ]
        problems += [f"row {row}: {name} is {columns[name][row]!r}, not a text" for row in wrong]
    problems += [
        f"row {row}: label is '{label}'; leave it empty, as the taxonomy decides it by raw_label"
        for row, label in enumerate(columns["label"])
        if isinstance(label, str) and label
    ]
    for row, box in enumerate(columns["box"]):
        if box is None:
            continue
        if len(box) != 4 or not all(float(side).is_integer() for side in box) or min(box[2:]) < 1:
            problems.append(f"row {row}: box {box} is not (x, y, width, height), whole pixels, sides above 0")
        else:
            columns["box"][row] = tuple(int(side) for side in box)
    problems += _repeated(columns["path"], columns["box"])
    if problems:
        raise DataError(f"The table of {owner} has {counted(len(problems), 'problem(s)')}.", problems)
    return _frame(columns)


def _objects(column: "pd.Series[Any]") -> list[Any]:
    """The values of a column, nulls as None."""
    values = column.astype(object).to_numpy(copy=True)
    values[column.isna().to_numpy()] = None
    return list(values.tolist())


def _frame(columns: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    # Objects, because pandas would turn None into NaN in columns of strings.
    return pd.DataFrame({name: pd.Series(list(values), dtype=object) for name, values in columns.items()})


def _repeated(paths: Sequence[str], boxes: Sequence[Box | None]) -> list[str]:
    if len(set(paths)) == len(paths):
        return []
    first: dict[tuple[str, str], int] = {}
    problems = []
    for row, cell in enumerate(zip(paths, map(str, boxes), strict=True)):
        if first.setdefault(cell, row) != row:
            problems.append(f"row {row}: repeats the cell of row {first[cell]}, {cell[0]}")
    return problems
