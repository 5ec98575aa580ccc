"""Numbers of labelled cells: prediction tables have no column for them, so a condition's name carries it."""

import re

import pandas as pd

from cellda.errors import ConfigurationError
from cellda.evaluation.per_class import class_scores
from cellda.evaluation.rates import MIN_CELLS

_NAME = re.compile(r"(?P<condition>.+)@n=(?P<n>[1-9][0-9]*)")


def sized_name(condition: str, n: int) -> str:
    """The condition's name in a study of sample size: `our_workflow@n=30`."""
    return f"{condition}@n={n}"


def parse_size(name: str) -> tuple[str, int] | None:
    """Condition and number of labelled cells of a name made by `sized_name`; None for any other name.

    >>> parse_size("our_workflow@n=30")
    ('our_workflow', 30)
    """
    match = _NAME.fullmatch(name)
    return (match["condition"], int(match["n"])) if match else None


def with_sizes(predictions: pd.DataFrame, condition: str) -> pd.DataFrame:
    """The rows of `condition` at several sizes, by rising size, with the column `size`.

    Raises:
        ConfigurationError: If no row is of a condition called `<condition>@n=<number>`.
    """
    sizes = {
        name: parsed[1]
        for name in predictions["condition"].astype(str).unique()
        if (parsed := parse_size(name)) and parsed[0] == condition
    }
    if not sizes:
        raise ConfigurationError(
            f"There are no predictions of '{condition}' at several sizes; their conditions must be called "
            f"'{sized_name(condition, 30)}' and so on, as benchmarks/studies/sample_size.py writes them."
        )
    rows = predictions[predictions["condition"].isin(list(sizes)).to_numpy(dtype=bool)]
    return rows.assign(size=rows["condition"].astype(str).map(sizes)).sort_values("size", kind="stable")


def class_scores_by_size(predictions: pd.DataFrame, condition: str) -> pd.DataFrame:
    """Measures of every class in every run of `condition` at several sizes: those of `class_scores`, and `size`.

    A class counts in the runs where it has at least 5 query cells.

    Raises:
        ConfigurationError: As `with_sizes`.
    """
    sized = with_sizes(predictions, condition)
    measured = class_scores(sized)
    size_of = dict(zip(sized["condition"], sized["size"], strict=True))
    measured["size"] = measured["condition"].map(size_of)
    return measured[measured["n"] >= MIN_CELLS]
