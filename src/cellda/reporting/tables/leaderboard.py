"""The leaderboard: conditions by mean rank, their costs, and the lower and upper bounds."""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from cellda.errors import ConfigurationError
from cellda.evaluation.bootstrap import RESAMPLES
from cellda.evaluation.condition import ALL_CLASSES, METHOD
from cellda.evaluation.costs import POOL
from cellda.evaluation.elsewhere import BEST
from cellda.evaluation.metrics import Estimate, average
from cellda.evaluation.predictions import single
from cellda.evaluation.ranks import Ranking, rank
from cellda.evaluation.rates import MIN_CELLS
from cellda.reporting.tables.cells import NOTHING, Cell, number, with_interval
from cellda.reporting.tables.conditions import (
    check_same_targets,
    distinct,
    runs_in_words,
    scores,
    titled,
    words,
)
from cellda.reporting.tables.text_table import TextTable

NO_LABELS = "_without_labels"
"""End of the name under which the best condition without labels is reported."""

Method = tuple[str, ...]
"""Values of the columns `METHOD`."""

_BOUNDS = {
    "none": "none is the source model without adaptation",
    "no_fine_tune": "no_fine_tune is the source model without adaptation",
    "target_only": (
        "target_only has all labels of the support side, no source and no cap, and is measured on half of a dataset that "
        "has no groups"
    ),
}
"""How the notes describe each bound, by its name."""


_POOLS = {
    "query": "the predicted images themselves (transductive)",
    "disjoint": "other images than the predicted ones (inductive)",
}
"""Where the unlabelled images of conditions come from, by `Recipe.pool`, in the notes."""


def is_chosen(condition: str) -> bool:
    """Whether this is the name of a condition that is chosen, for each target, on the other targets."""
    return condition in (BEST, BEST + NO_LABELS)


def bounds(predictions: pd.DataFrame) -> list[str]:
    """The bounds: shown in every table, and not ranked."""
    return distinct(predictions[predictions["bound"]], "condition")


def ranked(predictions: pd.DataFrame) -> list[str]:
    """The conditions that compete: not a bound, not chosen among the others, no values chosen by query labels.

    Those that knew which classes can occur compete only with each other, in a table without others.
    """
    names = _results(predictions)
    return [name for name in names if name not in knowing(predictions)] or names


def knowing(predictions: pd.DataFrame) -> list[str]:
    """The conditions that knew which classes can occur."""
    return distinct(predictions[predictions["present"] != ALL_CLASSES], "condition")


def _results(predictions: pd.DataFrame) -> list[str]:
    rows = predictions[~(predictions["bound"] | predictions["oracle"])]
    return [name for name in distinct(rows, "condition") if not is_chosen(name)]


def ranking(predictions: pd.DataFrame) -> Ranking:
    """The competing conditions of a prediction table, ranked by balanced accuracy on every (target, draw) block."""
    names = ranked(predictions)
    rows = predictions[predictions["condition"].isin(names)]
    return rank(scores(rows, resamples=0) if names else rows, names)


def leaderboard_table(predictions: pd.DataFrame, resamples: int = RESAMPLES, seed: int = 0) -> TextTable:
    """One row per condition: balanced accuracy and accuracy with 95 % intervals, mean rank, wins, labels, seconds.

    Values are means over the runs of each target, then over targets; intervals as in
    `cellda.evaluation.metrics.average`. Below the ranked conditions come those that knew which classes can occur, if
    others did not; those chosen on other targets; and the bounds. The accuracy with values chosen by query labels (an oracle
    of the same method) has a column of its own.

    Args:
        predictions: A prediction table of one protocol, with the columns of `cellda.evaluation.costs.with_costs` where the
            costs are known.
        resamples: Bootstrap resamples of the intervals.
        seed: Seed of the bootstrap.

    Raises:
        ConfigurationError: If protocols are mixed, conditions ran on different targets, or ranked ones on different
            draws; if some were measured on the whole query and others, with a separate pool, on half of it.
    """
    protocol = single(predictions, "protocol")
    _one_query(predictions)
    names = distinct(predictions, "condition")
    found = ranking(predictions)
    parts = {str(name): part for name, part in predictions.groupby("condition", sort=False)}
    check_same_targets(predictions)
    targets = distinct(predictions, "target")
    means = {name: average(part, resamples, seed) for name, part in parts.items()}
    oracles = _oracles(predictions, {name: of["balanced_accuracy"] for name, of in means.items()})
    outside = bounds(predictions)
    competing = [*map(str, found.mean_ranks.index)]
    apart = [name for name in _results(predictions) if name not in competing]
    order = [*competing, *apart, *filter(is_chosen, names), *outside]
    rows = []
    for name in order:
        competes = name in found.mean_ranks.index
        rows.append(
            [
                titled(parts[name]) + " (bound)" * (name in outside) + " (chosen)" * is_chosen(name),
                with_interval(means[name]["balanced_accuracy"]),
                with_interval(means[name]["accuracy"]),
                number(found.mean_ranks[name], ".2f") if competes else NOTHING,
                number(int(found.wins[name]), "d") if competes else NOTHING,
                _span(parts[name]),
                _seconds(parts[name]),
                *([_oracle(oracles.get(_method(parts[name])))] if oracles else []),
            ]
        )
    return TextTable(
        title=f"Leaderboard over {', '.join(map(words, targets))}, protocol '{protocol}'",
        columns=[
            "condition",
            "balanced accuracy",
            "accuracy",
            "mean rank",
            "wins",
            "labels",
            "seconds",
            *(["oracle (query labels)"] if oracles else []),
        ],
        rows=rows,
        notes=_notes(predictions, found, bool(oracles)),
    )


