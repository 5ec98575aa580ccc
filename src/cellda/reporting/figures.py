"""Figures of results and of cells; drawn without pyplot: nothing global changes, no display is needed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor, uint8

from cellda.errors import ConfigurationError
from cellda.evaluation.compare import across_draws
from cellda.evaluation.predictions import single
from cellda.runtime.given import path_of
from cellda.runtime.place import written

PALETTE = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#000000")
"""Eight colours that colour-blind readers can tell apart (Okabe and Ito 2008)."""


def condition_bars(scores: pd.DataFrame, measure: str = "accuracy") -> Figure:
    """Bars of a measure, grouped by target, one colour per condition.

    Bars are means over runs, error bars the standard deviation, dots the individual runs.

    Args:
        scores: One row per run, as returned by `cellda.reporting.tables.conditions.scores`; conditions and targets appear
            in its order.
        measure: The column to show, in [0, 1].

    Raises:
        ConfigurationError: If there are more conditions than colours, or protocols are mixed.
    """
    protocol = single(scores, "protocol")
    spread = across_draws(scores, measure).set_index(["condition", "target"])
    conditions = list(dict.fromkeys(scores["condition"]))
    targets = list(dict.fromkeys(scores["target"]))
    if len(conditions) > len(PALETTE):
        raise ConfigurationError(
            f"A bar chart shows at most {len(PALETTE)} conditions, not {len(conditions)}; select some."
        )
    width = 0.84 / len(conditions)
    figure = blank_figure(max(5.0, 1.2 + len(targets) * (0.45 + 0.24 * len(conditions))), 3.8)
    axes = figure.subplots()
    for index, (condition, colour) in enumerate(zip(conditions, PALETTE, strict=False)):
        shift = (index - (len(conditions) - 1) / 2) * width
        shown = [t for t in range(len(targets)) if (condition, targets[t]) in spread.index]
        rows = spread.loc[[(condition, targets[t]) for t in shown]]
        at = np.array(shown) + shift
        axes.bar(at, rows["mean"], width * 0.92, color=colour, label=condition.replace("_", " "))
        axes.errorbar(
            at, rows["mean"], yerr=rows["sd"].fillna(0), fmt="none", ecolor="#222222", capsize=2, lw=1
        )
        for x, values in zip(at, rows["values"], strict=True):
            # Spread sideways by a fixed pattern, so that equal values stay visible and figures are
            # reproducible.
            aside = np.linspace(-0.2, 0.2, len(values)) * width if len(values) > 1 else 0.0
            axes.plot(x + aside, values, "o", ms=2.4, mfc="white", mec="#222222", mew=0.6, zorder=3)
    axes.set_xticks(range(len(targets)), [target.replace("_", " ") for target in targets])
    axes.set_ylim(0, 1)
    axes.set_ylabel(measure.replace("_", " "))
    axes.set_title(f"protocol '{protocol}': mean ± standard deviation, one dot per run", fontsize=10)
    plain_axes(axes)
    axes.tick_params(axis="x", length=0)
    figure.legend(loc="outside upper center", ncols=min(len(conditions), 3), frameon=False)
    return figure


def contact_sheet(
    rows: Sequence[Tensor],
    row_titles: Sequence[str],
    column_titles: Sequence[str] = (),
    title: str = "",
    captions: Sequence[Sequence[str]] = (),
) -> Figure:
    """Cells side by side, for example before and after normalization.

    Args:
        rows: Batches `(B, 3, H, W)`, uint8, or floats in [0, 1] (clipped for display); one for each row of the
            sheet.
        row_titles: One title per row.
        column_titles: One title per column, or none.
        title: Title of the sheet.
        captions: A line under each image, row by row, or none.

    Raises:
        ConfigurationError: If titles, captions and images do not match in number, or a batch is not `(B, 3, H, W)`.
    """
    for number, batch in enumerate(rows):
        if batch.ndim != 4 or batch.shape[1] != 3:
            raise ConfigurationError(
                f"Row {number} of a contact sheet has the shape {tuple(batch.shape)}; it takes (B, 3, H, W)."
            )
    columns = max((len(batch) for batch in rows), default=0)
    if columns == 0 or len(rows) != len(row_titles) or len(column_titles) not in (0, columns):
        raise ConfigurationError(
            f"A contact sheet of {len(rows)} rows and {columns} columns got {len(row_titles)} row titles and "
            f"{len(column_titles)} column titles; it needs images, and one title for each row and column."
        )
    if captions and [len(texts) for texts in captions] != [len(batch) for batch in rows]:
        raise ConfigurationError(
            f"A contact sheet of rows with {', '.join(str(len(batch)) for batch in rows)} images got rows with "
            f"{', '.join(str(len(texts)) for texts in captions)} captions; each image needs one."
        )
    height = len(rows) * (1.38 if captions else 1.2) + 0.35 * bool(title) + 0.25 * bool(column_titles)
    figure = blank_figure(1.2 + 1.15 * columns, height)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes_row, batch, name in zip(grid, rows, row_titles, strict=True):
        images = _displayable(batch)
        for axes in axes_row:
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
        for axes, image in zip(axes_row, images, strict=False):
            axes.imshow(image)
        axes_row[0].set_ylabel(name, rotation=0, ha="right", va="center", labelpad=6)
    for axes_row, texts in zip(grid, captions, strict=False):
        for axes, text in zip(axes_row, texts, strict=False):
            axes.set_xlabel(text, fontsize=7, labelpad=2)
    for axes, name in zip(grid[0], column_titles, strict=False):
        axes.set_title(name, fontsize=9)
    if title:
        figure.suptitle(title)
    return figure


def save_figure(figure: Figure, file: str | Path, dpi: int = 150) -> Path:
    """Write a figure in the format that the file's suffix names (png, svg, pdf), without a timestamp."""
    target = path_of(file)
    dated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with written(target) as part:
        figure.savefig(part, dpi=dpi, metadata=dated.get(target.suffix.lstrip(".")))
    return target


def blank_figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches, laid out without overlaps."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def plain_axes(axes: Axes) -> None:
    """Light horizontal lines behind the data, no frame at the top and right."""
    axes.yaxis.grid(True, color="#dddddd", lw=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _displayable(batch: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """`(B, 3, H, W)` uint8 or floats in [0, 1] as `(B, H, W, 3)` uint8."""
    images = batch if batch.dtype == uint8 else (batch.float().clamp(0, 1) * 255).round().to(uint8)
    return np.asarray(images.detach().cpu().permute(0, 2, 3, 1).numpy())
