"""The paper's tables and figures from predictions, against scikit-learn, plain loops and the paper's own numbers."""

import itertools

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    precision_score,
    recall_score,
    roc_auc_score,
)

from cellda.errors import ConfigurationError, UnknownNameError
from cellda.evaluation.average_curves import average_curves
from cellda.evaluation.condition import Condition
from cellda.evaluation.per_class import average_classes, class_scores
from cellda.evaluation.predictions import validate
from cellda.evaluation.sample_size import sized_name, with_sizes
from cellda.reporting.catalogue import FIGURES, TABLES, named, summaries
from cellda.reporting.figures import save_figure
from cellda.reporting.paper import figures as paper_figures
from cellda.reporting.paper import published
from cellda.reporting.paper.figures import LINES, precision_recall
from cellda.reporting.paper.tables import paper_means_table, paper_targets_table, per_class_table
from cellda.reporting.tables.conditions import select
from cellda.taxonomies import create
from tiny import CLASSES, PROBABILITIES

COUNTS = [20, 10, 0, 25, 15, 3]


def run(
    condition: str, target: str, draw: int, skill: float = 1.5, protocol: str = "clean", n: int = 100
) -> pd.DataFrame:
    rng = np.random.default_rng([draw, len(target), len(condition)])
    labels = np.repeat(CLASSES, COUNTS)
    logits = rng.normal(size=(len(labels), 6))
    logits[np.arange(len(labels)), [CLASSES.index(name) for name in labels]] += skill
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    facts = {"adapter": "full", "framing": "none", "normalizer": "reinhard", "source": "barcelona"}
    key = Condition(name=condition, n=n, labels_used=n, bound=condition == "no_fine_tune", **facts).columns()
    key |= {"target": target, "draw": draw, "seed": 0, "protocol": protocol}
    rows = {
        "path": [f"{i:03d}.png" for i in range(len(labels))],
        "group": [f"s{i % 9}" for i in range(len(labels))],
        "label": labels,
        "predicted": np.array(CLASSES)[p.argmax(1)],
    }
    return validate(pd.DataFrame({**key, **rows, **{c: p[:, i] for i, c in enumerate(PROBABILITIES)}}))


@pytest.fixture(scope="module")
def predictions() -> pd.DataFrame:
    conditions = ("no_fine_tune", "our_workflow")
    parts = [run(c, t, d) for c in conditions for t in ("raabin", "bccd", "my_lab") for d in range(3)]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def sized() -> pd.DataFrame:
    parts = [
        run(sized_name("our_workflow", n), t, d, n / 40, n=n)
        for n in (100, 30, 60)
        for t in ("raabin", "bccd")
        for d in range(4)
    ]
    return pd.concat(parts, ignore_index=True)


def ours(predictions: pd.DataFrame, target: str) -> pd.DataFrame:
    return predictions.query("condition == 'our_workflow' and target == @target")


# --- per class --------------------------------------------------------------------------------------------------


def test_class_scores_equal_scikit_learn(predictions):
    table = class_scores(predictions)
    assert len(table) == 18 * 5
    row = table.query("condition == 'our_workflow' and target == 'bccd' and draw == 1").set_index("class")
    rows = ours(predictions, "bccd").query("draw == 1")
    for function, rate in ((precision_score, "precision"), (recall_score, "recall")):
        expected = function(
            rows["label"].astype(object),
            rows["predicted"].astype(object),
            labels=list(row.index),
            average=None,
            zero_division=0,
        )
        assert row[rate].to_numpy() == pytest.approx(expected)
    assert list(row["n"]) == [20, 10, 25, 15, 3]


def test_classes_are_averaged_over_runs_with_intervals_over_groups(predictions):
    rows = ours(predictions, "bccd")
    measured = average_classes(rows, resamples=400)
    recalls = class_scores(rows).query("`class` == 'monocyte'")["recall"]
    one = measured["monocyte"].recall
    assert one.value == pytest.approx(recalls.mean())
    assert one.low < one.value < one.high
    # A plain loop that redraws whole groups, in all runs at once.
    rng = np.random.default_rng(5)
    by_group = {g: part.query("label == 'monocyte'") for g, part in rows.groupby("group")}
    loop = []
    for _ in range(400):
        again = pd.concat([by_group[g] for g in rng.choice(list(by_group), len(by_group))])
        if len(again):
            right = again["label"] == again["predicted"]
            loop.append(right.groupby(again["draw"]).mean().mean())
    assert [one.low, one.high] == pytest.approx(np.quantile(loop, [0.025, 0.975]), abs=0.05)
    assert np.isnan(average_classes(rows, resamples=0)["monocyte"].recall.low)
    with pytest.raises(ConfigurationError, match="2 values of 'condition'"):
        average_classes(predictions[predictions["target"] == "bccd"])


