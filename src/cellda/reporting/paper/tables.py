"""Our numbers next to the paper's: Tables 4, 5 and C.1."""

import itertools
import math

import pandas as pd

from cellda.errors import ConfigurationError
from cellda.evaluation.bootstrap import RESAMPLES
from cellda.evaluation.metrics import Estimate
from cellda.evaluation.per_class import average_classes
from cellda.evaluation.predictions import classes_of, single
from cellda.evaluation.rates import MIN_CELLS
from cellda.evaluation.sample_size import class_scores_by_size, with_sizes
from cellda.reporting.paper import published
from cellda.reporting.paper.side_by_side import PUBLISHED, side_by_side
from cellda.reporting.tables.cells import NOTHING, Cell, number, with_interval, with_sd
from cellda.reporting.tables.conditions import (
    CONFOUNDED,
    distinct,
    in_order,
    runs_in_words,
    view_of,
    with_views,
    words,
)
from cellda.reporting.tables.conditions import scores as score
from cellda.reporting.tables.text_table import TextTable

RATES = ("precision", "recall")


def per_class_table(
    predictions: pd.DataFrame, condition: str, resamples: int = RESAMPLES, seed: int = 0
) -> TextTable:
    """Precision and recall of every class on every target, with intervals, next to the paper's (Table 4).

    Predictions of other classes than the paper's, or of targets that it does not report, are shown alone.

    Args:
        predictions: A prediction table of one protocol.
        condition: The condition to show; the published numbers are those of `our_workflow`.
        resamples: Bootstrap resamples of the intervals.
        seed: Seed of the bootstrap.

    Raises:
        ConfigurationError: If there are no predictions of the condition, or protocols are mixed.
    """
    predictions = of_condition(predictions, condition)
    same, targets = published.same_classes(predictions), distinct(predictions, "target")
    reports = {name for name, _ in published.PER_CLASS}
    beside = same and any(published.named(target) in reports for target in targets)
    rows, few = [], False
    for target in targets:
        part = predictions[(predictions["target"] == target).to_numpy(dtype=bool)]
        for name, measured in average_classes(part, resamples, seed).items():
            thin = measured.support < MIN_CELLS
            few |= thin
            cells = [words(target), name + "*" * thin, number(measured.support, "d")]
            reported = published.PER_CLASS.get((published.named(target), name), (math.nan, math.nan))
            for rate, theirs in zip(RATES, reported, strict=True):
                ours = getattr(measured, rate)
                cells += _next_to(ours, theirs) if beside else [with_interval(ours)]
            rows.append(cells)
    heads = [f"{rate}: {who}" for rate in RATES for who in ("ours", "paper", "difference")]
    never = "A class never predicted has precision 0."
    notes = [
        f"{'Ours: mean' if beside else 'Mean'} over {runs_in_words(predictions)}, with 95 % bootstrap intervals over groups "
        "of images.",
        "The paper's numbers (Table 4) are those of our_workflow; a class never predicted has precision 0."
        if beside
        else never + " The paper's numbers are of other classes, and are not shown." * (not same),
    ]
    if few:
        notes.append(f"* fewer than {MIN_CELLS} query cells: left out of macro averages.")
    notes += published.remarks(targets) if beside else []
    return TextTable(
        title=f"Per class, {condition}, protocol '{single(predictions, 'protocol')}'",
        columns=["target", "class", "cells", *(heads if beside else RATES)],
        rows=rows,
        names=2,
        notes=notes,
    )


def class_size_table(predictions: pd.DataFrame, condition: str) -> TextTable:
    """Precision and recall of every class by number of labelled cells (Figs. D.2 and D.3 as a table).

    Mean ± standard deviation over the runs in which the class has at least 5 query cells.

    Args:
        predictions: A prediction table of one protocol.
        condition: The condition that was run at several sizes.

    Raises:
        ConfigurationError: If no predictions of the condition name a size, or protocols are mixed.
    """
    sized = with_sizes(predictions, condition)
    protocol = single(sized, "protocol")
    measured = class_scores_by_size(predictions, condition)
    sizes = sorted(measured["size"].unique())
    rows = []
    for rate, target, name in itertools.product(RATES, distinct(measured, "target"), classes_of(predictions)):
        of_class = measured[(measured["target"] == target) & (measured["class"] == name)]
        if len(of_class):
            spread = of_class.groupby("size")[rate].agg(["mean", "std"]).reindex(sizes)
            cells = [NOTHING if pd.isna(mean) else with_sd(mean, sd) for mean, sd in spread.to_numpy()]
            rows.append([rate, words(target), name, *cells])
    return TextTable(
        title=f"Per class by number of labelled cells, {condition}, protocol '{protocol}'",
        columns=["measure", "target", "class", *map(str, sizes)],
        rows=rows,
        names=3,
        notes=[
            f"Mean ± standard deviation over {runs_in_words(sized)}; classes with at least {MIN_CELLS} query cells count."
        ],
    )


