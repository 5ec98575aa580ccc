"""Prediction tables: one row per image and run, from which every number in cellda is computed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cellda.errors import ConfigurationError, DataError, nearest
from cellda.evaluation.condition import ALL_CLASSES, FACTS
from cellda.runtime.given import path_of
from cellda.runtime.place import written
from cellda.text import agreeing, counted

RUN = ("condition", "target", "draw", "seed", "protocol")
"""Columns that name a run; `seed` is the source model's."""

KEY = (*RUN, "path")
"""Columns that name a row."""

COLUMNS = ("condition", *FACTS, *RUN[1:], "path", "group", "label", "predicted")
"""The columns of a prediction table, in order; `group` may be null, then the image is its own group. The class probabilities
follow, float32, in class order: `p_<class>`, which is where a table says what its classes are."""

_OF_SUPPORT = CROSS_VALIDATION, EVIDENCE = "cross_validation.parquet", "evidence.parquet"
"""Predictions of the support by cross-validation: in the folder of a run, and of a model."""

_NUMBERS = ("n", "labels_used", "draw", "seed")
_FLAGS = ("oracle", "bound")
_TEXT = tuple(name for name in COLUMNS if name not in (*_NUMBERS, *_FLAGS))
_PROTOCOLS = ("clean", "paper")
_SHOWN = 20


def probability_columns(classes: Sequence[str]) -> tuple[str, ...]:
    """The columns that hold the probabilities of some classes.

    >>> probability_columns(["basophil", "eosinophil"])
    ('p_basophil', 'p_eosinophil')
    """
    return tuple(f"p_{name}" for name in classes)


def classes_of(predictions: pd.DataFrame) -> tuple[str, ...]:
    """The classes of a prediction table in class order, from its columns."""
    return tuple(str(name)[2:] for name in predictions.columns if str(name).startswith("p_"))


def validate(frame: pd.DataFrame, where: str = "the prediction table") -> pd.DataFrame:
    """A prediction table with the columns of `COLUMNS` and the probabilities, in their order and types.

    Args:
        frame: A table with at least these columns; others are dropped. With all facts but `present`, nothing was known.
        where: The name of the table in messages.

    Returns:
        A new table: text as `string`, `n`, `labels_used`, `draw` and `seed` as int64, `oracle` and `bound` as bool,
            probabilities as float32, rows numbered from 0.

    Raises:
        DataError: If columns are missing or rows break the schema: an unknown class or protocol, a null, a negative
            number, probabilities that do not sum to 1, a duplicate row, or a run whose facts differ between rows.
    """
    if {*FACTS} - {*frame.columns} == {
        "present"
    }:  # tables of earlier versions, in which nothing could be stated
        frame = frame.assign(present=ALL_CLASSES)
    classes = classes_of(frame)
    columns = (*COLUMNS, *probability_columns(classes))
    missing = [name for name in columns if name not in frame.columns]
    if not missing:
        named = set(frame["label"].dropna().astype(str)) & set(frame["predicted"].dropna().astype(str))
        missing = list(probability_columns(sorted(named - set(classes))))
    if len(classes) < 2 and not missing:
        missing = ["p_<class>"]
    if missing:
        raise DataError(f"{where} lacks columns of a prediction table.", _absent(missing, frame))
    table = frame.loc[:, list(columns)].reset_index(drop=True)
    unclear = [name for name in _FLAGS if not pd.api.types.is_bool_dtype(table[name])]
    if unclear:
        raise DataError(
            f"{where} has columns of the wrong type: {' and '.join(unclear)} must hold True or False."
        )
    try:
        table = table.astype(
            dict.fromkeys(_TEXT, "string")
            | dict.fromkeys(_NUMBERS, "int64")
            | dict.fromkeys(_FLAGS, "bool")
            | dict.fromkeys(probability_columns(classes), "float32")
        )
    except (TypeError, ValueError) as error:
        raise DataError(f"{where} has columns of the wrong type: {error}.") from None

    problems = _row_problems(table)
    if problems:
        hidden = len(problems) - _SHOWN
        more = [f"and {hidden} more"] if hidden > 0 else []
        raise DataError(f"{where} has rows that are not predictions.", problems[:_SHOWN] + more)
    return table


