"""The leaderboard: conditions by their mean rank, what they cost, and the bounds between which they lie."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from cellda.errors import ConfigurationError
from cellda.evaluation.bootstrap import RESAMPLES
from cellda.evaluation.costs import POOL
from cellda.evaluation.elsewhere import BEST
from cellda.evaluation.metrics import average
from cellda.evaluation.predictions import single
from cellda.evaluation.ranks import Ranking, rank
from cellda.evaluation.rates import MIN_CELLS
from cellda.presets import ORACLE
from cellda.reporting.tables import distinct, runs_in_words, scores, words
from cellda.reporting.text_table import TextTable

NO_LABELS = "_without_labels"
"""End of the name under which the best condition without labels is reported."""

_UNKNOWN = "–"

_BOUNDS = {
    "none": "none is the source model as it is",
    "no_fine_tune": "no_fine_tune is the source model as it is",
    "target_only": (
        "target_only has all labels of the support side, no source and no cap, and, where a dataset has no groups, is "
        "measured on half of it"
    ),
}
"""The bounds of a leaderboard and the first of the paper's conditions, and what the notes say of them."""


_POOLS = {
    "query": "those that are predicted (transductive)",
    "disjoint": "others than those that are predicted (inductive)",
}
"""What unlabelled images conditions looked at, by `Recipe.pool`, in the notes."""


def is_bound(condition: str) -> bool:
    """Whether a condition is a bound: it is shown on every table, and not ranked."""
    return condition in _BOUNDS


def is_chosen(condition: str) -> bool:
    """Whether a condition is another one on each target, chosen on the other targets."""
    return condition in (BEST, BEST + NO_LABELS)


def ranked(conditions: Sequence[str]) -> list[str]:
    """Those that compete: no bound, nothing chosen among the others, nothing that saw query labels."""
    return [name for name in conditions if not (is_bound(name) or is_chosen(name) or name.endswith(ORACLE))]


def ranking(predictions: pd.DataFrame) -> Ranking:
    """The competing conditions of a prediction table, ranked by balanced accuracy on every (target, draw) block."""
    names = ranked(distinct(predictions, "condition"))
    rows = predictions[predictions["condition"].isin(names)]
    return rank(scores(rows, resamples=0) if names else rows, names)


