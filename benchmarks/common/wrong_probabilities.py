"""The figure of the probabilities that wrong predictions give each class (paper, Fig. 13)."""

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cellda.errors import ConfigurationError
from cellda.evaluation.predictions import classes_of, probability_columns
from cellda.evaluation.wrong import second_chances, wrong, wrong_profiles
from cellda.reporting.figures import blank_figure
from cellda.taxonomies.colours import palette

_PER_ROW = 3


def wrong_probabilities(predictions: pd.DataFrame) -> Figure:
    """Probabilities that wrong predictions give each class: one panel for each true class with wrong predictions.

    Bars are means, dots are individual cells (the first 200), and the true class's bar is outlined in black. The title
    gives the number of wrong predictions, and how many of them have the true class as the second most probable.

    Args:
        predictions: Rows of a prediction table.

    Raises:
        ConfigurationError: If no prediction is wrong.
    """
    missed, chances = wrong(predictions), second_chances(predictions).set_index("label")
    profiles = wrong_profiles(predictions)
    if profiles.empty:
        raise ConfigurationError("None of these predictions is wrong; there is nothing to show.")
    columns = min(_PER_ROW, len(profiles))
    rows = math.ceil(len(profiles) / columns)
    figure = blank_figure(3.4 * columns, 3.1 * rows)
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    classes = classes_of(predictions)
    shown, colours = list(probability_columns(classes)), list(palette(classes).values())
    at = np.arange(len(classes))
    for axes, (_, profile) in zip(grid.ravel(), profiles.iterrows(), strict=False):
        label = str(profile["label"])
        means = profile[shown].to_numpy(dtype=float)
        outline = ["black" if name == label else "none" for name in classes]
        axes.bar(at, means, 0.8, color=colours, edgecolor=outline, linewidth=1.8)
        single = missed.loc[(missed["label"] == label).to_numpy(dtype=bool), shown].head(200)
        # Spread sideways by a fixed pattern, so that figures are reproducible.
        aside = np.linspace(-0.28, 0.28, len(single)) if len(single) > 1 else np.zeros(1)
        for index, column in enumerate(shown):
            axes.plot(index + aside, single[column], "o", ms=2, mfc="white", mec="#222222", mew=0.4)
        one = chances.loc[label]
        axes.set_title(
            f"{label}: {one['wrong']:.0f} of {one['cells']:.0f} wrong\ntrue class second: "
            f"{one['second_is_true']:.0f} of {one['wrong']:.0f}",
            fontsize=9,
        )
        axes.set_xticks(at, [name[:3].upper() for name in classes], fontsize=8)
        axes.set_ylim(0, 1)
        axes.yaxis.grid(True, color="#dddddd", lw=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(axis="x", length=0)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel("probability")
    figure.supxlabel("class (outlined: the true one)", fontsize=9)
    for axes in grid.ravel()[len(profiles) :]:
        axes.set_axis_off()
    return figure
