"""Prediction tables, measures, intervals and comparisons, against scikit-learn, scipy, torchmetrics and plain loops."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from scipy.stats import bootstrap as scipy_bootstrap
from scipy.stats import wilcoxon
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    precision_recall_fscore_support,
)
from torchmetrics.functional.classification import multiclass_confusion_matrix

from cellda.errors import ConfigurationError, DataError
from cellda.evaluation.bootstrap import group_counts, interval, resample
from cellda.evaluation.compare import across_draws, compare, compare_per_image, holm, rank_biserial
from cellda.evaluation.condition import FACTS, Condition
from cellda.evaluation.curves import precision_recall_curves
from cellda.evaluation.groups import without_groups
from cellda.evaluation.metrics import Metrics, average, measure
from cellda.evaluation.predictions import (
    COLUMNS,
    CROSS_VALIDATION,
    EVIDENCE,
    class_indices,
    probabilities,
    read_predictions,
    validate,
    without_class,
    write_predictions,
)
from cellda.evaluation.rates import MEASURES
from predicted import run as predicted_run
from tiny import CLASSES, PROBABILITIES

CONDITION = Condition(
    name="our_workflow",
    adapter="full",
    framing="none",
    normalizer="reinhard",
    n=20,
    labels_used=18,
    source="barcelona",
)


def run(labels, skill=2.0, seed=0, groups=None, **key) -> pd.DataFrame:
    """Predictions of one run for `labels`; `skill` is the logit of the true class."""
    rng = np.random.default_rng(seed)
    labels = np.asarray(labels)
    logits = rng.normal(size=(len(labels), 6))
    logits[np.arange(len(labels)), [CLASSES.index(name) for name in labels]] += skill
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return validate(
        pd.DataFrame(
            CONDITION.columns()
            | {"target": "lab", "draw": 0, "seed": 0, "protocol": "clean"}
            | {"path": [f"{i:04d}.png" for i in range(len(labels))], "group": groups}
            | {"label": labels, "predicted": np.array(CLASSES)[p.argmax(1)]}
            | {name: p[:, i] for i, name in enumerate(PROBABILITIES)}
            | key
        )
    )


def predicted_as(labels, predicted) -> pd.DataFrame:
    return run(labels).assign(predicted=pd.array(predicted, dtype="string"))


MIXED = np.repeat(CLASSES[:5], [30, 20, 12, 40, 3])


# --- prediction tables ------------------------------------------------------------------------------------------


def test_predictions_come_back_as_written(tmp_path):
    table = run(MIXED, groups=[f"s{i % 7}" if i % 3 else None for i in range(len(MIXED))])
    file = write_predictions(
        table.sample(frac=1, random_state=0).assign(more=1), tmp_path / "deep" / "a.parquet"
    )
    back = read_predictions(file)
    assert tuple(back.columns) == (*COLUMNS, *PROBABILITIES)
    assert {str(back[name].dtype) for name in PROBABILITIES} == {"float32"}
    assert {str(back[name].dtype) for name in ("draw", "seed", "n", "labels_used")} == {"int64"}
    assert {str(back[name].dtype) for name in ("oracle", "bound")} == {"bool"}
    facts = back.iloc[0][["condition", *FACTS]].to_dict()
    assert facts == CONDITION.columns()
    assert Condition(name=facts.pop("condition"), **facts) == CONDITION
    pd.testing.assert_frame_equal(back.sort_values("path", ignore_index=True), table)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.parquet"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    file = write_predictions(run(MIXED), tmp_path / "a.parquet")
    before = file.read_bytes()
    with pytest.raises(DataError):
        write_predictions(run(MIXED).drop(columns="label"), file)

    def full_disk(frame, path, **options):
        path.write_bytes(b"half a file")
        raise OSError("no space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", full_disk)
    with pytest.raises(OSError, match="no space left"):
        write_predictions(run(MIXED, draw=1), file)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_folders_are_read_whole_and_the_same_run_twice_is_refused(tmp_path):
    write_predictions(run(MIXED), tmp_path / "a.parquet")
    write_predictions(run(MIXED, draw=1), tmp_path / "sub" / "b.parquet")
    assert len(read_predictions(tmp_path)) == 2 * len(MIXED)
    write_predictions(run(MIXED[:10], draw=1), tmp_path / "c.parquet")
    with pytest.raises(DataError) as error:
        read_predictions(tmp_path)
    assert len(error.value.problems) == 2
    assert "10 rows of condition 'our_workflow', target 'lab', draw 1" in error.value.problems[0]
    assert {"c.parquet", "b.parquet"} == {text.rsplit("/", 1)[1].rstrip("'") for text in error.value.problems}


def test_predictions_of_labelled_cells_are_no_results(tmp_path):
    """A saved run keeps its support's predictions by cross-validation beside those of its query."""
    of_query, of_support = run(MIXED), run(MIXED, draw=1)
    write_predictions(of_query, tmp_path / "run" / "predictions.parquet")
    for kept in (CROSS_VALIDATION, f"model/{EVIDENCE}"):
        write_predictions(of_support, tmp_path / "run" / kept)
    assert set(read_predictions(tmp_path)["draw"]) == {0}
    assert set(read_predictions(tmp_path / "run" / CROSS_VALIDATION)["draw"]) == {1}