def _absent(missing: Sequence[str], frame: pd.DataFrame) -> list[str]:
    """One line per missing column; the facts of the condition share a line, because they are added together."""
    facts = [name for name in missing if name in FACTS]
    problems = [
        f"column '{name}' is missing; {nearest(name, map(str, frame.columns))}"
        for name in missing
        if name not in facts
    ]
    if facts:
        problems.append(
            f"the facts of the condition are columns, and {', '.join(facts)} {agreeing(len(facts), '(is|are)')} missing: "
            "add them with `table.assign(**Condition(...).columns())` (cellda.evaluation.condition; docs/reporting.md, "
            '"Your own predictions"), or make the runs again'
        )
    return problems


def _row_problems(table: pd.DataFrame) -> list[str]:
    found: list[tuple[int, str]] = []

    def report(bad: npt.NDArray[np.bool_], text: str, column: str | None = None) -> None:
        for row in np.flatnonzero(bad):
            value = "" if column is None else f" (got {table[column].iloc[row]!r})"
            found.append((int(row), f"row {row}, '{table['path'].iloc[row]}': {text}{value}"))

    known = {
        "protocol": _PROTOCOLS,
        "label": classes_of(table),
        "predicted": classes_of(table),
    }
    for column in (c for c in _TEXT if c not in ("group", *known)):
        report(table[column].isna().to_numpy(), f"'{column}' is null")
    for column, allowed in known.items():
        report(
            ~table[column].isin(allowed).to_numpy(), f"'{column}' is not one of {', '.join(allowed)}", column
        )
    for column in _NUMBERS:
        report(table[column].to_numpy() < 0, f"'{column}' is negative", column)
    p = probabilities(table)
    proper = np.isfinite(p).all(1) & (p >= 0).all(1) & (np.abs(p.sum(1) - 1) < 1e-3)
    report(~proper, "the class probabilities are not in [0, 1] with sum 1")
    report(table.duplicated(list(KEY)).to_numpy(), f"the same {', '.join(KEY)} as an earlier row")
    facts = table.loc[:, [*RUN, *FACTS]].drop_duplicates()
    report(
        table.index.isin(facts.index[facts.duplicated(list(RUN))]),
        f"another {', '.join(FACTS)} than earlier rows of its run",
    )
    return [text for _, text in sorted(found)]


def write_predictions(frame: pd.DataFrame, file: str | Path) -> Path:
    """Check a prediction table and write it as parquet; the file appears whole or not at all.

    Raises:
        DataError: If the table is not a prediction table (see `validate`).
    """
    target = path_of(file)
    table = validate(frame, f"the prediction table for '{target}'")
    with written(target) as part:
        # Floats compress only when bytes of equal significance are stored together, which excludes dictionaries for
        # those columns.
        table.to_parquet(
            part,
            index=False,
            compression="zstd",
            use_dictionary=[*_TEXT, *_NUMBERS],
            use_byte_stream_split=list(probability_columns(classes_of(table))),
            write_page_checksum=True,
        )
    return target


