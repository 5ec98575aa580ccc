"""Tables of what only some classes allow: how far apart confused stages are, and how well cells of no class are found."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import pandas as pd

from cellda.errors import ConfigurationError
from cellda.evaluation.maturation import StageDistance, stage_distance
from cellda.evaluation.predictions import RUN, classes_of, single
from cellda.evaluation.rejection import Rejection, rejection
from cellda.reporting.tables.cells import Cell, with_sd
from cellda.reporting.tables.conditions import runs_in_words, words
from cellda.reporting.tables.text_table import TextTable

Found = TypeVar("Found", StageDistance, Rejection)


def stages_table(predictions: pd.DataFrame) -> TextTable:
    """Stages between true and predicted class, by condition and target: mean ± standard deviation over runs.

    Raises:
        ConfigurationError: If the classes are no stages of maturation, or protocols are mixed.
    """
    protocol = single(predictions, "protocol")
    rows = _by_target(predictions, stage_distance, ("mean", "near"), "cells")
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
    rows = _by_target(predictions, rejection, ("by_class", "by_doubt"), "other")
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
    predictions: pd.DataFrame,
    measured: Callable[[pd.DataFrame], Found | None],
    values: Sequence[str],
    count: str,
) -> list[list[str]]:
    """A row for each condition and target in which something was measured: values, and the cells they are of."""
    rows: list[list[str]] = []
    for (condition, target), part in predictions.groupby(["condition", "target"], sort=False):
        runs = [measured(run) for _, run in part.groupby(list(RUN), sort=False)]
        found = pd.DataFrame([one.model_dump() for one in runs if one is not None])
        if len(found):
            spread: list[str] = [
                with_sd(float(found[name].mean()), float(found[name].std())) for name in values
            ]
            rows.append(
                [str(condition), words(str(target)), *spread, _of(int(found[count].sum()), len(part))]
            )
    return rows


def _of(cells: int, every: int) -> Cell:
    """Some of the cells."""
    return Cell(f"{cells:,} of {every:,}", {"cells": cells, "of": every})
