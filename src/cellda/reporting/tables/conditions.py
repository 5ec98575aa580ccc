"""Tables of results; every number is computed from predictions."""

from collections.abc import Iterable, Sequence

import pandas as pd

from cellda.errors import ConfigurationError, nearest
from cellda.evaluation.bootstrap import RESAMPLES
from cellda.evaluation.compare import Comparison, across_draws
from cellda.evaluation.condition import ALL_CLASSES
from cellda.evaluation.metrics import average, measure
from cellda.evaluation.predictions import RUN, single, without_class
from cellda.evaluation.rates import MEASURES
from cellda.reporting.paper import published
from cellda.reporting.tables.cells import NOTHING, number, with_interval, with_sd
from cellda.reporting.tables.text_table import TextTable

CONFOUNDED = {"raabin": "basophil"}
"""Class of a target whose groups hold no other class, so class and group coincide: shown with and without that class."""

SUMMARY = ("accuracy", "macro_precision", "macro_recall", "macro_f1")
"""The measures of summary tables."""


def scores(predictions: pd.DataFrame, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """Measures of every run.

    Args:
        predictions: A prediction table.
        resamples: Bootstrap resamples of the intervals; 0 leaves them NaN.
        seed: Seed of the bootstrap.

    Returns:
        One row per run, in order of appearance: `condition, target, draw, seed, protocol`, `n` (query cells),
            each of `MEASURES` with `<measure>_low` and `<measure>_high`, `ece`, and `left_out` (the classes
            that averages leave out).
    """
    rows = []
    for run, part in predictions.groupby(list(RUN), sort=False):
        metrics = measure(part, resamples, seed)
        row: dict[str, object] = dict(zip(RUN, run, strict=True)) | {"n": metrics.n}
        for name in MEASURES:
            estimate = getattr(metrics, name)
            row |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
        rows.append(row | {"ece": metrics.ece, "left_out": ", ".join(metrics.left_out)})
    return pd.DataFrame(rows)


def condition_table(
    predictions: pd.DataFrame, measure: str = "accuracy", conditions: Sequence[str] | None = None
) -> TextTable:
    """Conditions by targets: mean ± standard deviation of a measure over runs, and the mean over targets.

    A target with a class of `CONFOUNDED` has a second column without that class, which the mean leaves out.

    Args:
        predictions: A prediction table of one protocol.
        measure: One of `MEASURES`.
        conditions: The conditions to show, in this order; None shows all, in order of appearance.

    Raises:
        ConfigurationError: If a condition or measure is unknown or protocols are mixed.
    """
    if measure not in MEASURES:
        raise ConfigurationError(f"Tables know no measure '{measure}'; {nearest(measure, MEASURES)}")
    predictions = in_order(predictions, conditions)
    protocol = single(predictions, "protocol")
    targets = distinct(predictions, "target")
    spread = across_draws(scores(with_views(predictions), resamples=0), measure)
    keys = zip(spread["condition"], spread["target"], strict=True)
    cells = dict(zip(keys, zip(spread["mean"], spread["sd"], strict=True), strict=True))
    columns: list[str] = []
    for target in targets:
        columns += [target] + ([view_of(target)] if target in CONFOUNDED else [])

    rows, titles = [], {str(name): titled(part) for name, part in predictions.groupby("condition")}
    for condition in distinct(predictions, "condition"):
        found = [cells.get((condition, column)) for column in columns]
        means = [cells[condition, target][0] for target in targets if (condition, target) in cells]
        # A mean over different targets than the next row's would not be comparable.
        overall = number(sum(means) / len(means), ".3f") if len(means) == len(targets) else NOTHING
        rows.append([titles[condition], *(NOTHING if c is None else with_sd(*c) for c in found), overall])
    return TextTable(
        title=f"{words(measure).capitalize()}, protocol '{protocol}'",
        columns=["condition", *map(words, columns), "mean"],
        rows=rows,
        notes=[
            f"Mean ± standard deviation over {runs_in_words(predictions)}; "
            f"'mean' is over {', '.join(map(words, targets))}."
        ],
    )


def summary_table(
    predictions: pd.DataFrame,
    conditions: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> TextTable:
    """One row per condition: accuracy, macro precision, recall, F1 with 95 % intervals, averaged over targets.

    Values are means over the runs of each target, then over targets. The intervals come from a bootstrap
    stratified by target that takes the same average in every resample (see
    `cellda.evaluation.metrics.average`). With the predictions of one target it is that target's table.

    Args:
        predictions: A prediction table of one protocol, every condition on the same targets.
        conditions: The conditions to show, in this order; None shows all, in order of appearance.
        resamples: Bootstrap resamples of the intervals.
        seed: Seed of the bootstrap.

    Raises:
        ConfigurationError: If a condition is unknown, protocols are mixed, or conditions ran on different
            targets.
    """
    predictions = in_order(predictions, conditions)
    protocol = single(predictions, "protocol")
    check_same_targets(predictions)
    targets = distinct(predictions, "target")
    rows = []
    for _, part in predictions.groupby("condition", sort=False):
        estimates = average(part, resamples, seed)
        rows.append([titled(part), *(with_interval(estimates[name]) for name in SUMMARY)])
    return TextTable(
        title=f"Mean over {', '.join(map(words, targets))}, protocol '{protocol}'",
        columns=["condition", *map(words, SUMMARY)],
        rows=rows,
        notes=[
            f"Mean over {runs_in_words(predictions)}; "
            "95 % bootstrap intervals over groups of images, stratified by target."
        ],
    )


def comparison_table(comparisons: Iterable[Comparison]) -> TextTable:
    """Tests against one baseline as text."""
    tests = list(comparisons)
    title = "No tests"
    if tests:
        first = tests[0]
        title = f"{words(first.measure).capitalize()} against {first.baseline}, protocol '{first.protocol}'"
    notes = dict.fromkeys(
        f"{test.condition}: {test.note}" for test in tests if test.note and test.independent
    )
    shared = dict.fromkeys(test.note for test in tests if not test.independent)
    paired = any(test.independent for test in tests)
    unit = ["A pair is one draw of one target; its source seeds are averaged first."] if paired else []
    return TextTable(
        title=title,
        columns=["condition", "pairs", "mean difference", "effect size", "p", "p (Holm)"],
        rows=[
            [
                test.condition,
                number(test.pairs, "d"),
                number(test.mean_difference, "+.3f"),
                number(test.effect_size, "+.2f"),
                number(test.p_value, ".3g"),
                number(test.p_holm, ".3g"),
            ]
            for test in tests
        ],
        notes=[
            "Wilcoxon signed-rank test, two-sided; effect size: rank-biserial correlation.",
            *unit,
            *notes,
            *shared,
        ],
    )


def with_views(predictions: pd.DataFrame) -> pd.DataFrame:
    """The predictions, plus a copy of each target in `CONFOUNDED` without its class.

    The second view is a target of its own, `"raabin without basophil"` (docs/protocol.md).
    """
    views = [
        without_class(predictions, target, CONFOUNDED[target])
        for target in distinct(predictions, "target")
        if target in CONFOUNDED
    ]
    return pd.concat([predictions, *views])


def view_of(target: str) -> str:
    """What a target of `CONFOUNDED` is called without its class, as `without_class` names it."""
    return f"{target} without {CONFOUNDED[target]}"


def select(
    predictions: pd.DataFrame,
    protocol: str | None = None,
    targets: Sequence[str] = (),
    conditions: Sequence[str] = (),
) -> pd.DataFrame:
    """The rows of a protocol, targets and conditions, in the order given.

    Args:
        predictions: A prediction table.
        protocol: None takes all.
        targets: Empty takes all, in order of appearance.
        conditions: Empty takes all, the paper's first, in its order.

    Raises:
        ConfigurationError: If there are no predictions of a name; the message suggests similar names.
    """
    present = distinct(predictions, "condition")
    paper = [name for name in published.MEANS if name in present]
    wanted = {
        "protocol": [protocol] if protocol else [],
        "target": list(targets),
        "condition": list(conditions) or list(dict.fromkeys([*paper, *present])),
    }
    for column, names in wanted.items():
        if names:
            predictions = _rows_of(predictions, column, names)
    return predictions


def in_order(predictions: pd.DataFrame, conditions: Sequence[str] | None) -> pd.DataFrame:
    """The rows of `conditions`, in that order; all rows where it is None.

    Raises:
        ConfigurationError: If there are no predictions of a condition; the message suggests similar names.
    """
    return predictions if conditions is None else _rows_of(predictions, "condition", conditions)


def _rows_of(predictions: pd.DataFrame, column: str, names: Sequence[str]) -> pd.DataFrame:
    known = distinct(predictions, column)
    for name in names:
        if name not in known:
            raise ConfigurationError(f"There are no predictions of {column} '{name}'; {nearest(name, known)}")
    return pd.concat([predictions[predictions[column] == name] for name in names])


def titled(part: pd.DataFrame) -> str:
    """The name of the condition of some predictions, with the classes that it knew to be the only ones that can occur."""
    [name], known = distinct(part, "condition"), distinct(part, "present")
    if known == [ALL_CLASSES]:
        return name
    return f"{name} (present: {known[0].replace('+', ', ') if len(known) == 1 else 'known for each target'})"


def check_same_targets(predictions: pd.DataFrame) -> None:
    """Refuse conditions that ran on different targets: their averages are not comparable.

    Raises:
        ConfigurationError: Naming the first condition that lacks a target.
    """
    targets = distinct(predictions, "target")
    for condition, part in predictions.groupby("condition", sort=False):
        missing = [target for target in targets if target not in set(part["target"])]
        if missing:
            raise ConfigurationError(
                f"'{condition}' has no predictions for {', '.join(missing)}: its average would not be comparable. Run it "
                "there, or select the targets all conditions share."
            )


def distinct(frame: pd.DataFrame, column: str) -> list[str]:
    """The values of a column as text, in order of appearance."""
    return list(dict.fromkeys(frame[column].astype(str)))


def runs_in_words(predictions: pd.DataFrame) -> str:
    """How many draws and source seeds each condition has on each target, in words."""
    runs = predictions[list(RUN)].drop_duplicates().groupby(["condition", "target"])

    def counted(column: str, noun: str) -> str:
        numbers = sorted(set(runs[column].nunique()))
        text = str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
        return f"{text} {noun}{'' if numbers == [1] else 's'}"

    return f"{counted('draw', 'draw')} with {counted('seed', 'source seed')}"


def words(name: str) -> str:
    """A name as displayed: `macro_f1` is "macro F1"."""
    return name.replace("_", " ").replace(" f1", " F1")