@pytest.mark.parametrize("make", [lambda folder: folder / "none.parquet", lambda folder: folder])
def test_nothing_to_read_is_said(tmp_path, make):
    with pytest.raises(DataError, match="No predictions to read"):
        read_predictions(make(tmp_path))


def test_a_file_that_is_no_parquet_is_named(tmp_path):
    (tmp_path / "x.parquet").write_text("hello")
    with pytest.raises(DataError, match=r"x\.parquet' cannot be read as parquet"):
        read_predictions(tmp_path)


def test_all_bad_rows_are_listed_at_once():
    bad = run(MIXED)
    bad.loc[1, "label"] = "neutrofil"
    bad.loc[2, "predicted"] = pd.NA
    bad.loc[3, "p_monocyte"] = 0.999
    bad.loc[4, "p_basophil"] = np.nan
    bad.loc[5, "draw"] = -1
    bad.loc[6, "protocol"] = "dirty"
    bad.loc[7, "path"] = bad.loc[8, "path"]
    bad.loc[9, "condition"] = pd.NA
    bad.loc[10, "source"] = pd.NA
    bad.loc[11, "labels_used"] = -1
    bad.loc[12, "adapter"] = "probe"
    with pytest.raises(DataError) as error:
        validate(bad)
    assert [text.split(",")[0] for text in error.value.problems] == [
        f"row {i}" for i in (1, 2, 3, 4, 5, 6, 8, 9, 10, 10, 11, 11, 12)
    ]
    assert "another adapter, framing" in error.value.problems[-1]  # one run, one condition


def test_missing_columns_and_wrong_types_are_named():
    with pytest.raises(DataError, match=r"'p_monocyte' is missing; did you mean .*'p_monocytes'"):
        validate(run(MIXED).rename(columns={"p_monocyte": "p_monocytes"}))
    with pytest.raises(DataError, match="wrong type"):
        validate(run(MIXED).assign(draw="first"))
    # As text, "False" would count as true.
    with pytest.raises(DataError, match="wrong type: oracle must hold True or False"):
        validate(run(MIXED).assign(oracle="False"))


def test_a_file_without_the_facts_of_its_conditions_is_refused_and_told_how_to_add_them(tmp_path):
    bare = run(MIXED).drop(columns=list(FACTS))
    bare.to_parquet(tmp_path / "old.parquet")
    with pytest.raises(DataError, match=r"old\.parquet' lacks columns") as error:
        read_predictions(tmp_path)
    (said,) = error.value.problems
    assert ", ".join(FACTS) in said
    assert "Condition(...).columns()" in said
    pd.testing.assert_frame_equal(validate(bare.assign(**CONDITION.columns())), run(MIXED))
    with pytest.raises(DataError, match="and source is missing"):
        validate(run(MIXED).drop(columns="source"))


