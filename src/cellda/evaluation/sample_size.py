"""Results by number of labelled cells: conditions that differ only in `n`."""

import pandas as pd

from cellda.errors import ConfigurationError
from cellda.evaluation.per_class import class_scores
from cellda.evaluation.rates import MIN_CELLS


def sized_name(condition: str, n: int) -> str:
    """The name of a condition at one size in a study of several: `our_workflow@n=30`."""
    return f"{condition}@n={n}"


def with_sizes(predictions: pd.DataFrame, condition: str) -> pd.DataFrame:
    """The rows of `condition` at several sizes, by increasing size, with the column `size`: their `n`.

    Raises:
        ConfigurationError: If there are no rows of a condition called `<condition>@n=<its n>`.
    """
    sizes = {
        str(name): int(n)
        for name, n in predictions[["condition", "n"]].drop_duplicates().itertuples(index=False)
        if name == sized_name(condition, n)
    }
    if not sizes:
        raise ConfigurationError(
            f"There are no predictions of '{condition}' at several sizes; their conditions must be called "
            f"'{sized_name(condition, 30)}' and so on, with 30 in their column 'n'."
        )
    rows = predictions[predictions["condition"].isin(list(sizes)).to_numpy(dtype=bool)]
    return rows.assign(size=rows["n"]).sort_values("size", kind="stable")


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
