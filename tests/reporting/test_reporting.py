"""Tables and figures: every number is the one its predictions give."""

from io import StringIO

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from rich.console import Console

from cellda.errors import ConfigurationError
from cellda.evaluation.compare import compare, compare_per_image
from cellda.evaluation.metrics import average, measure
from cellda.reporting.figures import PALETTE, condition_bars, contact_sheet, save_figure
from cellda.reporting.paper.side_by_side import side_by_side
from cellda.reporting.tables.conditions import (
    comparison_table,
    condition_table,
    scores,
    summary_table,
)
from cellda.reporting.tables.text_table import TextTable
from predicted import run

SKILLS = {"no_fine_tune": 0.5, "our_workflow": 2.5}


@pytest.fixture(scope="module")
def predictions() -> pd.DataFrame:
    parts = [run(c, t, d, s) for c, s in SKILLS.items() for t in ("raabin", "bccd") for d in range(3)]
    return pd.concat(parts, ignore_index=True)


def part(predictions, condition, target, draw=None) -> pd.DataFrame:
    chosen = (predictions["condition"] == condition) & (predictions["target"] == target)
    return predictions[chosen if draw is None else chosen & (predictions["draw"] == draw)]


def accuracies(rows) -> list[float]:
    return [(r["label"] == r["predicted"]).mean() for _, r in rows.groupby("draw")]


def test_scores_have_one_row_a_run(predictions):
    table = scores(predictions, resamples=100)
    assert len(table) == 12
    row = table.iloc[7]
    metrics = measure(part(predictions, row["condition"], row["target"], row["draw"]), resamples=100)
    for name in ("accuracy", "balanced_accuracy", "macro_precision", "macro_recall", "macro_f1"):
        estimate = getattr(metrics, name)
        assert (row[name], row[f"{name}_low"], row[f"{name}_high"]) == (
            estimate.value,
            estimate.low,
            estimate.high,
        )
    assert (row["n"], row["ece"], row["left_out"]) == (70, metrics.ece, "")
    assert scores(predictions, resamples=0)["accuracy_low"].isna().all()


def test_condition_table_is_mean_and_deviation_over_draws(predictions):
    table = condition_table(predictions)
    assert list(table.columns) == ["condition", "raabin", "raabin without basophil", "bccd", "mean"]
    ours = next(row for row in table.rows if row[0] == "our_workflow")
    raabin, bccd = (accuracies(part(predictions, "our_workflow", target)) for target in ("raabin", "bccd"))
    assert ours[1] == f"{np.mean(raabin):.3f} ±{np.std(raabin, ddof=1):.3f}"
    assert ours[3] == f"{np.mean(bccd):.3f} ±{np.std(bccd, ddof=1):.3f}"
    rows = part(predictions, "our_workflow", "raabin")
    without = accuracies(rows[rows["label"] != "basophil"])
    assert ours[2] == f"{np.mean(without):.3f} ±{np.std(without, ddof=1):.3f}"
    assert ours[4] == f"{(np.mean(raabin) + np.mean(bccd)) / 2:.3f}"
    assert "3 draws with 1 source seed" in table.notes[0]


def test_conditions_come_in_the_order_asked_for(predictions):
    table = condition_table(predictions, conditions=["our_workflow", "no_fine_tune"])
    assert [row[0] for row in table.rows] == ["our_workflow", "no_fine_tune"]
    assert [row[0] for row in summary_table(predictions, ["our_workflow"], resamples=10).rows] == [
        "our_workflow"
    ]


def test_a_condition_that_lacks_a_target_has_no_mean(predictions):
    gap = (predictions["condition"] == "no_fine_tune") & (predictions["target"] == "bccd")
    first = condition_table(predictions[~gap]).rows[0]
    assert (first[0], first[3], first[4]) == ("no_fine_tune", "–", "–")
    with pytest.raises(ConfigurationError, match="'no_fine_tune' has no predictions for bccd"):
        summary_table(predictions[~gap], resamples=10)


def test_summary_table_averages_over_targets_with_intervals(predictions):
    table = summary_table(predictions, resamples=200)
    assert list(table.columns) == ["condition", "accuracy", "macro precision", "macro recall", "macro F1"]
    estimates = average(predictions[predictions["condition"] == "our_workflow"], resamples=200)
    names = ("accuracy", "macro_precision", "macro_recall", "macro_f1")
    assert list(table.rows[1][1:]) == [str(estimates[name]) for name in names]
    assert f"{estimates['accuracy'].low:.2f}–{estimates['accuracy'].high:.2f}" in table.rows[1][1]


