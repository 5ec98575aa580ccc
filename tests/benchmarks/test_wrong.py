"""Wrong predictions: every number against its formula, on a table small enough to count by hand."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.common.regions import region_table, regions
from benchmarks.common.wrong_probabilities import wrong_probabilities
from cellda.errors import ConfigurationError
from cellda.evaluation.condition import Condition
from cellda.evaluation.predictions import validate
from cellda.evaluation.wrong import confusions, second_chances, second_class, wrong, wrong_profiles
from tiny import CLASSES, PROBABILITIES

CONDITION = Condition(
    name="x", adapter="full", framing="none", normalizer="reinhard", n=6, labels_used=6, source="barcelona"
).columns()

ROWS = [  # true, predicted, probabilities: bas, eos, ery, lym, mon, neu
    ("neutrophil", "neutrophil", (0.0, 0.1, 0.0, 0.2, 0.0, 0.7)),
    ("neutrophil", "eosinophil", (0.0, 0.5, 0.1, 0.0, 0.0, 0.4)),
    ("neutrophil", "monocyte", (0.3, 0.0, 0.0, 0.0, 0.5, 0.2)),
    ("neutrophil", "eosinophil", (0.0, 0.6, 0.1, 0.1, 0.0, 0.2)),
    ("monocyte", "lymphocyte", (0.0, 0.0, 0.0, 0.4, 0.4, 0.2)),
    ("lymphocyte", "lymphocyte", (0.0, 0.0, 0.1, 0.9, 0.0, 0.0)),
]


@pytest.fixture
def predictions() -> pd.DataFrame:
    run = {**CONDITION, "target": "raabin", "draw": 0, "seed": 0, "protocol": "clean", "group": None}
    rows = [
        {
            **run,
            "path": f"{i}.png",
            "label": label,
            "predicted": said,
            **dict(zip(PROBABILITIES, p, strict=True)),
        }
        for i, (label, said, p) in enumerate(ROWS)
    ]
    return validate(pd.DataFrame(rows))


def random_table(n: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(6, 0.7), n)
    columns = {
        **CONDITION, "target": "t", "draw": 0, "seed": 0, "protocol": "clean", "group": None,
        "path": [f"{i}.png" for i in range(n)],
        "label": rng.choice(CLASSES[:5], n), "predicted": np.array(CLASSES)[p.argmax(1)],
    }  # fmt: skip
    return validate(pd.DataFrame({**columns, **{name: p[:, i] for i, name in enumerate(PROBABILITIES)}}))


def test_wrong_rows_are_those_that_differ(predictions):
    assert wrong(predictions)["path"].tolist() == ["1.png", "2.png", "3.png", "4.png"]


def test_the_second_class_is_the_runner_up(predictions):
    assert second_class(predictions).tolist() == [
        "lymphocyte", "neutrophil", "basophil", "neutrophil", "monocyte", "erythroblast"
    ]  # fmt: skip


def test_the_second_class_against_sorting():
    table = random_table()
    before = table.copy()
    order = table[list(PROBABILITIES)].to_numpy().argsort(1)
    assert second_class(table).tolist() == [CLASSES[i] for i in order[:, -2]]
    pd.testing.assert_frame_equal(table, before)


def test_second_chances_count_where_the_runner_up_is_right(predictions):
    table = second_chances(predictions).set_index("label")
    assert list(table.index) == ["lymphocyte", "monocyte", "neutrophil"]
    assert table[["cells", "wrong", "second_is_true"]].to_numpy().tolist() == [
        [1, 0, 0],
        [1, 1, 1],
        [4, 3, 2],
    ]
    assert np.isnan(table.loc["lymphocyte", "share"])
    assert table.loc["neutrophil", "share"] == pytest.approx(2 / 3)


def test_profiles_are_means_over_the_wrong_ones(predictions):
    table = wrong_profiles(predictions).set_index("label")
    assert list(table.index) == ["monocyte", "neutrophil"]
    assert table["wrong"].tolist() == [1, 3]
    means = table.loc["neutrophil", list(PROBABILITIES)].tolist()
    assert means == pytest.approx([0.1, 1.1 / 3, 0.2 / 3, 0.1 / 3, 0.5 / 3, 0.8 / 3], abs=1e-6)


def test_profiles_of_many_rows_against_a_loop():
    table = random_table()
    found = wrong_profiles(table).set_index("label")
    for label in CLASSES[:5]:
        rows = [r for r in table.to_dict("records") if r["label"] == label != r["predicted"]]
        assert found.loc[label, "wrong"] == len(rows)
        for name in PROBABILITIES:
            assert found.loc[label, name] == pytest.approx(sum(r[name] for r in rows) / len(rows), abs=1e-6)


def test_confusions_come_commonest_first(predictions):
    assert confusions(predictions).to_numpy().tolist() == [
        ["neutrophil", "eosinophil", 2, 2],
        ["monocyte", "lymphocyte", 1, 1],
        ["neutrophil", "monocyte", 1, 0],
    ]


def test_nothing_wrong_is_said_as_such(predictions):
    right = predictions[predictions["label"] == predictions["predicted"]]
    assert confusions(right).empty
    assert wrong_profiles(right).empty
    assert second_chances(right)["wrong"].tolist() == [0, 0]
    with pytest.raises(ConfigurationError, match="None of these predictions is wrong"):
        wrong_probabilities(right)


def test_the_figure_shows_means_cells_and_counts(predictions):
    figure = wrong_probabilities(predictions)
    shown = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in shown] == [
        "monocyte: 1 of 1 wrong\ntrue class second: 1 of 1",
        "neutrophil: 3 of 4 wrong\ntrue class second: 2 of 3",
    ]
    axes = shown[1]
    heights = [bar.get_height() for bar in axes.patches]
    assert heights == pytest.approx([0.1, 1.1 / 3, 0.2 / 3, 0.1 / 3, 0.5 / 3, 0.8 / 3], abs=1e-6)
    assert [bar.get_edgecolor()[3] > 0 for bar in axes.patches] == [False] * 5 + [True]
    assert sorted(axes.lines[5].get_ydata()) == pytest.approx([0.2, 0.2, 0.4])
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "BAS",
        "EOS",
        "ERY",
        "LYM",
        "MON",
        "NEU",
    ]


# --- regions of the embedding


def test_regions_are_clusters_numbered_by_size():
    rng = np.random.default_rng(0)
    sizes = (10, 40, 25)
    blobs = [rng.normal(20 * i, 1, (n, 8)) for i, n in enumerate(sizes)]
    found = regions(np.concatenate(blobs).astype(np.float32), 3)
    assert found.tolist() == [3] * 10 + [1] * 40 + [2] * 25
    with pytest.raises(ConfigurationError, match="75 cells cannot be divided into 76 regions"):
        regions(np.concatenate(blobs).astype(np.float32), 76)


def test_the_table_of_regions_counts_what_they_hold(predictions):
    table = region_table(np.array([1, 1, 1, 1, 2, 2]), predictions)
    assert table["region"].tolist() == [1, 2]
    assert table["cells"].tolist() == [4, 2]
    assert table["label"].tolist()[0] == "neutrophil"
    assert table["purity"].tolist() == [1.0, 0.5]
    assert table["wrong"].tolist() == [3, 1]
    assert table["second_is_true"].tolist() == [2, 1]
    assert table["commonest"].tolist() == ["neutrophil → eosinophil", "monocyte → lymphocyte"]
    assert region_table(np.array([1]), predictions.tail(1))["commonest"].tolist() == [""]