def test_per_class_table_sets_ours_beside_table_4(predictions):
    table = per_class_table(predictions, "our_workflow", resamples=50)
    row = next(r for r in table.rows if r[0] == "raabin" and r[1] == "basophil")
    value = average_classes(ours(predictions, "raabin"), resamples=50)["basophil"].recall
    assert list(row[6:]) == [str(value), "0.36", f"{value.value - 0.36:+.2f}"]
    # Table 4 has no basophils of BCCD and nothing of other people's sets.
    assert next(r for r in table.rows if r[0] == "bccd")[4:6] == ["–", "–"]
    assert all(r[4] == "–" for r in table.rows if r[0] == "my lab")
    assert "neutrophil*" in [r[1] for r in table.rows]
    assert any("fewer than 5" in note for note in table.notes)


# --- ablation ---------------------------------------------------------------------------------------------------


def test_means_are_over_the_targets_that_the_paper_has_too(predictions):
    table = paper_means_table(predictions)
    assert table.title.startswith("Mean over raabin, bccd, protocol 'clean'")
    row = next(r for r in table.rows if r[0] == "our_workflow")
    accuracy = np.mean([(ours(predictions, t).eval("label == predicted")).mean() for t in ("raabin", "bccd")])
    assert list(row[1:4]) == [f"{accuracy:.3f}", f"{(0.92 + 0.81) / 2:.3f}", f"{accuracy - 0.865:+.3f}"]
    gap = (predictions["condition"] == "no_fine_tune") & (predictions["target"] == "bccd")
    assert paper_means_table(predictions[~gap]).title.startswith("Mean over raabin, protocol")


def test_the_papers_two_tables_of_means_are_told_apart_where_they_disagree():
    targets = dict.fromkeys(target for _, target in published.ABLATION)
    table = paper_means_table(
        pd.concat([run(c, t, 0) for c in ("head_only", "our_workflow") for t in targets])
    )
    assert [row[2] for row in table.rows] == ["0.769", "0.894"]
    (note,) = [note for note in table.notes if "Table 5 gives" in note]
    assert note.endswith("for head_only: accuracy 0.71, macro precision 0.65, macro recall 0.60.")


def test_means_do_not_depend_on_the_order_of_targets():
    targets = ["jiangxi_tecom", "jin_woo_choi", "raabin", "bccd"]
    parts = {target: run("our_workflow", target, 0) for target in targets}
    # (0.90 + 0.90 + 0.92 + 0.81) / 4 is 0.8825, which floats sum to either side of.
    orders = [[parts[target] for target in order] for order in itertools.permutations(targets)]
    assert len({paper_means_table(pd.concat(order)).rows[0][2] for order in orders}) == 1


def test_every_target_beside_table_c1_and_raabin_without_basophils(predictions):
    table = paper_targets_table(predictions)
    assert len(table.columns) == 11
    found = {tuple(row[:2]): row for row in table.rows}
    assert ("our_workflow", "my lab") not in found
    # Conditions of one target stand together, and the view without basophils follows its target.
    assert [row[1] for row in table.rows] == ["raabin"] * 2 + ["raabin without basophil"] * 2 + ["bccd"] * 2
    row = found["our_workflow", "bccd"]
    assert (row[3], row[6], row[9]) == ("0.81", "0.81", "0.81")
    view = found["our_workflow", "raabin without basophil"]
    rest = ours(predictions, "raabin").query("label != 'basophil'")
    values = rest.eval("label == predicted").groupby(rest["draw"]).mean()
    assert list(view[2:5]) == [f"{values.mean():.3f} ±{values.std():.3f}", "–", "–"]


# --- curves -----------------------------------------------------------------------------------------------------