def _oracles(
    predictions: pd.DataFrame, measured: Mapping[str, Estimate]
) -> dict[frozenset[Method], Estimate]:
    """The accuracy of each method with values chosen by query labels; of several oracles of one method, the best."""
    found: dict[frozenset[Method], Estimate] = {}
    for name, part in predictions[predictions["oracle"]].groupby("condition", sort=False):
        method, estimate = _method(part), measured[str(name)]
        if method not in found or estimate.value > found[method].value:
            found[method] = estimate
    return found


def _method(part: pd.DataFrame) -> frozenset[Method]:
    """What the rows of a condition were made with, however their values were chosen."""
    return frozenset(part[list(METHOD)].drop_duplicates().itertuples(index=False, name=None))


def _one_query(predictions: pd.DataFrame) -> None:
    """Refuse runs with `pool="disjoint"`, which are measured on half of the query, together with others."""
    if POOL in predictions.columns:
        halved = predictions[POOL].eq("disjoint").fillna(False)
        if halved.any() and not halved.all():
            names = ", ".join(distinct(predictions[halved], "condition"))
            raise ConfigurationError(
                f"{names} ran with pool='disjoint' and is measured on half of the query, other conditions on all of it; "
                "compare conditions with the same pool."
            )


def _oracle(found: Estimate | None) -> Cell:
    return NOTHING if found is None else with_interval(found)


def _span(part: pd.DataFrame) -> Cell:
    """Smallest and largest number of labels of the runs."""
    low, high = int(part["labels_used"].min()), int(part["labels_used"].max())
    return Cell(f"{low}" if low == high else f"{low}–{high}", {"low": low, "high": high})


def _seconds(part: pd.DataFrame) -> Cell:
    """Median over runs."""
    if "seconds" not in part.columns or part["seconds"].isna().all():
        return NOTHING
    runs = part.drop_duplicates(["target", "draw", "seed"])
    return number(float(runs["seconds"].median()), ".1f")


def _notes(predictions: pd.DataFrame, found: Ranking, oracles: bool) -> list[str]:
    """What to know when reading the table."""
    notes = [
        f"Mean over {runs_in_words(predictions)}; 95 % bootstrap intervals over groups of images, stratified by target.",
        f"Ranks by balanced accuracy over {found.blocks} (target, draw) blocks; wins: blocks in which no other was better.",
        f"Balanced accuracy: mean recall of a target's classes with at least {MIN_CELLS} query cells.",
    ]
    if len(found.mean_ranks) > 1:
        notes.append(
            f"Mean ranks closer than {found.critical_difference:.2f} do not differ at 0.05 (Nemenyi)"
            + ("" if pd.isna(found.p_value) else f"; Friedman's test: p = {found.p_value:.2g}")
            + ". Blocks of one target share images, so both are too optimistic."
        )
    notes.append(
        "Labels: target labels used, minimum and maximum. Seconds: search, adaptation and prediction of the query, median "
        "over runs."
    )
    if POOL in predictions.columns and (seen := set(predictions[POOL].dropna())):
        pools = [text for name, text in _POOLS.items() if name in seen]
        notes.append(f"Unlabelled images, where a condition uses any, are {' and '.join(pools)}.")
    names = distinct(predictions, "condition")
    outside = bounds(predictions)
    if knowing(predictions):
        notes.append(
            "Present: it was known that only these classes can occur; rows that knew it are not ranked among others."
        )
    if outside:
        told = [_BOUNDS.get(name, name) for name in outside]
        notes.append(f"Bounds are not ranked: {'; '.join(told)}.")
    if any(map(is_chosen, names)):
        notes.append("Chosen: on each target, the condition that was best on the other targets; not ranked.")
    if oracles:
        notes.append(
            "Oracle: balanced accuracy with values chosen by the query labels; an upper bound, not a result."
        )
    return notes


def leaderboard_without_labels(predictions: pd.DataFrame) -> TextTable:
    """The leaderboard of the conditions that used no target label.

    Args:
        predictions: A prediction table of one protocol, with costs where they are known.

    Raises:
        ConfigurationError: As `leaderboard_table`.
    """
    single(predictions, "protocol")
    table = leaderboard_table(without_labels(predictions))
    return replace(table, title=f"{table.title}, without labels")


def label_free(predictions: pd.DataFrame) -> list[str]:
    """The conditions in which no run used a target label."""
    most = predictions.groupby("condition", sort=False)["labels_used"].max()
    return [str(name) for name in most.index[most == 0]]


def without_labels(predictions: pd.DataFrame) -> pd.DataFrame:
    """The rows of conditions that used no target label, of their oracles, and of the bounds."""
    free = label_free(predictions)
    parts = {str(name): part for name, part in predictions.groupby("condition", sort=False)}
    methods = {_method(parts[name]) for name in free}
    oracles = [name for name, part in parts.items() if part["oracle"].all() and _method(part) in methods]
    return predictions[predictions["condition"].isin([*free, *bounds(predictions), *oracles])]
