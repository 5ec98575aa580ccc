"""The critical-difference diagram (Demšar 2006, Fig. 1): mean ranks on a line, bars over conditions that do not differ."""

import math
from typing import Any

from matplotlib.figure import Figure

from cellda.errors import ConfigurationError
from cellda.evaluation.ranks import Ranking
from cellda.reporting.figures import blank_figure
from cellda.text import counted

_ROW = 0.2
"""Inches between two names, and between two bars."""


def critical_difference_diagram(ranking: Ranking) -> Figure:
    """Mean ranks of conditions, the best on the left; those joined by a bar do not differ at 0.05 (Nemenyi).

    The better half is labelled on the left, the other on the right; the critical difference is drawn above.

    Args:
        ranking: Of at least two conditions.

    Raises:
        ConfigurationError: If there is only one condition.
    """
    names, count = list(map(str, ranking.mean_ranks.index)), len(ranking.mean_ranks)
    if count < 2:
        raise ConfigurationError("A critical-difference diagram compares at least two ranked conditions.")
    values, cliques = list(map(float, ranking.mean_ranks)), ranking.cliques()
    left = math.ceil(count / 2)
    depth = len(cliques) + 1 + left  # rows below the axis
    figure = blank_figure(8.0, 0.9 + _ROW * (depth + 3))
    axes = figure.subplots()
    axes.set_axis_off()
    margin = 0.45 * (count - 1)
    axes.set_xlim(1 - margin, count + margin)
    axes.set_ylim(-depth - 0.5, 3.5)

    line: dict[str, Any] = {"color": "#222222", "lw": 1.0, "solid_capstyle": "butt"}
    axes.plot([1, count], [0, 0], **line)
    step = max(1, math.ceil((count - 1) / 10))
    ticks = [*range(1, count, step), count]
    if len(ticks) > 2 and ticks[-1] - ticks[-2] < step:
        del ticks[-2]
    for tick in ticks:
        axes.plot([tick, tick], [0, 0.3], **line)
        axes.text(tick, 0.45, str(tick), ha="center", va="bottom", fontsize=8)
    length = ranking.critical_difference
    axes.plot([1, 1 + length], [2.2, 2.2], **line)
    for end in (1, 1 + length):
        axes.plot([end, end], [2.0, 2.4], **line)
    axes.text(1 + length / 2, 2.5, f"critical difference {length:.2f}", ha="center", va="bottom", fontsize=8)
    axes.text(
        count,
        2.5,
        f"mean rank over {counted(ranking.blocks, 'block(s)')}",
        ha="right",
        va="bottom",
        fontsize=8,
        color="#555555",
    )

    for number, clique in enumerate(cliques):
        ends = [values[names.index(clique[0])] - 0.06, values[names.index(clique[-1])] + 0.06]
        axes.plot(ends, [-number - 0.8] * 2, color="#D55E00", lw=3, solid_capstyle="butt")
    for number, (name, value) in enumerate(zip(names, values, strict=True)):
        better = number < left
        row = number if better else count - 1 - number
        y = -(len(cliques) + 1 + row)
        edge = 1 - 0.03 * margin if better else count + 0.03 * margin
        axes.plot([value, value, edge], [0, y, y], color="#555555", lw=0.8)
        axes.text(
            edge + 0.04 * margin * (-1 if better else 1),
            y,
            f"{name}  {value:.2f}" if better else f"{value:.2f}  {name}",
            ha="right" if better else "left",
            va="center",
            fontsize=8,
        )
    return figure