def paper_means_table(predictions: pd.DataFrame) -> TextTable:
    """Conditions averaged over targets, next to the paper's mean over the same targets (Table 5).

    Only targets that the paper reports and that every condition shown has been run on are included.

    Args:
        predictions: A prediction table of one protocol.

    Raises:
        ConfigurationError: If protocols are mixed, there is no such target, or the classes are not the paper's.
    """
    published.check_same_classes(predictions)
    table = side_by_side(predictions, published.comparable())
    conditions = distinct(table, "condition")
    on = table.groupby("target", sort=False)["condition"].nunique()
    targets = [str(target) for target in on[on == len(conditions)].index]
    if not targets:
        raise ConfigurationError("No target has been run under every condition; select fewer conditions.")
    means = (
        table[table["target"].isin(targets)]
        .groupby(["condition", "measure"], sort=False)[["ours", "paper", "difference"]]
        .mean()
        .round(9)  # otherwise the order of targets decides how a half is rounded
    )
    rows = []
    for condition in conditions:
        cells = [condition]
        for name in PUBLISHED.values():
            ours, theirs, difference = means.loc[[(condition, name)]].to_numpy()[0]
            cells += [number(ours, ".3f"), number(theirs, ".3f"), number(difference, "+.3f")]
        rows.append(cells)
    return TextTable(
        title=f"Mean over {', '.join(map(words, targets))}, protocol '{single(predictions, 'protocol')}'",
        columns=["condition", *_heads()],
        rows=rows,
        notes=[
            f"Ours: mean over {runs_in_words(predictions)}, then over targets.",
            "Paper: mean of its Table C.1 over the same targets (its Table 5 is over eight).",
            *_table_5(means, conditions, targets),
        ],
    )


def _table_5(means: pd.DataFrame, conditions: list[str], targets: list[str]) -> list[str]:
    """Notes on where the paper's Table 5, over all eight targets, differs from the mean of its Table C.1."""
    if set(targets) != {target for _, target in published.ABLATION}:
        return []
    notes = []
    for condition in conditions:
        printed = published.MEANS[condition]
        mean = [float(means["paper"].loc[[(condition, name)]].to_numpy()[0]) for name in PUBLISHED.values()]
        if max(abs(one - other) for one, other in zip(printed, mean, strict=True)) > 0.01:
            numbers = zip(PUBLISHED.values(), printed, strict=True)
            said = ", ".join(f"{words(name)} {value:.2f}" for name, value in numbers)
            notes.append(f"The paper's Table 5 gives different means for {condition}: {said}.")
    return notes


def paper_targets_table(predictions: pd.DataFrame) -> TextTable:
    """Every target under all conditions, next to the paper's numbers (Table C.1).

    A target in which groups and a class coincide (`CONFOUNDED`) is followed by a row without that class, for
    which the paper has no number.

    Args:
        predictions: A prediction table of one protocol.

    Raises:
        ConfigurationError: If protocols are mixed, the paper reports none of the targets, or the classes are not its own.
    """
    published.check_same_classes(predictions)
    compared = side_by_side(predictions, published.comparable()).set_index(["condition", "target", "measure"])
    compared = compared[["paper", "difference"]]
    measured = score(with_views(predictions), resamples=0)
    pairs = {(condition, target) for condition, target, _ in compared.index}
    known = {target for _, target in pairs}
    views = {target: view_of(target) for target in known & set(CONFOUNDED)}
    order = [
        name for target in distinct(predictions, "target") for name in (target, views.get(target)) if name
    ]
    found = dict(iter(measured.groupby(["target", "condition"], sort=False)))
    rows = []
    for target, condition in itertools.product(order, distinct(predictions, "condition")):
        runs = found.get((target, condition))
        if runs is None or (target not in views.values() and (condition, target) not in pairs):
            continue
        cells = [condition, words(target)]
        for name in PUBLISHED.values():
            cells.append(with_sd(runs[name].mean(), runs[name].std()))
            if target in views.values():
                cells += [NOTHING, NOTHING]
            else:
                theirs, difference = compared.loc[[(condition, target, name)]].to_numpy()[0]
                cells += [number(theirs, ".2f"), number(difference, "+.2f")]
        rows.append(cells)
    return TextTable(
        title=f"Every target, protocol '{single(predictions, 'protocol')}'",
        columns=["condition", "target", *_heads()],
        rows=rows,
        names=2,
        notes=[
            f"Ours: mean ± standard deviation over {runs_in_words(predictions)}.",
            f"Ours averages classes with at least {MIN_CELLS} query cells; one never predicted scores 0.",
            *published.remarks(distinct(predictions, "target")),
        ],
    )


def source_table(predictions: pd.DataFrame) -> TextTable:
    """The held-out fifth of every source that the paper also reports, next to its numbers (section "Classification").

    Args:
        predictions: Held-out predictions, as returned by `cellda.experiment.stages.held_out_predictions`.

    Raises:
        ConfigurationError: If the paper reports none of the sources, or the classes are not its own.
    """
    published.check_same_classes(predictions)
    rows = [
        [
            words(str(row["target"])),
            words(row["measure"]),
            number(row["ours"], ".3f"),
            number(row["paper"], ".2f"),
            number(row["difference"], "+.3f"),
        ]
        for row in side_by_side(predictions, published.source()).to_dict("records")
    ]
    return TextTable(
        title="Held-out fifth of the sources",
        columns=["source", "measure", "ours", "paper", "difference"],
        rows=rows,
        names=2,
    )


def of_condition(predictions: pd.DataFrame, condition: str) -> pd.DataFrame:
    """The rows of one condition.

    Raises:
        ConfigurationError: If there are none; the message suggests similar names.
    """
    return in_order(predictions, [condition])


def _next_to(ours: Estimate, theirs: float) -> list[Cell]:
    if math.isnan(theirs):
        return [with_interval(ours), NOTHING, NOTHING]
    return [with_interval(ours), number(theirs, ".2f"), number(ours.value - theirs, "+.2f")]


def _heads() -> list[str]:
    return [f"{words(name)}: {who}" for name in PUBLISHED.values() for who in ("ours", "paper", "difference")]
