"""Maps of cells in two dimensions: colour and shape of a point show what the cell is (paper, Figs. 8 to 11)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cellda.errors import ConfigurationError
from cellda.reporting.figures import PALETTE, blank_figure
from cellda.taxonomies import DEFAULT, create

MARKERS = ("o", "X", "s", "^", "D", "v", "P", "<", ">", "p", "h", "d")
"""Shapes: categories stay distinguishable without colour."""

_COLOURS = (*(colour for colour in PALETTE if colour != "#F0E442"), "#F0E442")
_PER_ROW = 2


@dataclass(frozen=True)
class Map:
    """One panel.

    Attributes:
        title: Above the panel.
        points: `(N, 2)`.
        colours: Category of each point, shown by its colour.
        shapes: Category shown by its shape; empty if the shape shows the same as the colour.
        ringed: Which points have a black ring; empty for none.
        notes: Short texts, and the position of each.
    """

    title: str
    points: Float[npt.NDArray[np.float32], "n 2"]
    colours: Sequence[str]
    shapes: Sequence[str] = ()
    ringed: Bool[npt.NDArray[np.bool_], " n"] | Sequence[bool] = ()
    notes: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def cell_maps(
    maps: Sequence[Map], colour_title: str, shape_title: str = "", ring_title: str = "", title: str = ""
) -> Figure:
    """Maps side by side, two per row, with one legend.

    Classes have the same colours (those of the taxonomy) and shapes in every figure; other categories take theirs in order
    of appearance.

    Args:
        maps: The panels.
        colour_title: What colours stand for.
        shape_title: What shapes stand for, where panels have `shapes`.
        ring_title: What a ring stands for, where points are ringed.
        title: Title of the figure.

    Raises:
        ConfigurationError: If there is no map, points and categories do not match in number, or there are more
            categories than shapes.
    """
    colours = list(dict.fromkeys(name for one in maps for name in one.colours))
    shapes = list(dict.fromkeys(name for one in maps for name in one.shapes))
    _check(maps, colours, shapes)
    shade, marker = (
        dict(zip(colours, cycle(_COLOURS), strict=False)),
        dict(zip(shapes or colours, MARKERS, strict=False)),
    )
    own = create(DEFAULT).colours
    if set(colours) <= set(own):
        colours = [name for name in own if name in colours]
        shade = dict(own)
        marker = marker if shapes else dict(zip(own, MARKERS, strict=False))
    columns = min(_PER_ROW, len(maps))
    rows = math.ceil(len(maps) / columns)
    figure = blank_figure(4.3 * columns + 1.8, 4.4 * rows + 0.35 * bool(title))
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, one in zip(grid, maps, strict=False):
        _draw(axes, one, shade, marker)
    for axes in grid[len(maps) :]:
        axes.set_axis_off()
    handles = [_heading(colour_title)]
    handles += [_key(name, "o" if shapes else marker[name], shade[name]) for name in colours]
    if shapes:
        handles += [
            _heading(""),
            _heading(shape_title),
            *(_key(name, marker[name], "#BBBBBB") for name in shapes),
        ]
    if any(np.any(one.ringed) for one in maps):
        handles += [
            _heading(""),
            Line2D([], [], ls="none", marker="o", mfc="none", mec="black", ms=8, label=ring_title),
        ]
    legend = figure.legend(
        handles=handles, loc="outside right center", frameon=False, fontsize=9, handlelength=1.2
    )
    for handle, text in zip(handles, legend.get_texts(), strict=True):
        text.set_fontweight("bold" if handle.get_marker() == "None" else "normal")
    if title:
        figure.suptitle(title)
    return figure


def _check(maps: Sequence[Map], colours: Sequence[str], shapes: Sequence[str]) -> None:
    if not maps:
        raise ConfigurationError("A figure of maps needs at least one map.")
    for one in maps:
        lengths = {len(one.points), len(one.colours)} | {len(x) for x in (one.shapes, one.ringed) if len(x)}
        if len(lengths) != 1:
            raise ConfigurationError(
                f"The map '{one.title}' has {len(one.points)} points, {len(one.colours)} colours, {len(one.shapes)} "
                f"shapes and {len(one.ringed)} rings; each point needs one of each that is given."
            )
    if len(shapes or colours) > len(MARKERS):
        raise ConfigurationError(
            f"A map can show at most {len(MARKERS)} categories, not {len(shapes or colours)}; select some."
        )


def _draw(axes: Axes, one: Map, shade: Mapping[str, str], marker: Mapping[str, str]) -> None:
    colours, shapes = np.asarray(one.colours), np.asarray(one.shapes or one.colours)
    for shape in marker:
        inside = shapes == shape
        x, y = one.points[inside].T
        axes.scatter(
            x, y, s=16, c=[shade[name] for name in colours[inside]], marker=marker[shape],
            linewidths=0.25, edgecolors="#333333", alpha=0.8,
        )  # fmt: skip
    if np.any(one.ringed):
        x, y = one.points[np.asarray(one.ringed)].T
        axes.scatter(x, y, s=60, facecolors="none", edgecolors="black", linewidths=0.9)
    for text, place in one.notes.items():
        axes.annotate(
            text, place, ha="center", va="center", fontsize=11, fontweight="bold",
            bbox={"boxstyle": "circle,pad=0.25", "fc": "white", "ec": "black", "alpha": 0.9},
        )  # fmt: skip
    axes.set_title(one.title, fontsize=10)
    axes.set(xticks=[], yticks=[])
    axes.margins(0.06)


def _heading(text: str) -> Line2D:
    return Line2D([], [], ls="none", marker="None", label=text)


def _key(name: str, marker: str, colour: str) -> Line2D:
    return Line2D(
        [],
        [],
        ls="none",
        marker=marker,
        mfc=colour,
        mec="#333333",
        mew=0.4,
        ms=7,
        label=name.replace("_", " "),
    )
