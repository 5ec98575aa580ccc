"""A map of the cells: those that the network takes for alike lie together. Pointing at a cell shows it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from bokeh.embed import components
from bokeh.layouts import column, row
from bokeh.models import CDSView, ColumnDataSource, CustomJS, CustomJSFilter, HoverTool
from bokeh.models.widgets import Select
from bokeh.plotting import figure
from bokeh.resources import Resources
from jaxtyping import Float
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from torch import Tensor

from cellda.report.content import Cells
from cellda.report.pictures import SIDE
from cellda.taxonomies.colours_of_classes import colours_of

FEWEST = 10
"""Cells, below which a map says nothing."""
ALL = "all"
NO_CLASS = "no class"

_FILTER = """
const chosen = [klass.value, part.value, verdict.value];
const names = ["shown_class", "part", "verdict"];
return Array.from({length: source.get_length()}, (_, i) =>
  names.every((name, k) => chosen[k] === "all" || source.data[name][i] === chosen[k]));
"""
_TOOLTIP = f"""
<div style="max-width: 16rem">
  <div style="width: {SIDE}px; height: {SIDE}px; background-image: var(--cells); background-position: @at"></div>
  <div><b>@shown_class</b> @confidence{{0.00}}</div><div>@told</div><div style="word-break: break-all">@path</div>
</div>
"""


def projected(embeddings: Float[Tensor, "n d"]) -> npt.NDArray[np.float64]:
    """The cells in a plane `(N, 2)`: t-SNE of the first 30 principal components (van der Maaten & Hinton 2008)."""
    values = embeddings.double().numpy()
    reduced = PCA(min(30, *values.shape), random_state=0).fit_transform(values)
    near = TSNE(perplexity=min(30.0, (len(values) - 1) / 3), init="pca", random_state=0)
    placed: npt.NDArray[np.float64] = np.asarray(near.fit_transform(reduced), np.float64)
    return placed


def verdicts(cells: Cells) -> list[str]:
    """What is known of each cell: `right`, `wrong`, or `not known`."""
    table = cells.table
    return [
        "not known" if not label else "right" if label == predicted else "wrong"
        for label, predicted in zip(table["label"], table["predicted"], strict=True)
    ]


def embedding_map(
    cells: Cells, places: npt.NDArray[np.float64], sheet: Sequence[tuple[int, int]]
) -> tuple[str, str]:
    """The map as two parts of a page: its scripts, Bokeh's own included, and where it is drawn.

    Args:
        cells: The cells.
        places: `(N, 2)`, from `projected`.
        sheet: Where each cell lies in the picture of all cells, from `pictures.sheet`.
    """
    table = cells.table
    names = [name or NO_CLASS for name in table["predicted"]]
    colours = {**colours_of(sorted(set(names) - {NO_CLASS})), NO_CLASS: "#999999"}
    told, verdict = [], verdicts(cells)
    for label, state, flag in zip(table["label"], verdict, table["flag"], strict=True):
        told.append((f"is {label}" if state == "wrong" else state) + (f", {flag}" if flag else ""))
    source = ColumnDataSource(
        {
            "x": places[:, 0],
            "y": places[:, 1],
            "shown_class": names,
            "colour": [colours[name] for name in names],
            "edge": ["#000000" if state == "wrong" else "#ffffff" for state in verdict],
            "part": list(table["part"]),
            "verdict": verdict,
            "confidence": table["confidence"].astype(float),
            "told": told,
            "path": list(table["path"]),
            "at": [f"{-x * SIDE}px {-y * SIDE}px" for x, y in sheet],
        }
    )
    known = dict.fromkeys(verdict)
    offered: list[tuple[str, str, list[Any], int]] = [
        ("klass", "class", sorted(set(names)), 190),
        ("part", "set", sorted(set(table["part"])), 150),
        ("verdict", "right or wrong", list(known), 150),
    ]
    chosen: dict[str, Any] = {
        name: Select(title=title, value=ALL, options=[ALL, *options], width=width)
        for name, title, options, width in offered
    }
    view = CDSView(filter=CustomJSFilter(args={**chosen}, code=_FILTER))
    for one in chosen.values():
        one.js_on_change("value", CustomJS(args={"source": source}, code="source.change.emit()"))
    plot = figure(
        height=460,
        sizing_mode="stretch_width",
        tools=[HoverTool(tooltips=_TOOLTIP), "pan", "wheel_zoom", "reset"],
        toolbar_location="above",
        x_axis_location=None,
        y_axis_location=None,
        output_backend="canvas",
    )
    plot.grid.visible = False
    plot.toolbar.logo = None
    plot.scatter(
        "x", "y", source=source, view=view, size=9, color="colour", line_color="edge", line_width=1.2, alpha=0.9,
        legend_group="shown_class",
    )  # fmt: skip
    plot.add_layout(plot.legend[0], "below")
    plot.legend.orientation = "horizontal"
    script, div = components(
        column(row(*chosen.values(), sizing_mode="stretch_width"), plot, sizing_mode="stretch_width")
    )
    library = Resources(mode="inline", components=["bokeh", "bokeh-widgets"]).render_js()
    return library + script, div