def leaderboard_table(predictions: pd.DataFrame, resamples: int = RESAMPLES, seed: int = 0) -> TextTable:
    """One row a condition: balanced accuracy and accuracy with 95 % intervals, mean rank, wins, labels, seconds.

    Values are means over the runs of each target, then over targets; intervals as in
    `cellda.evaluation.metrics.average`. Below those that are ranked stand the conditions chosen on other targets and the
    bounds. What a condition reaches with values that were chosen by query labels (`<condition>+oracle`) is a column
    beside it.

    Args:
        predictions: A prediction table of one protocol, with the columns of `cellda.evaluation.costs.with_costs` where the
            costs are known.
        resamples: Bootstrap resamples of the intervals.
        seed: Seed of the bootstrap.

    Raises:
        ConfigurationError: If protocols are mixed, conditions ran on different targets, or ranked ones on different
            draws; if some were measured on the whole query and others, with a pool of its own, on a half.
    """
    protocol = single(predictions, "protocol")
    _one_query(predictions)
    names = distinct(predictions, "condition")
    found = ranking(predictions)
    parts = {str(name): part for name, part in predictions.groupby("condition", sort=False)}
    targets = distinct(predictions, "target")
    for name, part in parts.items():
        missing = [target for target in targets if target not in set(part["target"])]
        if missing:
            raise ConfigurationError(
                f"'{name}' has no predictions for {', '.join(missing)}: its average would not be comparable. Run it there, "
                "or select the targets all conditions share."
            )
    means = {name: average(part, resamples, seed) for name, part in parts.items()}
    oracles = {
        name.removesuffix(ORACLE): str(means[name]["balanced_accuracy"])
        for name in names
        if name.endswith(ORACLE)
    }
    order = [
        *map(str, found.mean_ranks.index),
        *filter(is_chosen, names),
        *filter(is_bound, names),
    ]
    rows = []
    for name in order:
        competes = name in found.mean_ranks.index
        rows.append(
            [
                name + " (bound)" * is_bound(name) + " (chosen)" * is_chosen(name),
                str(means[name]["balanced_accuracy"]),
                str(means[name]["accuracy"]),
                f"{found.mean_ranks[name]:.2f}" if competes else _UNKNOWN,
                str(found.wins[name]) if competes else _UNKNOWN,
                _span(parts[name]),
                _seconds(parts[name]),
                *([oracles.get(name, _UNKNOWN)] if oracles else []),
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


def _one_query(predictions: pd.DataFrame) -> None:
    """Refuse runs with `pool="disjoint"`, which are measured on a half of the query, beside others."""
    if POOL in predictions.columns:
        halved = predictions[POOL].eq("disjoint").fillna(False)
        if halved.any() and not halved.all():
            names = ", ".join(distinct(predictions[halved], "condition"))
            raise ConfigurationError(
                f"{names} ran with pool='disjoint' and is measured on a half of the query, other conditions on all of it; "
                "compare conditions of one pool."
            )


def _span(part: pd.DataFrame) -> str:
    """Smallest and largest number of labels of the runs."""
    if "labels_used" not in part.columns or part["labels_used"].isna().all():
        return _UNKNOWN
    low, high = int(part["labels_used"].min()), int(part["labels_used"].max())
    return f"{low}" if low == high else f"{low}–{high}"


def _seconds(part: pd.DataFrame) -> str:
    """Median over runs."""
    if "seconds" not in part.columns or part["seconds"].isna().all():
        return _UNKNOWN
    runs = part.drop_duplicates(["target", "draw", "seed"])
    return f"{runs['seconds'].median():.1f}"


def _notes(predictions: pd.DataFrame, found: Ranking, oracles: bool) -> list[str]:
    """What a reader must know to read the table."""
    notes = [
        f"Mean over {runs_in_words(predictions)}; 95 % bootstrap intervals over groups of images, stratified by target.",
        f"Ranks by balanced accuracy over {found.blocks} (target, draw) blocks; wins: blocks in which no other was better.",
        f"Balanced accuracy: mean recall of a target's classes with at least {MIN_CELLS} query cells.",
    ]
    if len(found.mean_ranks) > 1:
        notes.append(
            f"Mean ranks closer than {found.critical_difference:.2f} do not differ at 0.05 (Nemenyi)"
            + ("" if pd.isna(found.p_value) else f"; Friedman's test: p = {found.p_value:.2g}")
            + ". Blocks of one target share images: read both as too sharp."
        )
    notes.append(
        "Labels: target labels used, fewest and most. Seconds: search, adaptation and the prediction of the query, the median "
        "of the runs."
    )
    if POOL in predictions.columns and (seen := set(predictions[POOL].dropna())):
        pools = [text for name, text in _POOLS.items() if name in seen]
        notes.append(f"Unlabelled images, where a condition looks at any, are {' and '.join(pools)}.")
    names = distinct(predictions, "condition")
    if any(map(is_bound, names)):
        told = [text for name, text in _BOUNDS.items() if name in names]
        notes.append(f"Bounds are not ranked: {'; '.join(told)}.")
    if any(map(is_chosen, names)):
        notes.append("Chosen: on each target, the condition that was best on the other targets; not ranked.")
    if oracles:
        notes.append(
            "Oracle: balanced accuracy with values chosen by the query labels; an upper bound, no result."
        )
    return notes


def leaderboard_without_labels(predictions: pd.DataFrame) -> TextTable:
    """The leaderboard of the conditions that used no target label.

    Args:
        predictions: A prediction table of one protocol, with costs.

    Raises:
        ConfigurationError: As `leaderboard_table` and `without_labels`.
    """
    single(predictions, "protocol")
    table = leaderboard_table(without_labels(predictions))
    return replace(table, title=f"{table.title}, without labels")


def without_labels(predictions: pd.DataFrame) -> pd.DataFrame:
    """The rows of conditions that used no target label, and of the bounds.

    Args:
        predictions: A prediction table with costs.

    Raises:
        ConfigurationError: If costs are not known.
    """
    if "labels_used" not in predictions.columns or predictions["labels_used"].isna().all():
        raise ConfigurationError(
            "Which conditions used no label is in runs.csv, which `cellda bench` and studies write beside the predictions; "
            "there is none."
        )
    labels = predictions.groupby("condition")["labels_used"].max()
    free = {str(name) for name in labels.index[labels == 0]}
    kept = [
        name
        for name in distinct(predictions, "condition")
        if name in free or is_bound(name) or name.removesuffix(ORACLE) in free
    ]
    return predictions[predictions["condition"].isin(kept)]