def test_a_condition_is_refused_where_a_fact_cannot_be_true():
    facts = CONDITION.model_dump()
    for wrong in ({"n": -1}, {"adapter": ""}, {"labels_used": -3}, {"extra": 1}):
        with pytest.raises(ValidationError):
            Condition(**{**facts, **wrong})
    with pytest.raises(ValidationError, match="frozen"):
        CONDITION.n = 3


# --- measures ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("skill", [0.0, 1.0, 3.0])
def test_point_values_equal_scikit_learn(skill):
    table = run(np.repeat(CLASSES, [30, 20, 12, 40, 8, 5]), skill)
    metrics = measure(table, resamples=0)
    truth, guess = table["label"].to_numpy(str), table["predicted"].to_numpy(str)
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, guess, labels=CLASSES, zero_division=0
    )
    assert metrics.accuracy.value == pytest.approx(accuracy_score(truth, guess))
    assert metrics.balanced_accuracy.value == pytest.approx(balanced_accuracy_score(truth, guess))
    assert metrics.macro_precision.value == pytest.approx(precision.mean())
    assert metrics.macro_recall.value == pytest.approx(recall.mean())
    assert metrics.macro_f1.value == pytest.approx(f1.mean())
    for i, name in enumerate(CLASSES):
        one = metrics.per_class[name]
        assert (one.precision.value, one.recall.value, one.f1.value) == pytest.approx(
            (precision[i], recall[i], f1[i])
        )
        assert one.support == support[i]
    assert (metrics.n, metrics.left_out) == (115, {})


def test_small_classes_are_left_out_of_averages_but_listed():
    table = run(MIXED)
    metrics = measure(table)
    truth, guess = table["label"].to_numpy(str), table["predicted"].to_numpy(str)
    precision, recall, f1, _ = precision_recall_fscore_support(
        truth, guess, labels=CLASSES[:4], zero_division=0
    )
    assert metrics.left_out == {"monocyte": 3}
    assert metrics.per_class["monocyte"].support == 3
    assert metrics.macro_precision.value == pytest.approx(precision.mean())
    assert metrics.macro_recall.value == pytest.approx(recall.mean())
    assert metrics.macro_f1.value == pytest.approx(f1.mean())
    assert metrics.accuracy.value == pytest.approx((truth == guess).mean())
    # Five cells are enough, four are not.
    assert measure(run(np.repeat(CLASSES[:2], [4, 5])), 0).left_out == {"basophil": 4}


def test_never_predicted_classes_and_foreign_predictions():
    labels = ["basophil"] * 6 + ["monocyte"] * 6
    metrics = measure(
        predicted_as(labels, ["basophil"] * 3 + ["neutrophil"] * 3 + ["basophil"] * 6), resamples=50
    )
    assert metrics.accuracy.value == pytest.approx(3 / 12)
    assert metrics.per_class["monocyte"].precision.value == 0
    assert metrics.per_class["monocyte"].f1.value == 0
    assert metrics.macro_precision.value == pytest.approx((3 / 9 + 0) / 2)
    assert metrics.macro_recall.value == pytest.approx((3 / 6 + 0) / 2)
    assert list(metrics.per_class) == ["basophil", "monocyte"]


