"""The map of the cells on paper."""

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from cellda.report.content import Cells
from cellda.report.embedding_map import NO_CLASS, verdicts
from cellda.reporting.figures import blank_figure
from cellda.taxonomies.colours_of_classes import colours_of


def static_map(cells: Cells, places: npt.NDArray[np.float64]) -> Figure:
    """The cells in a plane, in the colour of their predicted class; wrong ones have a black edge.

    Args:
        cells: The cells.
        places: `(N, 2)`, from `embedding_map.projected`.
    """
    names = np.array([name or NO_CLASS for name in cells.table["predicted"]])
    wrong = np.array([state == "wrong" for state in verdicts(cells)])
    colours = {**colours_of(sorted(set(names) - {NO_CLASS})), NO_CLASS: "#999999"}
    figure = blank_figure(7.0, 4.2)
    axes = figure.subplots()
    for name in sorted(set(names)):
        for edge, chosen in (("white", ~wrong), ("black", wrong)):
            own = places[(names == name) & chosen]
            label = name if edge == "white" else None
            style: dict[str, Any] = {"color": colours[name], "edgecolors": edge, "linewidths": 0.7}
            axes.scatter(own[:, 0], own[:, 1], s=18, label=label, **style)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return figure