def test_average_curves_equal_scikit_learn(predictions):
    rows = ours(predictions, "bccd")
    curves = average_curves(rows)
    assert list(curves) == ["basophil", "eosinophil", "lymphocyte", "monocyte", "macro"]
    levels, areas = [], []
    for _, part in rows.groupby("draw"):
        truth, p = (part["label"] == "monocyte").to_numpy(dtype=bool), part["p_monocyte"]
        precision, recall, _ = precision_recall_curve(truth, p)
        levels.append([precision[recall >= r - 1e-9].max() for r in curves["monocyte"].recall])
        areas.append(average_precision_score(truth, p))
    curve = curves["monocyte"]
    assert curve.average_precision == pytest.approx(np.mean(areas), abs=1e-6)
    assert curve.average_precision_sd == pytest.approx(np.std(areas, ddof=1), abs=1e-6)
    assert curve.precision == pytest.approx(np.mean(levels, axis=0), abs=1e-5)
    assert curve.sd == pytest.approx(np.std(levels, axis=0, ddof=1), abs=1e-5)
    single = average_curves(rows[rows["draw"] == 0])["macro"]
    assert (single.sd == 0).all()
    assert np.isnan(single.average_precision_sd)


# --- sample size ------------------------------------------------------------------------------------------------


def test_sizes_are_the_numbers_of_cells_that_draws_asked_for(sized):
    other = run("our_workflow@n=80", "bccd", 0, n=40)  # a name that its column denies
    rows = with_sizes(pd.concat([sized, other, run("our_workflow", "bccd", 0)]), "our_workflow")
    assert (rows["size"] == rows["n"]).all()
    assert list(dict.fromkeys(rows["size"])) == [30, 60, 100]
    with pytest.raises(ConfigurationError, match="'head_only@n=30'"):
        with_sizes(sized, "head_only")


def test_lines_of_size_are_means_of_runs(sized):
    axes = FIGURES["accuracy_by_size"](sized, "our_workflow").axes[0]
    line = next(line for line in axes.lines if line.get_label() == "bccd")
    part = sized[(sized["target"] == "bccd").to_numpy(dtype=bool)]
    expected = [
        part.query("condition == @c").eval("label == predicted").mean() for c in map(_name, (30, 60, 100))
    ]
    assert list(line.get_xdata()) == [30, 60, 100]
    assert list(line.get_ydata()) == pytest.approx(expected)
    panel = FIGURES["recall_by_size"](sized, "our_workflow").axes[1]
    line = next(line for line in panel.lines if line.get_label() == "monocyte")
    monocytes = part.query("label == 'monocyte' and condition == @_name(60)")
    assert line.get_ydata()[1] == pytest.approx(monocytes.eval("label == predicted").mean())


def test_classes_by_size_are_means_and_deviations_of_runs(sized):
    table = TABLES["sample_size_per_class"](sized, "our_workflow")
    assert table.columns == ["measure", "target", "class", "30", "60", "100"]
    found = {tuple(row[:3]): row[3:] for row in table.rows}
    assert {key[2] for key in found} == {"basophil", "eosinophil", "lymphocyte", "monocyte"}
    part = sized[
        (sized["target"] == "bccd").to_numpy(dtype=bool)
        & (sized["condition"] == _name(60)).to_numpy(dtype=bool)
    ]
    runs = [run for _, run in part.groupby(["draw", "seed"])]
    for measure, score in (("precision", precision_score), ("recall", recall_score)):
        values = [
            score(run["label"], run["predicted"], labels=["monocyte"], average="macro", zero_division=0)
            for run in runs
        ]
        spread = f" ±{np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
        assert found[measure, "bccd", "monocyte"][1] == f"{np.mean(values):.3f}{spread}"


def _name(n: int) -> str:
    return sized_name("our_workflow", n)


# --- by name ----------------------------------------------------------------------------------------------------


def test_every_table_and_figure_is_made_by_its_name(predictions, sized, tmp_path):
    for name, table in TABLES.items():
        rows = (sized if name.startswith("sample_size") else predictions).assign(labels_used=0)
        rows = (
            under(rows, "wbc13") if name == "stages" else with_others(rows) if name == "rejection" else rows
        )
        assert table(rows, "our_workflow").rows, name
    third = predictions[predictions["condition"] == "no_fine_tune"].assign(
        condition="mixed_train", bound=False
    )
    for name, figure in FIGURES.items():
        rows = sized if name.endswith("by_size") else predictions
        rows = pd.concat([rows, third]) if name == "critical_difference" else rows  # two that compete
        assert save_figure(figure(rows, "our_workflow"), tmp_path / f"{name}.png").stat().st_size > 5000
    both = pd.concat([predictions, predictions.assign(protocol="paper")])
    for makers in (TABLES, FIGURES):
        for make in makers.values():
            with pytest.raises(ConfigurationError, match=r"clean, paper|several sizes"):
                make(both, "our_workflow")
    assert all(line.endswith(".") and len(line) < 100 for line in summaries(FIGURES | TABLES).values())
    with pytest.raises(UnknownNameError, match="no table 'sumary'; did you mean 'summary'"):
        named("sumary", TABLES, "table")