def test_expected_calibration_error_is_its_formula():
    table = run(np.tile(CLASSES, 60), 1.0)
    p, y = probabilities(table), class_indices(table)
    confidence, right = p.max(1), p.argmax(1) == y
    bins = np.minimum((confidence * 15).astype(int), 14)
    expected = sum(
        (bins == b).mean() * abs(right[bins == b].mean() - confidence[bins == b].mean()) for b in set(bins)
    )
    assert measure(table, 0).ece == pytest.approx(expected, abs=1e-5)
    # Rounding may push a probability just over 1; it must not be taken for a logit.
    sure = table.assign(**dict.fromkeys(PROBABILITIES, np.float32(0)))
    sure["p_basophil"] = np.float32(1.0000001)
    assert measure(sure, 0).ece == pytest.approx(5 / 6, abs=1e-5)


def test_precision_recall_curves_equal_scikit_learn():
    table = run(MIXED, 1.0)
    curves = precision_recall_curves(table)
    assert list(curves) == [*CLASSES[:4], "macro"]
    truth, p = class_indices(table), probabilities(table)
    areas = [average_precision_score(truth == i, p[:, i]) for i in range(4)]
    assert [curves[name].average_precision for name in CLASSES[:4]] == pytest.approx(areas, abs=1e-6)
    macro = curves["macro"]
    assert macro.average_precision == pytest.approx(np.mean(areas), abs=1e-6)
    assert (macro.recall[0], macro.recall[-1], macro.support) == (1, 0, 102)
    one = curves["basophil"]
    assert np.all(np.diff(one.recall) <= 0)
    levels = [
        [c.precision[c.recall >= r - 1e-6].max() for r in macro.recall] for c in list(curves.values())[:4]
    ]
    assert macro.precision == pytest.approx(np.mean(levels, axis=0))


def test_perfect_predictions_have_a_flat_macro_curve():
    curves = precision_recall_curves(run(MIXED, 100.0))
    assert np.allclose(curves["macro"].precision, 1)


def test_confusion_counts_equal_torchmetrics():
    table = run(MIXED, 1.0, groups=[f"s{i % 11}" for i in range(len(MIXED))])
    counts = group_counts(table)
    assert counts.shape == (11, 1, 6, 6)
    expected = multiclass_confusion_matrix(
        torch.from_numpy(class_indices(table, "predicted")),
        torch.from_numpy(class_indices(table)),
        6,
    )
    assert np.array_equal(counts.sum((0, 1)), expected.numpy())


# --- intervals --------------------------------------------------------------------------------------------------


def test_intervals_over_groups_equal_a_plain_loop():
    rng = np.random.default_rng(3)
    groups = [f"s{rng.integers(12)}" for _ in MIXED]
    table = run(MIXED, 1.5, groups=groups)
    by_group = [part[["label", "predicted"]].astype(object) for _, part in table.groupby("group")]
    values = []
    for _ in range(500):
        drawn = [by_group[i] for i in rng.integers(12, size=12)]
        truth, guess = (np.concatenate([part[name] for part in drawn]) for name in ("label", "predicted"))
        present = [name for name in CLASSES[:4] if name in truth]
        macro = precision_recall_fscore_support(
            truth, guess, labels=present, average="macro", zero_division=0
        )
        values.append([(truth == guess).mean(), *macro[:3]])
    low, high = np.quantile(values, [0.025, 0.975], axis=0)
    metrics = measure(table, resamples=4000)
    assert metrics.groups == 12
    for i, name in enumerate(("accuracy", "macro_precision", "macro_recall", "macro_f1")):
        estimate = getattr(metrics, name)
        assert (estimate.low, estimate.high) == pytest.approx((low[i], high[i]), abs=0.02), name


