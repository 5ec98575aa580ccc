"""Corrected differential counts, and whether their intervals hold."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta

from cellda.errors import DataError
from cellda.evaluation.counts import SURE, Confusion, by_group, differential, wide
from predicted import table_of

CLASSES = ("basophil", "lymphocyte", "monocyte", "neutrophil")
TRUE = np.array(
    [[0.9, 0.03, 0.03, 0.04], [0.01, 0.95, 0.03, 0.01], [0.0, 0.1, 0.6, 0.3], [0.01, 0.01, 0.03, 0.95]]
)


DOUBTED = np.array([[0.5, 0.2, 0.1, 0.2], [0.1, 0.6, 0.2, 0.1], [0.0, 0.3, 0.4, 0.3], [0.1, 0.1, 0.2, 0.6]])
"""What is taken for what among the cells that the model doubts."""


def cells_of(*predicted):
    return pd.DataFrame({"predicted": predicted, "confidence": 0.95})


def slide(rng, shares, cells, doubted=0.0):
    rows = []
    for one, number in enumerate(rng.multinomial(cells, shares)):
        for confidence, table, part in ((0.5, DOUBTED, doubted), (0.95, TRUE, 1 - doubted)):
            said = rng.choice(4, round(number * part), p=table[one])
            rows += [{"predicted": CLASSES[place], "confidence": confidence} for place in said]
    return pd.DataFrame(rows)


def known(rng, cells, doubted=0.0):
    return Confusion(
        CLASSES,
        np.array(
            [
                [rng.multinomial(round(cells * part), row) for row in table]
                for table, part in ((DOUBTED, doubted), (TRUE, 1 - doubted))
            ]
        ),
    )


@pytest.mark.parametrize(("labelled", "counted"), [(5, 100), (15, 200), (40, 500)])
def test_intervals_hold_on_slides_of_any_composition(labelled, counted):
    rng = np.random.default_rng(labelled)
    inside, corrected, raw = [], [], []
    for number in range(40):
        shares = rng.dirichlet(np.ones(4))
        found = differential(slide(rng, shares, counted), CLASSES, known(rng, labelled), number)
        inside.append((found["low"] <= shares) & (shares <= found["high"]))
        corrected.append((found["share"] - shares).abs().mean())
        raw.append((found["raw"] - shares).abs().mean())
    assert np.mean(inside) > 0.9  # 0.95 less what 240 intervals vary by
    if labelled >= 15:
        assert np.mean(corrected) < np.mean(raw)


def test_a_model_that_confuses_nothing_is_hardly_corrected():
    cells = cells_of(*["neutrophil"] * 60, *["lymphocyte"] * 40)
    sure = Confusion(CLASSES, np.stack([np.zeros((4, 4), int), np.eye(4, dtype=int) * 500]))
    found = differential(cells, CLASSES, sure).set_index("class")
    assert found.loc["neutrophil", "share"] == pytest.approx(0.6, abs=0.02)
    low, high = beta.ppf([0.025, 0.975], 60.25, 40.75)
    assert found.loc["neutrophil", "low"] == pytest.approx(low, abs=0.015)
    assert found.loc["neutrophil", "high"] == pytest.approx(high, abs=0.015)
    assert found.loc["basophil", "low"] == 0


def test_without_labelled_cells_nothing_is_corrected():
    found = differential(cells_of(*["neutrophil"] * 30, *["monocyte"] * 10), CLASSES, None).set_index("class")
    assert (found["share"] == found["raw"]).all()
    assert found.loc["neutrophil", "raw"] == 0.75
    assert found.loc["neutrophil", "low"] == pytest.approx(beta.ppf(0.025, 30.25, 10.75), abs=0.01)


def test_the_confusion_is_that_of_the_table():
    said = np.eye(4)[[0, 1, 3, 3]] * 0.9 + 0.025
    said[2] = [0.1, 0.1, 0.1, 0.7]
    found = Confusion.of(table_of(said, np.array([0, 1, 2, 3]), CLASSES))
    doubted = np.zeros((4, 4), int)
    doubted[2, 3] = 1
    assert found.counts.tolist() == [doubted.tolist(), np.diag([1, 1, 0, 1]).tolist()]
    some = Confusion(CLASSES, np.arange(32).reshape(2, 4, 4)).among(CLASSES[1:3])
    assert some.counts.tolist() == [[[5, 6], [9, 10]], [[21, 22], [25, 26]]]


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
        differential(cells_of("blast"), CLASSES, None)


def test_it_is_reproducible():
    rng = np.random.default_rng(0)
    cells, confusion = slide(rng, [0.1, 0.2, 0.3, 0.4], 100), known(rng, 10)
    assert differential(cells, CLASSES, confusion).equals(differential(cells, CLASSES, confusion))


@pytest.mark.slow
def test_intervals_hold_though_the_labelled_cells_were_chosen_for_being_doubtful():
    rng = np.random.default_rng(1)
    inside, off, off_pooled = [], [], []
    for number in range(40):
        shares = rng.dirichlet(np.ones(4))
        cells, confusion = slide(rng, shares, 400, doubted=0.1), known(rng, 30, doubted=0.8)
        found = differential(cells, CLASSES, confusion, number)
        inside.append((found["low"] <= shares) & (shares <= found["high"]))
        off.append((found["share"] - shares).abs().mean())
        # All cells alike, as if nothing were known of how sure the model is.
        together = Confusion(CLASSES, np.stack([confusion.counts.sum(0)] * 2))
        found = differential(cells.assign(confidence=SURE), CLASSES, together, number)
        off_pooled.append((found["share"] - shares).abs().mean())
    assert np.mean(inside) > 0.9
    assert np.mean(off) < 0.8 * np.mean(off_pooled)


def test_the_class_that_a_person_gave_is_certain():
    rng = np.random.default_rng(2)
    cells = cells_of(*["neutrophil"] * 30, *["basophil"] * 10).assign(certain=[True] * 40)
    found = differential(cells, CLASSES, known(rng, 5)).set_index("class")
    low, high = beta.ppf([0.025, 0.975], 10.25, 30.75)  # of the slide, of which these are few cells
    assert found.loc["basophil", "share"] == pytest.approx(0.25, abs=0.01)
    assert found.loc["basophil", "low"] == pytest.approx(low, abs=0.01)
    assert found.loc["basophil", "high"] == pytest.approx(high, abs=0.01)


@pytest.mark.slow
def test_intervals_hold_for_a_class_that_is_always_doubted():
    rng, inside = np.random.default_rng(3), []
    perfect = Confusion(CLASSES, np.stack([np.eye(4, dtype=int) * 200] * 2))
    for number in range(40):
        cells = cells_of(*rng.choice(["monocyte", "neutrophil"], 100, p=[0.07, 0.93]))
        cells["confidence"] = np.where(cells["predicted"] == "monocyte", 0.5, 0.95)
        found = differential(cells, CLASSES, perfect, number).set_index("class")
        inside.append(found.loc["monocyte", "low"] <= 0.07 <= found.loc["monocyte", "high"])
    assert (
        np.mean(inside) > 0.85
    )  # 0.95 less what 60 slides vary by; 0.54 if the share of doubted cells were exact


def test_counts_that_rest_on_few_labelled_cells_are_said():
    few = Confusion(CLASSES, np.stack([np.ones((4, 4), dtype=int) * 3, np.eye(4, dtype=int) * 4]))
    cells = cells_of("neutrophil", "neutrophil", "monocyte", None)
    assert "sure of 100% of the counted cells (from 80% on), but of only 16 labelled cells" in wide(
        cells, few
    )
    assert wide(cells.assign(confidence=0.5), few) == ""