PUBLISHED = pd.DataFrame(
    {
        "condition": ["our_workflow", "our_workflow", "our_workflow"],
        "target": ["raabin", "bccd", "tianjin"],
        "accuracy": [0.92, 0.81, 0.91],
        "recall": [0.76, 0.81, 0.76],
    }
)


def test_side_by_side_subtracts(predictions):
    table = side_by_side(predictions, PUBLISHED).set_index(["target", "measure"])
    ours = np.mean(accuracies(part(predictions, "our_workflow", "bccd")))
    assert sorted(table.index) == sorted(
        (t, m) for t in ("raabin", "bccd") for m in ("accuracy", "macro_recall")
    )
    assert table.loc[("bccd", "accuracy"), "ours"] == pytest.approx(ours)
    assert table.loc[("bccd", "accuracy"), "difference"] == pytest.approx(ours - 0.81)


def test_side_by_side_needs_something_in_common(predictions):
    with pytest.raises(ConfigurationError, match="No condition and target"):
        side_by_side(predictions, PUBLISHED[PUBLISHED["target"] == "tianjin"])


def test_protocols_and_unknown_names_are_refused(predictions):
    both = pd.concat([predictions, predictions.assign(protocol="paper")])
    for make in (condition_table, summary_table, lambda p: side_by_side(p, PUBLISHED)):
        with pytest.raises(ConfigurationError, match="clean, paper"):
            make(both)
    with pytest.raises(ConfigurationError, match="did you mean 'our_workflow'"):
        condition_table(predictions, conditions=["our_workflo"])
    with pytest.raises(ConfigurationError, match="no measure 'acuracy'"):
        condition_table(predictions, measure="acuracy")


def test_comparison_table_shows_tests_and_their_caveats(predictions):
    table = comparison_table(compare(scores(predictions, resamples=0), "our_workflow"))
    assert table.rows[0][:2] == ["no_fine_tune", "6"]
    assert table.rows[0][4] == "0.0312"
    assert table.title == "Accuracy against our_workflow, protocol 'clean'"
    per_image = comparison_table(compare_per_image(predictions, "our_workflow"))
    assert any("not independent" in note for note in per_image.notes)
    assert comparison_table([]).rows == []


def test_text_tables_as_markdown():
    table = TextTable("Title", ["a", "b"], [["x|y", "1"], ["z", "2"]], ["note"])
    assert table.to_markdown().splitlines() == [
        "**Title**",
        "",
        "| a | b |",
        "|:--|--:|",
        r"| x\|y | 1 |",
        "| z | 2 |",
        "",
        "- note",
    ]
    assert table.to_csv() == "a,b\nx|y,1\nz,2\n"


@pytest.mark.parametrize("width", [44, 60, 80, 200])
def test_a_narrow_terminal_gets_blocks_of_columns_and_no_cell_is_cut(width):
    heads = ["target", "class", *(f"measure {n}: ours" for n in range(6))]
    rows = [[f"target {r}", f"class {r}", *(f"0.{r}{c} [0.10–0.99]" for c in range(6))] for r in range(3)]
    console = Console(file=StringIO(), width=width)
    console.print(TextTable("Title", heads, rows, ["note"], names=2))
    said = console.file.getvalue()
    assert all(len(line.rstrip()) <= width for line in said.splitlines())
    assert "…" not in said
    for row in rows:
        for cell in row[2:]:
            # Every cell once, in a line that names its row.
            (line,) = [line for line in said.splitlines() if cell in line]
            assert row[0] in line
            assert row[1] in line
    assert said.count("Title") == said.count("note") == 1
    assert (said.count("target 1") == 1) == (width == 200)


@pytest.mark.parametrize("width", [44, 80, 120])
def test_no_word_of_a_head_is_cut(width):
    heads = [
        f"{measure}: {who}" for measure in ("accuracy", "macro precision") for who in ("ours", "difference")
    ]
    console = Console(file=StringIO(), width=width)
    console.print(TextTable("Title", ["condition", *heads], [["our_workflow", *["0.5"] * len(heads)]]))
    said = console.file.getvalue()
    assert "…" not in said
    assert max(len(line.rstrip()) for line in said.splitlines()) <= width
    for word in ("accuracy:", "precision:", "difference"):
        assert said.split().count(word) == 2