def test_bars_of_figure_6_are_ours_and_the_papers(predictions):
    axes = FIGURES["accuracy"](predictions, "our_workflow").axes[0]
    heights = [[bar.get_height() for bar in c.patches] for c in axes.containers if hasattr(c, "patches")]
    expected = [ours(predictions, t).eval("label == predicted").mean() for t in ("raabin", "bccd", "my_lab")]
    assert heights[0] == pytest.approx(expected)
    assert heights[1] == [0.92, 0.81]


def test_figure_6_says_whose_labels_the_papers_bar_is_of(predictions):
    figure = FIGURES["accuracy"](predictions, "our_workflow")
    assert figure.get_supxlabel() == ""
    named = predictions.assign(target=predictions["target"].replace("raabin", "jiangxi_tecom"))
    said = FIGURES["accuracy"](named, "our_workflow").get_supxlabel()
    assert "jiangxi_tecom/authors" in said
    assert "swapped" in said


def test_classes_are_told_apart_without_colour():
    dashes = paper_figures._DASHES
    assert len(set(dashes)) == len(dashes) >= max(len(CLASSES), len(paper_figures.LINES))


def test_a_class_has_the_same_colour_in_every_figure(predictions, sized):
    for figure in (
        FIGURES["pr_per_class"](predictions, "our_workflow"),
        FIGURES["recall_by_size"](sized, "our_workflow"),
    ):
        lines = [line for axes in figure.axes for line in axes.lines]
        drawn = {str(line.get_label()).split()[0]: line.get_color() for line in lines}
        shown = {name: colour for name, colour in drawn.items() if name in CLASSES}
        assert set(shown) == {
            "basophil",
            "eosinophil",
            "lymphocyte",
            "monocyte",
        }  # three neutrophils are too few
        assert shown == {name: create("paper6").colours[name] for name in shown}


def test_bars_say_under_which_protocol_and_mix_none(predictions):
    other = predictions.assign(protocol="paper")
    assert "'paper'" in FIGURES["bars"](other, "our_workflow").axes[0].get_title()
    with pytest.raises(ConfigurationError, match="clean, paper"):
        FIGURES["bars"](pd.concat([predictions, other]), "our_workflow")


def test_too_many_lines_are_refused(predictions):
    few = ours(predictions, "bccd").query("draw == 0")
    many = pd.concat([few.assign(target=f"lab{i}") for i in range(len(LINES) + 1)])
    with pytest.raises(ConfigurationError, match="at most 8 targets, not 9"):
        precision_recall(many, "our_workflow")


def test_select_orders_and_names_what_is_not_there(predictions):
    mixed = predictions[::-1]
    assert list(dict.fromkeys(select(mixed)["condition"])) == ["no_fine_tune", "our_workflow"]
    chosen = select(mixed, "clean", ["my_lab", "bccd"], ["our_workflow"])
    assert list(dict.fromkeys(chosen["target"])) == ["my_lab", "bccd"]
    assert set(chosen["condition"]) == {"our_workflow"}
    for arguments in ({"protocol": "paper"}, {"targets": ["bcd"]}, {"conditions": ["x"]}):
        with pytest.raises(ConfigurationError, match="There are no predictions of"):
            select(predictions, **arguments)


def test_published_numbers_of_targets_are_those_of_table_c1():
    table = published.ablation().query("condition == 'our_workflow'").set_index("target")
    assert set(published.per_class()["target"]) == set(table.index)


def test_numbers_made_with_swapped_labels_stand_beside_swapped_labels():
    own, authors = (run("our_workflow", name, 0) for name in ("jiangxi_tecom", "jiangxi_tecom/authors"))
    for make in (lambda rows: per_class_table(rows, "our_workflow", resamples=5), paper_targets_table):
        assert any("swapped" in note for note in make(own).notes)
        assert not any("swapped" in note for note in make(authors).notes)
        assert not any("swapped" in note for note in make(run("our_workflow", "raabin", 0)).notes)
    lymphocytes = next(
        row for row in per_class_table(authors, "our_workflow", 5).rows if row[1] == "lymphocyte"
    )
    assert (lymphocytes[4], lymphocytes[7]) == ("0.80", "0.60")  # Table 4 of the paper
    assert paper_targets_table(authors).rows[0][3] == "0.90"  # Table C.1


