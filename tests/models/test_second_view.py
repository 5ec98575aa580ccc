"""The second view of a model: its trees against scikit-learn's, and its product against the formula written out."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import ExtraTreesClassifier

import cellda.datasets
from cellda import CellClassifier
from cellda.errors import DataError
from cellda.imaging.measurements import NAMES
from cellda.models import second_view
from cellda.models.second_view import SecondView, Shape
from described import describe, described
from tiny import SIDE, small_model

KNOWN = [0, 2, 5]


def fitted(classes: int = 6, weight: float = 1.0, cells: int = 40) -> tuple[SecondView, ExtraTreesClassifier]:
    """A second view, and scikit-learn's trees on the same numbers."""
    rng = np.random.default_rng(0)
    labels = rng.choice(KNOWN, cells)
    measures = (rng.normal(size=(cells, len(NAMES))) + labels[:, None] * 0.3).astype(np.float32)
    view = SecondView.fitted(
        torch.from_numpy(measures), torch.from_numpy(labels), classes, trees=30, weight=weight, seed=4
    )
    forest = ExtraTreesClassifier(30, max_features=0.2, class_weight="balanced", random_state=4)
    return view, forest.fit(measures, labels)


def test_the_trees_are_those_of_scikit_learn() -> None:
    view, forest = fitted()
    new = np.random.default_rng(1).normal(1, 2, size=(500, len(NAMES))).astype(np.float32)
    found = view.votes(torch.from_numpy(new)).numpy()
    np.testing.assert_allclose(found[:, KNOWN], forest.predict_proba(new), atol=1e-6)
    assert (found[:, [1, 3, 4]] == 0).all()


@pytest.mark.parametrize("weight", [0.5, 1.0, 2.0])
def test_probabilities_are_multiplied_among_the_classes_that_the_trees_know(monkeypatch, weight) -> None:
    view, forest = fitted(weight=weight)
    rng = np.random.default_rng(2)
    measures = rng.normal(1, 2, size=(7, len(NAMES))).astype(np.float32)
    measures[3] = np.nan
    monkeypatch.setattr(second_view, "measure", lambda images: torch.from_numpy(measures))
    p = rng.dirichlet(np.ones(6), 7).astype(np.float32)
    p[5] = [0.5, 0.5, 0, 0, 0, 0]  # other classes cannot occur
    found = view(torch.from_numpy(p), torch.zeros(7, 3, 8, 8)).numpy()

    expected = p.copy()
    for row in [0, 1, 2, 4, 5, 6]:
        q = (40 * forest.predict_proba(measures[row : row + 1])[0] + 1) / (40 + 6)
        product = p[row, KNOWN] * q**weight
        expected[row, KNOWN] = product / product.sum() * p[row, KNOWN].sum()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(found[3], p[3])  # no nucleus: the network alone
    assert (found[5, 2:] == 0).all()


def test_a_network_that_rules_out_all_that_the_trees_know_is_believed(monkeypatch) -> None:
    view, _ = fitted()
    monkeypatch.setattr(second_view, "measure", lambda images: torch.zeros(len(images), len(NAMES)))
    p = torch.tensor([[0, 0.25, 0, 0.5, 0.25, 0]])
    torch.testing.assert_close(view(p, torch.zeros(1, 3, 8, 8)), p)


def test_a_model_predicts_with_it_trains_without_it_and_keeps_it(tmp_path) -> None:
    model, raw = small_model(), cellda.datasets.load("synthetic/1", per_class=2).read(range(12), SIDE)
    alone = model.predict(raw).probabilities
    logits = model(model.normalized(raw))
    model.second_view, _ = fitted()
    said = model.predict(raw).probabilities
    torch.testing.assert_close(model.probabilities(raw), said)
    torch.testing.assert_close(model(model.normalized(raw)), logits)
    torch.testing.assert_close(model.second_view(alone, raw), said, rtol=1e-4, atol=1e-6)
    kept = CellClassifier.load(model.save(tmp_path / "m", half=True))
    assert kept.second_view is not None
    assert kept.second_view.shape == model.second_view.shape
    for name, value in model.second_view.named_buffers():
        torch.testing.assert_close(kept.second_view.get_buffer(name), value, rtol=0, atol=0)


def test_the_identity_of_a_model_changes_with_its_second_view() -> None:
    model = small_model()
    before = model.identity
    model.second_view, _ = fitted()
    with_view = model.identity
    model.second_view, _ = fitted(weight=0.5)
    assert len({before, with_view, model.identity}) == 3


@pytest.mark.parametrize(
    "damage", [{"nodes": 10}, {"trees": 10}, {"depth": -1}, {"weight": 0}, {"nodes": 10**12}]
)
def test_a_description_of_other_trees_is_refused(tmp_path, damage) -> None:
    model = small_model()
    model.second_view, _ = fitted()
    folder = model.save(tmp_path / "m")
    content = described(folder)
    describe(folder, content | {"second_view": content["second_view"] | damage})
    with pytest.raises(DataError, match="could not be read"):
        CellClassifier.load(folder)


@pytest.mark.parametrize(
    ("name", "value"),
    [("roots", 10**9), ("branches", -2), ("features", 500), ("shares", -1.0), ("counts", 0), ("shares", 0.5)],
)
def test_trees_that_lead_nowhere_are_refused(tmp_path, name, value) -> None:
    model = small_model()
    model.second_view, _ = fitted()
    model.second_view.check()
    model.second_view.get_buffer(name).fill_(value)
    folder = model.save(tmp_path / "m")
    with pytest.raises(DataError, match="trees of its second view"):
        CellClassifier.load(folder)


def test_sizes_are_bounded() -> None:
    assert Shape(trees=1, nodes=1, depth=0, weight=1.0).depth == 0
    view, _ = fitted(cells=3)  # few cells of few classes
    assert view.votes(torch.zeros(2, len(NAMES))).sum(1).tolist() == pytest.approx([1, 1])
