"""How well `other` cells are told from the others, against scikit-learn."""

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from cellda.evaluation.metrics import measure
from cellda.evaluation.rejection import auroc, rejection
from cellda.taxonomies import create
from predicted import run


def table(others: int, cells: int = 40) -> pd.DataFrame:
    """Rows of a model of five classes and `other`, of which so many are `other`."""
    random = np.random.default_rng(others)
    classes = create("wbc5", other=True).classes
    labels = [*["other"] * others, *random.choice(classes[:-1], cells - others)]
    p = random.dirichlet(np.ones(len(classes)), cells)
    p[:, -1] += 0.15 * (np.array(labels) == "other")
    p /= p.sum(1, keepdims=True)
    rows = run("a", "x", 0, 1.0)
    rows = rows.iloc[np.arange(cells) % len(rows)].drop(
        columns=[f"p_{name}" for name in create("paper6").classes]
    )
    rows = rows.assign(
        path=[f"{number}.png" for number in range(cells)],
        label=labels,
        predicted=np.array(classes)[p.argmax(1)],
    )
    return rows.assign(**{f"p_{name}": p[:, number] for number, name in enumerate(classes)})


def test_areas_are_those_of_scikit_learn() -> None:
    rows = table(others=15)
    truth = (rows["label"] == "other").to_numpy()
    found = rejection(rows)
    assert found is not None
    assert (found.cells, found.other) == (40, 15)
    assert found.by_class == pytest.approx(roc_auc_score(truth, rows["p_other"]), abs=1e-6)
    known = rows[[f"p_{name}" for name in create("wbc5").classes]].to_numpy()
    assert found.by_doubt == pytest.approx(
        roc_auc_score(truth, 1 - (known / known.sum(1, keepdims=True)).max(1)), abs=1e-6
    )
    assert measure(rows).rejection == found
    assert re.search(rf"other cells found \(AUROC\) +{found.by_class:.2f}", str(measure(rows)))


def test_ties_and_any_scale_are_ranked_as_scikit_learn_does() -> None:
    values, truth = np.array([-3.0, 250.0, 250.0, 7.0, 7.0, 7.0]), np.array([0, 1, 0, 1, 0, 0], dtype=bool)
    assert auroc(values, truth) == pytest.approx(roc_auc_score(truth, values))


def test_without_other_cells_or_without_the_class_there_is_none() -> None:
    assert rejection(table(others=0)) is None
    assert rejection(table(others=40)) is None
    assert rejection(run("a", "x", 0, 1.0)) is None
