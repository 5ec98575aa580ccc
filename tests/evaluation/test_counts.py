"""Corrected differential counts, and whether their intervals hold."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta

from cellda.errors import DataError
from cellda.evaluation.counts import Confusion, by_group, differential, harder, narrowed
from predicted import table_of

CLASSES = ("basophil", "lymphocyte", "monocyte", "neutrophil")
TRUE = np.array(
    [[0.9, 0.03, 0.03, 0.04], [0.01, 0.95, 0.03, 0.01], [0.0, 0.1, 0.6, 0.3], [0.01, 0.01, 0.03, 0.95]]
)


def slide(rng, shares, cells):
    places = [rng.choice(4, number, p=TRUE[one]) for one, number in enumerate(rng.multinomial(cells, shares))]
    return pd.Series([CLASSES[place] for place in np.concatenate(places)])


def known(rng, cells):
    return Confusion(CLASSES, np.array([rng.multinomial(cells, row) for row in TRUE]))


@pytest.mark.parametrize(("labelled", "counted"), [(5, 100), (15, 200), (40, 500)])
def test_intervals_hold_on_slides_of_any_composition(labelled, counted):
    rng = np.random.default_rng(labelled)
    inside, corrected, raw = [], [], []
    for number in range(60):
        shares = rng.dirichlet(np.ones(4))
        found = differential(slide(rng, shares, counted), CLASSES, known(rng, labelled), number)
        inside.append((found["low"] <= shares) & (shares <= found["high"]))
        corrected.append((found["share"] - shares).abs().mean())
        raw.append((found["raw"] - shares).abs().mean())
    assert np.mean(inside) > 0.9  # 0.95 less what 240 intervals vary by
    if labelled >= 15:
        assert np.mean(corrected) < np.mean(raw)


def test_a_model_that_confuses_nothing_is_hardly_corrected():
    cells = pd.Series(["neutrophil"] * 60 + ["lymphocyte"] * 40)
    found = differential(cells, CLASSES, Confusion(CLASSES, np.eye(4, dtype=int) * 500)).set_index("class")
    assert found.loc["neutrophil", "share"] == pytest.approx(0.6, abs=0.02)
    low, high = beta.ppf([0.025, 0.975], 60.25, 40.75)
    assert found.loc["neutrophil", "low"] == pytest.approx(low, abs=0.015)
    assert found.loc["neutrophil", "high"] == pytest.approx(high, abs=0.015)
    assert found.loc["basophil", "low"] == 0


def test_without_labelled_cells_nothing_is_corrected():
    found = differential(pd.Series(["neutrophil"] * 30 + ["monocyte"] * 10), CLASSES, None).set_index("class")
    assert (found["share"] == found["raw"]).all()
    assert found.loc["neutrophil", "raw"] == 0.75
    assert found.loc["neutrophil", "low"] == pytest.approx(beta.ppf(0.025, 30.25, 10.75), abs=0.01)


def test_the_confusion_is_that_of_the_table():
    said = np.eye(4)[[0, 1, 3, 3]] * 0.9 + 0.025
    assert Confusion.of(table_of(said, np.array([0, 1, 2, 3]), CLASSES)).counts.tolist() == [
        [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1],
    ]  # fmt: skip
    assert narrowed(Confusion(CLASSES, np.arange(16).reshape(4, 4)), CLASSES[1:3]).counts.tolist() == [
        [5, 6],
        [9, 10],
    ]


def test_groups_are_counted_from_the_outermost_part_on():
    table = pd.DataFrame(
        {
            "predicted": ["neutrophil", "neutrophil", "monocyte", None, "monocyte"],
            "group": ["anna/slide 1", "anna/slide 2", "ben", "ben", ""],
        }
    )
    found = by_group(table, CLASSES, None)
    cells = found.groupby("group", sort=False)["cells"].sum()
    assert cells.to_dict() == {"": 4, "anna": 2, "anna/slide 1": 1, "anna/slide 2": 1, "ben": 1}
    with pytest.raises(DataError, match="no cell to count"):
        by_group(table[table["predicted"].isna()], CLASSES, None)
    with pytest.raises(DataError, match=r"does not know cannot be counted: blast"):
        differential(pd.Series(["blast"]), CLASSES, None)


def test_it_is_reproducible():
    rng = np.random.default_rng(0)
    cells, confusion = slide(rng, [0.1, 0.2, 0.3, 0.4], 100), known(rng, 10)
    assert differential(cells, CLASSES, confusion).equals(differential(cells, CLASSES, confusion))


def test_labelled_cells_that_are_harder_than_the_counted_ones_are_said():
    said = np.eye(4)[[0, 1, 3, 3]] * 0.9 + 0.025
    held = table_of(said, np.array([0, 1, 2, 3]), CLASSES)  # three of four are right
    assert harder(held, pd.Series([0.8, 0.85])) == ""
    assert "75% of the labelled cells are recognised, but the model is 95% sure" in harder(
        held, pd.Series([0.9, 1.0])
    )
