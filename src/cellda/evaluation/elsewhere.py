"""The best condition elsewhere: chosen for each target on the other targets (leave one target out)."""

from collections.abc import Mapping, Sequence

import pandas as pd

from cellda.errors import ConfigurationError

BEST = "best"
"""Name of the condition that stands, on each target, for the condition that was best on all other targets."""


def best_elsewhere(
    scores: pd.DataFrame, candidates: Sequence[str], measure: str = "balanced_accuracy"
) -> dict[str, str]:
    """For each target, the candidate with the best mean over the other targets; its own scores play no part.

    Runs are averaged within a target first, so that each target counts the same. Of equal candidates, the first is chosen.

    Args:
        scores: One row per run, as returned by `cellda.reporting.tables.conditions.scores`.
        candidates: Conditions to choose from, each run on all targets.
        measure: The column to choose by; higher is better.

    Returns:
        Target -> condition.

    Raises:
        ConfigurationError: If there are fewer than two targets, or a candidate was not run on all of them.
    """
    targets = list(dict.fromkeys(scores["target"].astype(str)))
    means = scores.groupby(["target", "condition"])[measure].mean().unstack("condition")  # noqa: PD010 - one value each
    means = means.reindex(columns=list(candidates))
    if len(targets) < 2:
        raise ConfigurationError(
            "A condition is chosen for a target on the other targets, so at least two are needed; there is "
            f"{targets[0] if targets else 'none'}."
        )
    if means.isna().to_numpy().any():
        condition = str(means.columns[means.isna().any()][0])
        absent = ", ".join(map(str, means.index[means[condition].isna()]))
        raise ConfigurationError(f"'{condition}' cannot be chosen: it was not run on {absent}.")
    return {target: str(means.drop(index=target).mean().round(12).idxmax()) for target in targets}


def under_one_name(table: pd.DataFrame, choice: Mapping[str, str], name: str = BEST) -> pd.DataFrame:
    """The rows of each target's chosen condition, all called `name`.

    Args:
        table: Predictions, scores or costs: any table with the columns `condition` and `target`.
        choice: Target -> condition.
        name: The new name of the condition.
    """
    wanted = table["target"].astype(str).map(dict(choice))
    return table[(table["condition"].astype(str) == wanted).to_numpy(dtype=bool)].assign(condition=name)