def under(predictions: pd.DataFrame, taxonomy: str) -> pd.DataFrame:
    """The predictions in the classes of a finer taxonomy, whose further classes have probability 0."""
    classes = create(taxonomy).classes
    fine = {"neutrophil": "segmented neutrophil"}
    rows = predictions.rename(columns={"p_neutrophil": "p_segmented neutrophil"})
    rows = rows.assign(label=rows["label"].replace(fine), predicted=rows["predicted"].replace(fine))
    more = {f"p_{name}": np.float32(0) for name in classes if f"p_{name}" not in rows}
    return validate(rows.assign(**more)[[*rows.columns[:-6], *(f"p_{name}" for name in classes)]])


@pytest.mark.parametrize(
    "name", sorted(TABLES.keys() - {"leaderboard_without_labels", "rejection"})
)  # there are none
def test_tables_of_other_classes_have_no_numbers_of_the_paper(predictions, sized, name) -> None:
    rows = under(sized if name.startswith("sample_size") else predictions, "wbc13")
    if name.startswith("paper_"):
        with pytest.raises(
            ConfigurationError, match=r"numbers are of basophil.*segmented.*cannot be compared"
        ):
            TABLES[name](rows, "our_workflow")
        return
    table = TABLES[name](rows, "our_workflow")
    assert "paper" not in " ".join(table.columns)
    if name == "per_class":
        assert "The paper's numbers are of other classes, and are not shown." in " ".join(table.notes)
        assert {row[1] for row in table.rows} >= {"segmented neutrophil*", "basophil"}


@pytest.mark.parametrize("name", sorted(FIGURES.keys() - {"critical_difference"}))  # of one condition
def test_figures_of_many_classes_are_drawn_without_the_paper(predictions, sized, name) -> None:
    rows = under(sized if name.endswith("size") else predictions, "wbc13")
    figure = FIGURES[name](rows, "our_workflow")
    said = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert "paper" not in said


def with_others(predictions: pd.DataFrame) -> pd.DataFrame:
    """The predictions with `other` in the place of neutrophils."""
    kept = predictions.rename(columns={"p_neutrophil": "p_other"})
    return kept.assign(**{name: kept[name].replace("neutrophil", "other") for name in ("label", "predicted")})


def test_stages_and_other_cells_have_tables(predictions) -> None:
    rows = under(predictions, "wbc13")
    wrong = rows["draw"] == 0
    rows.loc[wrong & (rows["label"] == "segmented neutrophil"), "predicted"] = "band neutrophil"
    table = TABLES["stages"](rows, "our_workflow")
    [row] = [one for one in table.rows if one[:2] == ["our_workflow", "bccd"]]
    seg = rows[(rows["condition"] == "our_workflow") & (rows["target"] == "bccd")]
    seg = seg[seg["label"] == "segmented neutrophil"]
    both = seg[seg["predicted"].isin(["segmented neutrophil", "band neutrophil"])]
    means = (both["predicted"] == "band neutrophil").groupby(both["draw"]).mean()
    assert row[2] == f"{means.mean():.3f} ±{means.std():.3f}"
    with pytest.raises(ConfigurationError, match="stages of one line of maturation; with the taxonomy wbc13"):
        TABLES["stages"](predictions, "our_workflow")
    with pytest.raises(ConfigurationError, match="other=True"):
        TABLES["rejection"](predictions, "our_workflow")
    kept = with_others(predictions)
    table = TABLES["rejection"](kept, "our_workflow")
    [row] = [one for one in table.rows if one[:2] == ["our_workflow", "bccd"]]
    part = kept[(kept["condition"] == "our_workflow") & (kept["target"] == "bccd")]
    areas = [roc_auc_score(one["label"] == "other", one["p_other"]) for _, one in part.groupby("draw")]
    assert row[2].startswith(f"{np.mean(areas):.3f}")


def test_a_long_list_of_curves_stands_beside_the_panel(predictions) -> None:
    rows = predictions[predictions["target"] == "bccd"]
    rows = under(rows, "wbc13")
    spread = list(create("wbc13").classes)
    rows["label"] = [spread[number % 13] for number in range(len(rows))]
    figure = FIGURES["pr_per_class"](rows, "our_workflow")
    [axes] = [one for one in figure.axes if one.lines]
    names = [text.get_text().rsplit(" ", 2)[0] for text in axes.get_legend().get_texts()]
    shown = [name for name in spread if any(name == one or one.startswith(f"{name} ") for one in names)]
    assert len(names) == len(shown) > 6
    assert [
        name for one in names for name in spread if one.startswith(name)
    ] == shown  # in the order of the classes
    assert axes.get_legend().get_bbox_to_anchor().transformed(axes.transAxes.inverted()).x0 >= 1