def test_intervals_over_images_equal_scipy():
    table = run(np.tile(CLASSES, 40), 1.0)
    right = (table["label"] == table["predicted"]).to_numpy(float)
    expected = scipy_bootstrap(
        (right,), np.mean, n_resamples=5000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    estimate = measure(table, resamples=5000).accuracy
    assert (estimate.low, estimate.high) == pytest.approx((expected.low, expected.high), abs=0.009)


def test_groups_that_stand_or_fall_together_widen_the_interval():
    labels = np.repeat("neutrophil", 200)
    predicted = np.where(np.arange(200) // 20 % 2, "neutrophil", "monocyte")
    alone = measure(predicted_as(labels, predicted)).accuracy
    table = predicted_as(labels, predicted).assign(
        group=pd.array([f"s{i // 20}" for i in range(200)], dtype="string")
    )
    together = measure(table).accuracy
    assert (together.high - together.low) > 3 * (alone.high - alone.low)


def test_one_group_allows_no_interval_and_says_so():
    metrics = measure(run(MIXED, groups="s"))
    assert np.isnan([metrics.accuracy.low, metrics.macro_f1.high]).all()
    assert str(metrics.accuracy).endswith("[n/a]")


def test_resamples_are_seeded_and_keep_the_number_of_groups():
    counts = np.random.default_rng(0).integers(0, 2, (50, 1, 6, 6)) * 0
    counts[np.arange(50), 0, np.arange(50) % 6, np.arange(50) % 5] = 1
    drawn = resample(counts, 300, seed=1)
    assert drawn.shape == (300, 1, 6, 6)
    assert (drawn.sum((1, 2, 3)) == 50).all()
    assert np.array_equal(drawn, resample(counts, 300, seed=1))
    assert not np.array_equal(drawn, resample(counts, 300, seed=2))


def test_intervals_ignore_undefined_resamples():
    low, high = interval(np.array([[np.nan, np.nan], [0.0, np.nan], [1.0, np.nan]]))
    assert (low[0], high[0]) == pytest.approx((0.025, 0.975))
    assert np.isnan([low[1], high[1]]).all()


def test_metrics_serialise_and_print():
    metrics = measure(run(MIXED, groups="one group"), resamples=20)
    text = metrics.model_dump_json()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert Metrics.model_validate_json(text).model_dump_json() == text
    printed = str(measure(run(MIXED)))
    assert f"{len(MIXED)} cells, each its own group" in printed
    assert f"{len(MIXED)} cells, 1 group" in str(measure(run(MIXED, groups=["s"] * len(MIXED))))
    assert "macro precision" in printed
    assert "monocyte*" in printed
    assert "accuracy" in metrics.summary


def test_nothing_to_measure_is_an_error():
    for function in (measure, average):
        with pytest.raises(DataError):
            function(run(MIXED).iloc[:0])


# --- averages ---------------------------------------------------------------------------------------------------


def several_runs() -> pd.DataFrame:
    small, large = np.repeat(CLASSES[:2], 15), np.repeat(CLASSES, 40)
    parts = [run(small, 0.5, seed=d, draw=d, target="small") for d in range(3)]
    parts += [run(large, 2.0, seed=9 + d, draw=d, target="large") for d in range(2)]
    return pd.concat(parts, ignore_index=True)


def test_averages_count_targets_alike():
    table = several_runs()
    estimates = average(table, resamples=200)
    for name in MEASURES:
        per_target = [
            np.mean([getattr(measure(part, 0), name).value for _, part in rows.groupby("draw")])
            for _, rows in table.groupby("target")
        ]
        assert estimates[name].value == pytest.approx(np.mean(per_target))
        assert estimates[name].low < estimates[name].value < estimates[name].high


def test_intervals_of_averages_redraw_an_image_in_all_its_runs():
    table = several_runs()
    right = (table["label"] == table["predicted"]).astype(float)
    rng = np.random.default_rng(0)
    means = 0
    for target in ("small", "large"):
        wide = table.assign(right=right)[table["target"] == target].pivot_table(
            index="path", columns="draw", values="right"
        )
        image = wide.to_numpy().mean(1)
        means = means + image[rng.integers(len(image), size=(4000, len(image)))].mean(1) / 2
    low, high = np.quantile(means, [0.025, 0.975])
    estimate = average(table, resamples=4000)["accuracy"]
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=0.006)


def test_an_average_of_one_run_is_that_run():
    table = run(MIXED, groups=[f"s{i % 9}" for i in range(len(MIXED))])
    metrics = measure(table, seed=4)
    assert average(table, seed=4) == {name: getattr(metrics, name) for name in MEASURES}


def test_without_class_drops_its_cells_but_not_the_mistake_of_predicting_it():
    labels = ["basophil"] * 6 + ["monocyte"] * 6
    table = predicted_as(labels, ["basophil"] * 6 + ["monocyte"] * 3 + ["basophil"] * 3)
    left = without_class(table, "lab", "basophil")
    assert set(left["target"]) == {"lab without basophil"}
    assert measure(left, 0).accuracy.value == pytest.approx(0.5)
    with pytest.raises(ConfigurationError, match="'lab'"):
        without_class(table, "lob", "basophil")


# --- comparisons ------------------------------------------------------------------------------------------------


def score_table(**conditions) -> pd.DataFrame:
    rows = [
        {
            "condition": c,
            "target": f"t{i % 4}",
            "draw": i // 4,
            "seed": 0,
            "protocol": "clean",
            "accuracy": value,
        }
        for c, values in conditions.items()
        for i, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def test_comparisons_equal_scipy_and_holm_by_hand():
    rng = np.random.default_rng(0)
    base = rng.uniform(0.6, 0.9, 12)
    others = {
        "a": base - rng.uniform(0.01, 0.2, 12),
        "b": base + rng.normal(0, 0.05, 12),
        "c": base + 0.03 * rng.normal(1, 1, 12),
    }
    tests = compare(score_table(base=base, **others), "base")
    assert [test.condition for test in tests] == ["a", "b", "c"]
    raw = [wilcoxon(np.round(values - base, 12)).pvalue for values in others.values()]
    assert [test.p_value for test in tests] == pytest.approx(raw)
    assert tests[0].mean_difference == pytest.approx((others["a"] - base).mean())
    assert (tests[0].effect_size, tests[0].pairs, tests[0].independent) == (-1, 12, True)
    small, middle, large = sorted(range(3), key=lambda i: raw[i])
    step = [min(1, 3 * raw[small])]
    step += [min(1, max(step[-1], 2 * raw[middle]))]
    step += [min(1, max(step[-1], raw[large]))]
    assert [tests[i].p_holm for i in (small, middle, large)] == pytest.approx(step)


def test_holm_known_values_and_nan():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, np.nan, 0.6]) == pytest.approx([1, np.nan, 1], nan_ok=True)
    assert len(holm([])) == 0


