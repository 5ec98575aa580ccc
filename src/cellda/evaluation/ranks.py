"""Ranks of conditions over blocks: Friedman's test and Nemenyi's critical difference (Demšar 2006)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import friedmanchisquare, studentized_range

from cellda.errors import ConfigurationError
from cellda.evaluation.predictions import single

BLOCK = ("target", "draw")
"""Columns that name a block: conditions are ranked on the same support and query; source seeds are averaged over."""

ALPHA = 0.05


@dataclass(frozen=True)
class Ranking:
    """Conditions ranked on every block.

    Attributes:
        mean_ranks: Mean rank of each condition over blocks, best first; 1 is the best, ties share their mean rank.
        wins: Number of blocks in which no other condition scored higher.
        blocks: Number of blocks.
        statistic: Friedman's chi-square; NaN with fewer than three conditions or two blocks.
        p_value: Of Friedman's test that all conditions rank equally.
        critical_difference: The smallest difference of mean ranks that is significant at 0.05 (Nemenyi); NaN with one
            condition.
    """

    mean_ranks: "pd.Series[float]"
    wins: "pd.Series[int]"
    blocks: int
    statistic: float
    p_value: float
    critical_difference: float

    def cliques(self) -> list[tuple[str, ...]]:
        """The largest groups of conditions whose mean ranks lie within the critical difference, best first."""
        names, values = list(map(str, self.mean_ranks.index)), self.mean_ranks.to_numpy()
        ends = [
            int(np.searchsorted(values, first + self.critical_difference, side="right")) for first in values
        ]
        return [
            tuple(names[start:end])
            for start, end in enumerate(ends)
            if end - start > 1 and (start == 0 or end > ends[start - 1])
        ]


def rank(scores: pd.DataFrame, conditions: Sequence[str], measure: str = "balanced_accuracy") -> Ranking:
    """Rank conditions by a measure on every (target, draw) block.

    Blocks of one target share images, and blocks of one draw number share source models: they are not independent, so the
    p value and the critical difference are too small by an unknown amount.

    Args:
        scores: One row per run of one protocol, as returned by `cellda.reporting.tables.conditions.scores`.
        conditions: The conditions to rank.
        measure: The column to rank by; higher is better.

    Raises:
        ConfigurationError: If there is nothing to rank, protocols are mixed, or a condition was not run on every block.
    """
    if not conditions:
        raise ConfigurationError(
            "There is no condition to rank: bounds and chosen conditions are not ranked."
        )
    single(scores, "protocol")
    chosen = scores[scores["condition"].isin(list(conditions))]
    table = chosen.pivot_table(index=list(BLOCK), columns="condition", values=measure, aggfunc="mean")
    table = table[list(conditions)]
    for condition in conditions:
        missing = [f"{target}, draw {draw}" for target, draw in table.index[table[condition].isna()]]
        if missing:
            raise ConfigurationError(
                f"'{condition}' cannot be ranked: it was not run on {'; '.join(missing[:3])}"
                f"{f' and {len(missing) - 3} more' if len(missing) > 3 else ''}. Run it there, or leave it out."
            )
    # Rounded, so that equal shares tie although they differ in the last bit.
    values = table.round(12)
    ranks = values.rank(axis=1, ascending=False)
    statistic, p_value = _friedman(values)
    return Ranking(
        mean_ranks=ranks.mean().sort_values(kind="stable"),
        wins=values.eq(values.max(axis=1), axis=0).sum(),
        blocks=len(values),
        statistic=statistic,
        p_value=p_value,
        critical_difference=critical_difference(len(conditions), len(values)),
    )


def critical_difference(conditions: int, blocks: int) -> float:
    """Nemenyi's critical difference of mean ranks at 0.05: `q sqrt(k (k + 1) / (6 N))` (Demšar 2006, section 3.2.2).

    `q` is the upper quantile of the studentized range for infinite degrees of freedom, divided by the root of 2.

    Args:
        conditions: Number k of conditions; the result is NaN for one.
        blocks: Number N of blocks.
    """
    if conditions < 2:
        return float("nan")
    q = studentized_range.ppf(1 - ALPHA, conditions, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(conditions * (conditions + 1) / (6 * blocks)))


def _friedman(values: pd.DataFrame) -> tuple[float, float]:
    """Statistic and p value; 0 and 1 if no values differ."""
    if values.shape[1] < 3 or len(values) < 2:
        return float("nan"), float("nan")
    if (values.min(axis=1) == values.max(axis=1)).all():
        return 0.0, 1.0
    found = friedmanchisquare(*(values[name].to_numpy() for name in values.columns))
    return float(found.statistic), float(found.pvalue)
