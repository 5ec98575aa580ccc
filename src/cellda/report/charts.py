"""Charts of a report, as SVG."""

import io

import pandas as pd
from matplotlib.figure import Figure

from cellda.evaluation.abstention import risk_coverage
from cellda.evaluation.calibration import reliability
from cellda.evaluation.curves import precision_recall_curves
from cellda.reporting.figures import blank_figure, plain_axes
from cellda.taxonomies.colours_of_classes import colours_of

BLUE, GREY, RED = "#0072B2", "#777777", "#D55E00"


def svg(figure: Figure) -> str:
    """A figure as the text of an SVG image, without a timestamp."""
    with io.StringIO() as content:
        figure.savefig(content, format="svg", metadata={"Date": None})
        text = content.getvalue()
    return text[text.index("<svg") :]


def reliability_chart(predictions: pd.DataFrame) -> Figure:
    """How often predictions of each confidence are right; on the diagonal, the model says what is true."""
    bins = reliability(predictions, 10)
    figure = blank_figure(3.6, 3.2)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=GREY, lw=1, ls="--", label="as it should be")
    sizes = 15 + 250 * bins["cells"] / bins["cells"].sum()
    axes.scatter(bins["confidence"], bins["accuracy"], s=sizes, color=BLUE, alpha=0.8, label="this model")
    axes.plot(bins["confidence"], bins["accuracy"], color=BLUE, lw=1, alpha=0.5)
    axes.set(xlim=(0, 1.02), ylim=(0, 1.05), xlabel="confidence", ylabel="share that is right")
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    plain_axes(axes)
    return figure


def risk_chart(predictions: pd.DataFrame) -> Figure:
    """How many predictions are wrong if only the surest are taken."""
    curve = risk_coverage(predictions)
    figure = blank_figure(3.6, 3.2)
    axes = figure.subplots()
    axes.plot(100 * curve["coverage"], 100 * curve["risk"], color=BLUE, lw=2)
    axes.set(
        xlim=(0, 100),
        ylim=(0, None),
        xlabel="decided cells, the surest first (%)",
        ylabel="of these, wrong (%)",
    )
    plain_axes(axes)
    return figure


def curves_chart(predictions: pd.DataFrame) -> Figure | None:
    """Precision against recall of every class with at least five cells; None if there is none."""
    curves = precision_recall_curves(predictions)
    names = [name for name in curves if name != "macro"]
    if not names:
        return None
    colours = colours_of(names)
    figure = blank_figure(6.4, 3.4)
    axes = figure.subplots()
    for name in names:
        one = curves[name]
        label = f"{name} ({one.average_precision:.2f})"
        axes.step(one.recall, one.precision, where="post", color=colours[name], lw=1.8, label=label)
    axes.set(xlim=(0, 1.01), ylim=(0, 1.03), xlabel="recall", ylabel="precision")
    figure.legend(loc="outside right upper", frameon=False, fontsize=8, title="average precision")
    plain_axes(axes)
    return figure


def counts_chart(counts: pd.DataFrame) -> Figure:
    """Shares of the classes as they were counted, with their 95 % intervals.

    Args:
        counts: The rows of one group of `cellda.evaluation.counts.by_group`.
    """
    colours = colours_of(list(counts["class"]))
    figure = blank_figure(6.4, 0.9 + 0.42 * len(counts))
    axes = figure.subplots()
    place = list(range(len(counts)))[::-1]
    axes.barh(
        place,
        100 * counts["raw"],
        color=[colours[name] for name in counts["class"]],
        height=0.6,
        alpha=0.85,
    )
    axes.hlines(place, 100 * counts["low"], 100 * counts["high"], color="#222222", lw=1.5)
    axes.set_yticks(place, list(counts["class"]))
    axes.set(
        xlim=(0, min(100, 100 * float(counts["high"].max()) * 1.1)),
        xlabel="share of the cells (%); line: 95 % interval",
    )
    plain_axes(axes)
    axes.yaxis.grid(False)
    axes.xaxis.grid(True, color="#dddddd", lw=0.8)
    return figure
