"""Accuracy by target next to the paper's, as bars (Fig. 6)."""

from textwrap import wrap

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cellda.evaluation.bootstrap import RESAMPLES
from cellda.evaluation.metrics import average
from cellda.evaluation.predictions import single
from cellda.reporting.figures import PALETTE, blank_figure, plain_axes
from cellda.reporting.paper import published
from cellda.reporting.paper.tables import of_condition
from cellda.reporting.tables.conditions import distinct, words


def accuracy_bars(
    predictions: pd.DataFrame, condition: str, resamples: int = RESAMPLES, seed: int = 0
) -> Figure:
    """Accuracy on every target, with bootstrap intervals, next to the paper's bars (Fig. 6).

    Ours is the mean over runs; its interval redraws groups of images (`cellda.evaluation.metrics.average`).
    A target that the paper does not report, or all if the predictions are of other classes than the paper's, have one bar. The
    paper prints no interval as a number.

    Raises:
        ConfigurationError: If there are no predictions of the condition, or protocols are mixed.
    """
    predictions = of_condition(predictions, condition)
    protocol = single(predictions, "protocol")
    targets = distinct(predictions, "target")
    known = published.ablation()[: None if published.same_classes(predictions) else 0]
    paper = known.query("condition == @condition").set_index("target")["accuracy"]
    ours = [
        average(predictions[(predictions["target"] == target).to_numpy(dtype=bool)], resamples, seed)[
            "accuracy"
        ]
        for target in targets
    ]
    figure = blank_figure(max(4.5, 1.5 + 1.15 * len(targets)), 3.6)
    axes = figure.subplots()
    at = np.arange(len(targets))
    values = [estimate.value for estimate in ours]
    ends = np.array([[e.value - e.low, e.high - e.value] for e in ours]).T
    axes.bar(
        at - 0.2, values, 0.36, color=PALETTE[4], label=f"ours, protocol '{protocol}', with 95 % intervals"
    )
    axes.errorbar(at - 0.2, values, yerr=np.nan_to_num(ends), fmt="none", ecolor="#222222", capsize=3, lw=1)
    shown = [index for index, target in enumerate(targets) if target in paper.index]
    theirs = [paper[targets[index]] for index in shown]
    if shown:
        axes.bar(np.array(shown) + 0.2, theirs, 0.36, color=PALETTE[0], label="paper")
    for x, estimate in zip(at, ours, strict=True):
        axes.text(
            x - 0.2,
            0.03,
            f"{estimate.value:.2f}",
            ha="center",
            fontsize=8,
            color="white" if estimate.value > 0.1 else "#222222",
        )
    for index, value in zip(shown, theirs, strict=True):
        axes.text(index + 0.2, 0.03, f"{value:.2f}", ha="center", fontsize=8)
    axes.set_xticks(at, [words(target) for target in targets])
    axes.set_ylim(0, 1)
    axes.set_ylabel("accuracy")
    plain_axes(axes)
    axes.tick_params(axis="x", length=0)
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    if remarks := published.remarks([targets[index] for index in shown]):
        lines = [line for remark in remarks for line in wrap(remark, round(figure.get_figwidth() * 15))]
        figure.supxlabel("\n".join(lines), fontsize=7)
    return figure
