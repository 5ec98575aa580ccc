"""The paper's curves of results, from predictions: Figs. 7, B.1 and D.1 to D.3."""

from collections.abc import Callable
from textwrap import wrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cellda.errors import ConfigurationError
from cellda.evaluation.average_curves import AverageCurve, average_curves
from cellda.evaluation.predictions import classes_of, single
from cellda.evaluation.sample_size import class_scores_by_size, with_sizes
from cellda.reporting.figures import blank_figure, plain_axes
from cellda.reporting.paper.tables import of_condition
from cellda.reporting.tables.conditions import distinct, scores, words
from cellda.taxonomies.colours_of_classes import colours_of

LINES = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#000000", "#777777")
"""Colours of the lines of targets: `PALETTE` with grey instead of yellow, which is hard to see on white."""

FEW = 6
"""Curves whose names fit inside a panel."""

_DASHES = ("-", "--", "-.", ":", (0, (7, 2, 1, 2, 1, 2)), (0, (2, 1)), (0, (9, 3)), (0, (1, 3)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def precision_recall(predictions: pd.DataFrame, condition: str) -> Figure:
    """One precision-recall curve per target, averaged over classes and runs (Fig. 7).

    Bands are the standard deviation over runs; the legend gives the mean average precision.

    Raises:
        ConfigurationError: If there are no predictions of the condition, protocols are mixed, there are more
            targets than colours, or no class has 5 query cells.
    """
    curves = {target: of["macro"] for target, of in _curves(predictions, condition).items() if "macro" in of}
    if not curves:
        raise ConfigurationError("No class has enough query cells for a precision-recall curve.")
    _enough_colours(len(curves))
    figure = blank_figure(5.4, 4.6)
    axes = figure.subplots()
    for index, (target, curve) in enumerate(curves.items()):
        _draw_curve(axes, curve, words(target), index, LINES[index])
    axes.set_title(_titled(predictions, condition), fontsize=10)
    _recall_axes(axes)
    axes.set_xlabel("recall")
    axes.set_ylabel("precision (mean over classes)")
    axes.legend(loc="lower left", fontsize=8, title="average precision", title_fontsize=8)
    return figure


def precision_recall_per_class(predictions: pd.DataFrame, condition: str) -> Figure:
    """One panel per target with one precision-recall curve per class, averaged over runs (Fig. B.1).

    Raises:
        ConfigurationError: If there are no predictions of the condition, or protocols are mixed.
    """
    found = _curves(predictions, condition)
    colours = colours_of(classes_of(predictions))
    numbers = {name: number for number, name in enumerate(colours)}

    def draw(axes: Axes, target: str) -> None:
        for name, colour in colours.items():
            if name in found[target]:
                _draw_curve(axes, found[target][name], name, numbers[name], colour)
        _recall_axes(axes)
        # A long list would cover the curves.
        beside = (
            {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)}
            if len(axes.lines) > FEW
            else {"loc": "lower left"}
        )
        axes.legend(fontsize=7, title="average precision", title_fontsize=7, **beside)

    width = 6.0 if max(map(len, found.values())) > FEW + 1 else 3.6  # "macro" is not drawn
    return _panels(list(found), draw, _titled(predictions, condition), "recall", "precision", width)


def accuracy_by_size(predictions: pd.DataFrame, condition: str) -> Figure:
    """Accuracy against the number of labelled cells, one line per target (Fig. D.1).

    Lines are means over runs, bands the standard deviation.

    Raises:
        ConfigurationError: If no predictions of the condition name a size, protocols are mixed, or there are
            more targets than colours.
    """
    sized = with_sizes(predictions, condition)
    title = _titled(sized, condition)
    targets = distinct(sized, "target")
    _enough_colours(len(targets))
    size_of = dict(zip(sized["condition"], sized["size"], strict=True))
    measured = scores(sized, resamples=0)
    measured["size"] = measured["condition"].map(size_of)
    figure = blank_figure(5.4, 4.0)
    axes = figure.subplots()
    for index, target in enumerate(targets):
        here = measured[measured["target"] == target]
        _draw_sizes(axes, here, "accuracy", words(target), index, LINES[index])
    axes.set_title(title, fontsize=10)
    _size_axes(axes, measured["size"])
    axes.set_xlabel("labelled cells of the target, n")
    axes.set_ylabel("accuracy")
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return figure


def class_rates_by_size(predictions: pd.DataFrame, condition: str, rate: str) -> Figure:
    """Precision (Fig. D.2) or recall (Fig. D.3) of every class against the number of labelled cells.

    One panel per target, one line per class; lines are means over runs, bands the standard deviation. A class counts in the
    runs where it has at least 5 query cells.

    Args:
        predictions: A prediction table of one protocol.
        condition: The condition that was run at several sizes.
        rate: `"precision"`, `"recall"` or `"f1"`.

    Raises:
        ConfigurationError: If no predictions of the condition name a size, or protocols are mixed.
    """
    measured = class_scores_by_size(predictions, condition)
    colours = colours_of(classes_of(predictions))

    def draw(axes: Axes, target: str) -> None:
        here = measured[measured["target"] == target]
        for index, (name, colour) in enumerate(colours.items()):
            _draw_sizes(axes, here[here["class"] == name], rate, name, index, colour)
        _size_axes(axes, measured["size"])

    title = _titled(with_sizes(predictions, condition), condition)
    figure = _panels(distinct(measured, "target"), draw, title, "labelled cells of the target, n", rate)
    lines: dict[str, Line2D] = {
        str(line.get_label()): line
        for axes in figure.axes
        for line in axes.lines
        if not str(line.get_label()).startswith("_")
    }
    shown = [name for name in colours if name in lines]
    # On the right: below, it would cover the label that the panels share.
    figure.legend(
        [lines[name] for name in shown], shown, loc="outside right center", frameon=False, fontsize=8
    )
    return figure


def _curves(predictions: pd.DataFrame, condition: str) -> dict[str, dict[str, AverageCurve]]:
    rows = of_condition(predictions, condition)
    single(rows, "protocol")
    return {
        target: average_curves(rows[(rows["target"] == target).to_numpy(dtype=bool)])
        for target in distinct(rows, "target")
    }


def _titled(predictions: pd.DataFrame, condition: str) -> str:
    return f"{words(condition)}, protocol '{single(predictions, 'protocol')}'"


def _enough_colours(lines: int) -> None:
    if lines > len(LINES):
        raise ConfigurationError(
            f"A figure of lines shows at most {len(LINES)} targets, not {lines}; select some."
        )


def _draw_curve(axes: Axes, curve: AverageCurve, name: str, index: int, colour: str) -> None:
    area = f"{curve.average_precision:.2f}"
    if curve.runs > 1:
        area += f" ±{curve.average_precision_sd:.2f}"
    label = f"{name} {area}"
    axes.plot(
        curve.recall,
        curve.precision,
        linestyle=_DASHES[index % len(_DASHES)],
        color=colour,
        lw=1.6,
        label=label,
    )
    low, high = curve.precision - curve.sd, np.minimum(curve.precision + curve.sd, 1)
    axes.fill_between(curve.recall, low, high, color=colour, alpha=0.15, lw=0)


def _draw_sizes(axes: Axes, runs: pd.DataFrame, measure: str, name: str, index: int, colour: str) -> None:
    """One line with its band; nothing if there are no runs."""
    if runs.empty:
        return
    spread = runs.groupby("size")[measure].agg(["mean", "std"])
    axes.plot(
        spread.index,
        spread["mean"],
        linestyle=_DASHES[index % len(_DASHES)],
        marker=_MARKERS[index % len(_MARKERS)],
        ms=4,
        lw=1.6,
        color=colour,
        label=name,
    )
    half = spread["std"].fillna(0)
    low, high = (spread["mean"] - half).clip(0, 1), (spread["mean"] + half).clip(0, 1)
    axes.fill_between(spread.index, low, high, color=colour, alpha=0.15, lw=0)


def _recall_axes(axes: Axes) -> None:
    axes.set_xlim(0, 1)
    # Short labels, because the last of one panel is next to the first of the next.
    axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1], ["0", "0.2", "0.4", "0.6", "0.8", "1"])
    axes.set_ylim(0, 1.02)
    plain_axes(axes)


def _size_axes(axes: Axes, sizes: "pd.Series[int]") -> None:
    axes.set_xticks(sorted(sizes.unique()))
    axes.set_ylim(0, 1.02)
    plain_axes(axes)


def _panels(
    targets: list[str],
    draw: Callable[[Axes, str], None],
    title: str,
    xlabel: str,
    ylabel: str,
    width: float = 3.6,
) -> Figure:
    """A grid of panels `width` inches wide, one per target, at most four per row."""
    columns = min(len(targets), 2 if len(targets) <= 4 else 4)
    rows = -(-len(targets) // columns)
    figure = blank_figure(max(4.2, width * columns), 0.9 + 3.1 * rows)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes, target in zip(grid.flat, targets, strict=False):
        draw(axes, target)
        axes.set_title(words(target), fontsize=10)
    for axes in grid.flat[len(targets) :]:
        axes.set_visible(False)
    figure.suptitle("\n".join(wrap(title, round(figure.get_figwidth() * 12))), fontsize=11)
    figure.supxlabel(xlabel, fontsize=10)
    figure.supylabel(ylabel, fontsize=10)
    return figure
