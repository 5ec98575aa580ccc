"""Tables of what only some classes allow: how far apart confused stages are, and how well cells of no class are found."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import pandas as pd

from cellda.errors import ConfigurationError
from cellda.evaluation.maturation import stage_distance
from cellda.evaluation.predictions import RUN, classes_of, single
from cellda.evaluation.rejection import rejection
from cellda.reporting.tables.conditions import runs_in_words, with_sd, words
from cellda.reporting.tables.text_table import TextTable

Found = TypeVar("Found")


def stages_table(predictions: pd.DataFrame) -> TextTable:
    """Stages between true and predicted class, by condition and target: mean ± standard deviation over runs.

    Raises:
        ConfigurationError: If the classes are no stages of maturation, or protocols are mixed.
    """
    protocol = single(predictions, "protocol")
    rows = [
        [
            condition,
            words(target),
            _spread([one.mean for one in found]),
            _spread([one.near for one in found]),
            f"{sum(one.cells for one in found):,} of {cells:,}",
        ]
        for condition, target, cells, found in _by_target(predictions, stage_distance)
    ]
    if not rows:
        raise ConfigurationError(
            f"None of the classes {', '.join(classes_of(predictions))} are stages of one line of maturation; with the "
            "taxonomy wbc13, stages of neutrophils are."
        )
    return TextTable(
        title=f"Stages between true and predicted class, protocol '{protocol}'",
        columns=["condition", "target", "mean", "at most one", "cells"],
        rows=rows,
        names=2,
        notes=[
            f"Mean ± standard deviation over {runs_in_words(predictions)}. Cells count whose true and predicted class are "
            "both stages of one line; all runs together."
        ],
    )


def rejection_table(predictions: pd.DataFrame) -> TextTable:
    """Areas under the ROC curve for finding cells of no class, by condition and target: mean ± standard deviation over runs.

    Raises:
        ConfigurationError: If there are no cells of the class `other`, or protocols are mixed.
    """
    protocol = single(predictions, "protocol")
    rows = [
        [
            condition,
            words(target),
            _spread([one.by_class for one in found]),
            _spread([one.by_doubt for one in found]),
            f"{sum(one.other for one in found):,} of {sum(one.cells for one in found):,}",
        ]
        for condition, target, _, found in _by_target(predictions, rejection)
    ]
    if not rows:
        raise ConfigurationError(
            "No cells of the class 'other' were predicted among others; a taxonomy keeps them with other=True "
            "(docs/taxonomies.md)."
        )
    return TextTable(
        title=f"Finding cells of no class, protocol '{protocol}'",
        columns=["condition", "target", "by p(other)", "by doubt", "other cells"],
        rows=rows,
        names=2,
        notes=[
            f"Area under the ROC curve, 0.5 is chance: mean ± standard deviation over {runs_in_words(predictions)}.",
            "Doubt: 1 less the largest share of another class in the probability of all of these.",
        ],
    )


def _by_target(
    predictions: pd.DataFrame, measured: Callable[[pd.DataFrame], Found | None]
) -> list[tuple[str, str, int, list[Found]]]:
    """Condition, target, number of predictions, and what was measured of each run; without those where nothing was."""
    found = []
    for (condition, target), part in predictions.groupby(["condition", "target"], sort=False):
        runs = [measured(run) for _, run in part.groupby(list(RUN), sort=False)]
        known = [one for one in runs if one is not None]
        if known:
            found.append((str(condition), str(target), len(part), known))
    return found


def _spread(values: Sequence[float]) -> str:
    return with_sd(float(pd.Series(values).mean()), float(pd.Series(values).std()))