def test_rank_biserial_by_hand():
    # |differences| ranked 1, 2, 3, 4; the zero has no rank: (2 + 3 + 4 - 1) / 10.
    assert rank_biserial(np.array([-0.1, 0.2, 0.3, 0.4, 0.0])) == pytest.approx(0.8)
    assert rank_biserial(np.zeros(3)) == 0


def test_degenerate_comparisons_are_stated():
    same, one, few = (
        compare(score_table(base=[0.5, 0.6], x=[0.5, 0.6]), "base")[0],
        compare(score_table(base=[0.5], x=[0.6]), "base")[0],
        compare(score_table(base=[0.5, 0.6, 0.7], x=[0.6, 0.8, 0.9]), "base")[0],
    )
    assert (same.p_value, same.effect_size, same.note) == (1, 0, "no pair differs")
    assert np.isnan([one.p_value, one.p_holm]).all()
    assert (one.effect_size, one.note) == (1, "one pair only: nothing to test")
    assert few.p_value == pytest.approx(0.25)
    assert few.note == "with 3 differing pairs p cannot fall below 0.25"


def test_equal_differences_tie_in_spite_of_rounding():
    # 0.3 - 0.2 and 0.8 - 0.7 differ in the last bit; they are one rank.
    test = compare(score_table(base=[0.2, 0.7, 0.5], x=[0.3, 0.8, 0.4]), "base")[0]
    assert test.effect_size == pytest.approx(1 / 3)


