"""Numbers of labelled cells: prediction tables have no column for them, so a condition's name carries it."""

import re

import pandas as pd

from cellda.errors import ConfigurationError

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
            f"'{sized_name(condition, 30)}' and so on, as benchmarks/sample_size.py writes them."
        )
    rows = predictions[predictions["condition"].isin(list(sizes)).to_numpy(dtype=bool)]
    return rows.assign(size=rows["condition"].astype(str).map(sizes)).sort_values("size", kind="stable")