def read_predictions(*sources: str | Path) -> pd.DataFrame:
    """Read prediction tables into one.

    Args:
        sources: Parquet files, or folders, in which every `*.parquet` at any depth is read, except what a run or model
            keeps of its support: that is no result.

    Raises:
        DataError: If there is nothing to read, a file is not a prediction table, or two hold the same row.
    """
    files: list[Path] = []
    for source in map(Path, sources):
        path = path_of(source)
        below = (file for file in path.rglob("*.parquet") if file.name not in _OF_SUPPORT)
        files += sorted(below) if path.is_dir() else [path]
    absent = [f"'{file}' does not exist" for file in files if not file.is_file()]
    if absent or not files:
        looked = ", ".join(f"'{source}'" for source in sources) or "no file or folder"
        raise DataError(f"No predictions to read: looked for parquet files at {looked}.", absent)
    tables = []
    for file in files:
        try:
            # What pandas adds about types is not needed, and not trusted.
            raw = pq.read_table(file, page_checksum_verification=True).to_pandas(ignore_metadata=True)
        except (OSError, ValueError, MemoryError, pa.ArrowException) as error:
            raise DataError(f"'{file}' cannot be read as parquet: {error}.") from None
        tables.append(validate(raw, f"'{file}'"))
    _check_one_taxonomy(tables, files)
    table = pd.concat(tables, ignore_index=True)
    twice = table.duplicated(list(KEY), keep=False).to_numpy()
    if twice.any():
        origin = np.repeat([str(file) for file in files], [len(t) for t in tables])
        clashes = (
            table.loc[twice, list(RUN)]
            .assign(file=origin[twice])
            .value_counts(sort=False)
            .reset_index(name="rows")
        )
        problems = [
            f"{counted(int(str(row.rows)), 'row(s)')} of condition '{row.condition}', target '{row.target}', draw {row.draw}, "
            f"seed {row.seed}, protocol '{row.protocol}' in '{row.file}'"
            for row in clashes.itertuples()
        ]
        known = table[twice].groupby(list(KEY))["present"].nunique().max()
        said = "Several files hold the same predictions; read only one of them."
        if known > 1:
            said += " They differ in what was known of the classes (present): give the conditions of one of them other names."
        raise DataError(said, problems)
    return table


def _check_one_taxonomy(tables: Sequence[pd.DataFrame], files: Sequence[Path]) -> None:
    """Refuse tables of different classes, which no number can be computed from.

    Raises:
        DataError: If there are any; the message says which file has which classes.
    """
    kinds = {classes_of(table): file for table, file in reversed(list(zip(tables, files, strict=True)))}
    if len(kinds) > 1:
        raise DataError(
            "These predictions are of different classes, and are never mixed in one table; read those of one taxonomy.",
            [f"'{file}': {', '.join(classes)}" for classes, file in kinds.items()],
        )


def probabilities(predictions: pd.DataFrame) -> npt.NDArray[np.float32]:
    """Class probabilities `(N, classes)` in class order."""
    return predictions.loc[:, list(probability_columns(classes_of(predictions)))].to_numpy(dtype=np.float32)


def class_indices(predictions: pd.DataFrame, column: str = "label") -> npt.NDArray[np.int64]:
    """The classes in a column, `label` or `predicted`, as indices `(N,)` in class order.

    Raises:
        DataError: If a name is not a class.
    """
    names, classes = predictions[column], classes_of(predictions)
    indices = pd.Index(classes).get_indexer(pd.Index(names))
    unknown = sorted(set(names[indices < 0].astype(str)))
    if unknown:
        raise DataError(
            "Predictions hold names that are not among their classes.",
            [f"'{name}' in column '{column}'; {nearest(name, classes)}" for name in unknown],
        )
    return indices.astype(np.int64)


def effective_groups(predictions: pd.DataFrame) -> npt.NDArray[np.object_]:
    """Group of every row `(N,)`; an image without one is its own group. Targets never share a group."""
    group = predictions["group"].fillna(predictions["path"])
    return (predictions["target"] + "\n" + group).to_numpy(dtype=object)


def without_class(predictions: pd.DataFrame, target: str, label: str) -> pd.DataFrame:
    """The rows of `target` whose true class is not `label`, as the target `"<target> without <label>"`.

    Predicting `label` still counts as wrong: it is not among the remaining classes.

    Raises:
        ConfigurationError: If there are no predictions for `target`.
    """
    rows = predictions[(predictions["target"] == target).to_numpy(dtype=bool)]
    if rows.empty:
        known = sorted(set(predictions["target"].astype(str)))
        raise ConfigurationError(
            f"There are no predictions for the target '{target}'; {nearest(target, known)}"
        )
    kept = rows[(rows["label"] != label).to_numpy(dtype=bool)]
    return kept.assign(target=f"{target} without {label}")


def single(predictions: pd.DataFrame, column: str) -> str:
    """The one value that `column` has in all rows.

    Raises:
        ConfigurationError: If there are several, which must not be mixed in one number.
    """
    values = sorted(set(predictions[column].astype(str)))
    if len(values) != 1:
        raise ConfigurationError(
            f"These predictions hold {len(values)} values of '{column}' ({', '.join(values) or 'none'}), "
            "which are never mixed in one table; select one first."
        )
    return values[0]