def test_text_tables_print_whole_on_80_columns(predictions):
    for table in (condition_table(predictions), summary_table(predictions, resamples=50)):
        console = Console(width=80)
        with console.capture() as captured:
            console.print(table)
        words = captured.get().split()
        # No cell is cut, and none is broken inside a number or an interval.
        for row in table.rows:
            assert all(word in words for cell in row for word in cell.split())


# --- figures ----------------------------------------------------------------------------------------------------


def test_bars_have_the_means_as_heights(predictions):
    table = scores(predictions, resamples=0)
    axes = condition_bars(table).axes[0]
    heights = {
        (container.get_label(), target): bar.get_height()
        for container in axes.containers
        if hasattr(container, "patches") and container.patches
        for target, bar in zip(("raabin", "bccd"), container.patches, strict=True)
    }
    for condition in SKILLS:
        for target in ("raabin", "bccd"):
            expected = np.mean(accuracies(part(predictions, condition, target)))
            assert heights[condition.replace("_", " "), target] == pytest.approx(expected)
    assert axes.get_ylim() == (0, 1)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["raabin", "bccd"]


def test_bars_stand_at_their_targets_when_one_is_missing(predictions):
    table = scores(predictions, resamples=0)
    gap = (table["condition"] == "our_workflow") & (table["target"] == "raabin")
    bars = condition_bars(table[~gap]).axes[0].patches
    assert len(bars) == 3
    assert [round(bar.get_x() + bar.get_width() / 2) for bar in bars] == [0, 1, 1]


def test_too_many_conditions_for_the_palette_are_refused(predictions):
    table = scores(predictions[predictions["draw"] == 0], resamples=0)
    many = pd.concat([table.assign(condition=f"c{i}") for i in range(len(PALETTE) + 1)])
    with pytest.raises(ConfigurationError, match="at most 8 conditions"):
        condition_bars(many)


def pixels(figure) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def test_contact_sheet_shows_the_images_it_is_given():
    before = torch.zeros(3, 3, 8, 8, dtype=torch.uint8)
    before[:, 0] = 255
    after = torch.zeros(2, 3, 8, 8)
    after[:, 2] = 1.7
    figure = contact_sheet([before, after], ["before", "after"], ["a", "b", "c"], "Title")
    shown = [[np.asarray(image.get_array()) for image in axes.images] for axes in figure.axes]
    assert [len(images) for images in shown] == [1, 1, 1, 1, 1, 0]
    assert (shown[0][0] == [255, 0, 0]).all()
    assert (shown[3][0] == [0, 0, 255]).all()
    drawn = pixels(figure).reshape(-1, 3)
    red, blue = ((drawn == colour).all(1).sum() for colour in ([255, 0, 0], [0, 0, 255]))
    assert red / blue == pytest.approx(1.5, abs=0.1)


def test_captions_stand_under_their_images():
    rows = [torch.zeros(2, 3, 8, 8), torch.zeros(1, 3, 8, 8)]
    figure = contact_sheet(rows, ["a", "b"], captions=[["NEU", "EOS"], ["LYM"]])
    assert [axes.get_xlabel() for axes in figure.axes] == ["NEU", "EOS", "LYM", ""]
    with pytest.raises(ConfigurationError, match="rows with 2, 1 images got rows with 2 captions"):
        contact_sheet(rows, ["a", "b"], captions=[["NEU", "EOS"]])


@pytest.mark.parametrize(
    ("rows", "titles", "columns"),
    [
        ([torch.zeros(2, 3, 4, 4)], ["a", "b"], []),
        ([torch.zeros(2, 3, 4, 4)], ["a"], ["x"]),
        ([torch.zeros(2, 4, 4, 3)], ["a"], []),
        ([torch.zeros(3, 4, 4)], ["a"], []),
        ([], [], []),
    ],
)
def test_contact_sheets_refuse_what_does_not_fit(rows, titles, columns):
    with pytest.raises(ConfigurationError, match="contact sheet"):
        contact_sheet(rows, titles, columns)


def test_figures_leave_no_global_state_and_repeat(predictions, tmp_path):
    import matplotlib.pyplot as plt

    table = scores(predictions, resamples=0)
    files = [save_figure(condition_bars(table), tmp_path / "new" / name) for name in ("a.png", "b.png")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert plt.get_fignums() == []
    assert save_figure(condition_bars(table), tmp_path / "c.svg").stat().st_size > 1000