def test_source_seeds_of_a_draw_are_one_pair():
    rng = np.random.default_rng(3)
    base, other = rng.uniform(0.5, 0.9, (2, 2, 8))
    table = pd.concat(
        [score_table(base=base[s], x=other[s]).assign(seed=s) for s in (0, 1)], ignore_index=True
    )
    test = compare(table, "base")[0]
    assert test.pairs == 8
    assert test.p_value == pytest.approx(wilcoxon(np.round(other.mean(0) - base.mean(0), 12)).pvalue)
    # A seed that one condition lacks does not enter the other's mean.
    lacking = table[(table["condition"] == "base") | (table["seed"] == 0)]
    assert compare(lacking, "base")[0].mean_difference == pytest.approx((other[0] - base[0]).mean())


def test_only_shared_pairs_are_compared():
    table = score_table(base=[0.5, 0.6, 0.7, 0.8, 0.9, 0.7, 0.6], x=[0.6, 0.9, 0.8, 0.7, 0.95, 0.8])
    assert compare(table, "base")[0].pairs == 6


def test_comparisons_refuse_what_cannot_be_compared():
    table = score_table(base=[0.5, 0.6], x=[0.6, 0.7])
    with pytest.raises(ConfigurationError, match=r"no condition 'bas'.*did you mean 'base'"):
        compare(table, "bas")
    with pytest.raises(ConfigurationError, match="no measure 'acuracy'"):
        compare(table, "base", "acuracy")
    with pytest.raises(ConfigurationError, match="clean, paper"):
        compare(pd.concat([table, table.assign(protocol="paper")]), "base")
    with pytest.raises(ConfigurationError, match="given twice"):
        compare(pd.concat([table, table]), "base")
    with pytest.raises(ConfigurationError, match="share no run"):
        compare(table.assign(draw=np.arange(4)), "base")


def test_the_per_image_test_is_marked():
    table = pd.concat([run(MIXED, 2.0), run(MIXED, 0.5, seed=1, condition="worse")])
    (test,) = compare_per_image(table, "our_workflow")
    right = [
        (t["label"] == t["predicted"]).to_numpy(float) for _, t in table.groupby("condition", sort=False)
    ]
    assert test.pairs == len(MIXED)
    assert test.p_value == pytest.approx(wilcoxon(right[1] - right[0]).pvalue)
    assert test.mean_difference == pytest.approx(right[1].mean() - right[0].mean())
    assert test.independent is False
    assert "not independent" in test.note


def test_across_draws_gives_mean_deviation_and_every_value():
    table = score_table(base=[0.5, 0.6, 0.7, 0.8, 0.9, 0.4, 0.5, 0.6, 0.1])
    spread = across_draws(table.sample(frac=1, random_state=1)).set_index("target")
    assert spread.loc["t0", "values"] == (0.5, 0.9, 0.1)
    assert spread.loc["t0", "mean"] == pytest.approx(0.5)
    assert spread.loc["t0", "sd"] == pytest.approx(0.4)
    assert spread.loc["t1", "runs"] == 2
    assert np.isnan(across_draws(score_table(base=[0.5]))["sd"].iloc[0])


def test_targets_without_groups_are_those_whose_images_are_groups_of_their_own() -> None:
    known = predicted_run("full", "known", 0, 2.0)
    image = known["path"]
    tables = {
        "known": known,
        "one_patient_is_known": known.assign(group=image.where(image != image[5], "patient 1")),
        "images": known.assign(group=image),
        "boxes": known.assign(group=image, path=image + "#xywh=0,0,9,9"),
        "twins": known.assign(group=image.where(image != image[3], image[0])),
        "empty": known.assign(group=pd.NA),
    }
    table = pd.concat(one.assign(target=name) for name, one in tables.items())
    assert without_groups(table) == ["boxes", "empty", "images", "twins"]
