"""Every suggester keeps the promise of its base class; each chooses what its paper says."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellda.errors import ConfigurationError
from cellda.suggestion.current import known_cells, regressed
from cellda.suggestion.spec import SuggesterSpec
from cellda.suggestion.suggesters import create, names
from cellda.suggestion.suggesters.base import Cells, Suggester


def clusters(sizes: tuple[int, ...] = (40, 12, 6), spread: float = 0.1, seed: int = 0) -> Cells:
    """Clusters of embeddings far from each other, of which the current model knows nothing."""
    rng = np.random.default_rng(seed)
    centres = 10 * np.eye(len(sizes), 5)
    embeddings = np.concatenate(
        [centre + spread * rng.normal(size=(size, 5)) for centre, size in zip(centres, sizes, strict=True)]
    ).astype(np.float32)
    even = np.full((len(embeddings), len(sizes)), 1 / len(sizes))
    return Cells(embeddings, even, np.array([], dtype=np.int64), np.array([], dtype=np.int64))


def labelled(cells: Cells, rows: list[int], labels: list[int]) -> Cells:
    return Cells(cells.embeddings, cells.probabilities, np.array(rows), np.array(labels))


def members(cells: Cells, sizes: tuple[int, ...]) -> np.ndarray:
    return np.repeat(np.arange(len(sizes)), sizes)


# --- what all promise


@pytest.mark.parametrize("name", names())
@given(data=st.data())
def test_different_cells_without_a_label_the_same_for_the_same_seed(name: str, data):
    size = data.draw(st.integers(2, 25), label="cells")
    classes = data.draw(st.integers(2, 4), label="classes")
    seed = data.draw(st.integers(0, 10), label="seed")
    rng = np.random.default_rng(seed)
    # Few different values: cells that are alike are the hard case.
    embeddings = rng.integers(0, data.draw(st.sampled_from([1, 2, 50])), (size, 3)).astype(np.float32)
    probabilities = rng.multinomial(4, np.ones(classes) / classes, size) / 4
    known = rng.permutation(size)[: data.draw(st.integers(0, size - 1), label="labelled")]
    cells = Cells(embeddings, probabilities, known, rng.integers(0, classes, len(known)))
    n = data.draw(st.integers(1, size - len(known)), label="n")
    chosen = create(name).suggest(cells, n, seed)
    assert len(set(chosen.tolist())) == n
    assert not set(chosen.tolist()) & set(known.tolist())
    assert set(chosen.tolist()) <= set(range(size))
    np.testing.assert_array_equal(chosen, create(name).suggest(cells, n, seed))


@pytest.mark.parametrize("name", names())
def test_more_than_there_are_is_refused(name: str):
    cells = labelled(clusters((3, 2)), [0], [0])
    with pytest.raises(
        ConfigurationError, match=r"5 cells cannot be suggested: 4 cells have no label yet; ask for 1 to 4"
    ):
        create(name).suggest(cells, 5)
    with pytest.raises(ConfigurationError, match="all of them are labelled"):
        create(name).suggest(labelled(cells, [0, 1, 2, 3, 4], [0, 0, 0, 1, 1]), 1)


@pytest.mark.parametrize("rows", [[0, 0], [0], [0, 9], [0, 1]])
def test_a_suggester_that_breaks_the_promise_is_named(rows: list[int]):
    class Wrong(Suggester):
        name = "wrong"

        def chosen(self, cells, n, seed):
            return np.array(rows)

    with pytest.raises(ConfigurationError, match="'wrong' did not return 2 different rows"):
        Wrong().suggest(labelled(clusters((3, 2)), [1], [0]), 2)


def test_members_are_listed_and_the_heavy_library_is_imported_only_when_it_chooses():
    code = "import sys; from cellda.suggestion import suggesters as s; [s.get(n) for n in s.names()]; "
    code += "sys.exit('skactiveml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_options_are_checked_and_complete():
    spec = SuggesterSpec.model_validate("schedule")
    assert spec.options == {"first": "typiclust", "then": "margin", "switch": 20}
    with pytest.raises(ConfigurationError, match="did you mean 'switch'"):
        create("schedule", swich=3)
    with pytest.raises(ConfigurationError, match="other suggesters than 'schedule'"):
        create("schedule", first="schedule")
    with pytest.raises(ConfigurationError, match="purity lies between 0 and 1"):
        create("probcover", purity=1.0)


# --- what each chooses


@pytest.mark.parametrize("name", ["typiclust", "coreset"])
def test_diverse_cells_are_one_of_every_cluster(name: str):
    sizes = (40, 12, 6)
    chosen = create(name).suggest(clusters(sizes), 3)
    assert sorted(members(clusters(sizes), sizes)[chosen]) == [0, 1, 2]


def test_typical_cells_begin_with_the_largest_cluster_that_has_no_label():
    sizes = (40, 12, 6)
    whose = members(clusters(sizes), sizes)
    assert whose[create("typiclust").suggest(clusters(sizes), 3)].tolist() == [0, 1, 2]
    known = labelled(clusters(sizes), [0], [0])
    assert sorted(whose[create("typiclust").suggest(known, 2)].tolist()) == [1, 2]


def test_the_core_set_is_the_farthest_first_traversal():
    cells = labelled(clusters((10, 8, 7), spread=1.0), [3], [0])
    near = np.linalg.norm(cells.units - cells.units[3], axis=1)
    expected = []
    for _ in range(5):
        expected.append(int(near.argmax()))
        near = np.minimum(near, np.linalg.norm(cells.units - cells.units[expected[-1]], axis=1))
    assert create("coreset").suggest(cells, 5).tolist() == expected


def test_covering_cells_leave_out_what_is_covered():
    sizes = (40, 12, 6)
    known = labelled(clusters(sizes), [41], [1])
    whose = members(known, sizes)
    assert whose[create("probcover").suggest(known, 2)].tolist() == [0, 2]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("margin", [1, 0, 2]), ("entropy", [0, 2, 1])],
)
def test_doubtful_cells(name: str, expected: list[int]):
    # 0: nothing is known; 1: between two classes, 0.01 apart; 2: surer; 3: sure.
    said = np.array([[0.36, 0.33, 0.31], [0.5, 0.49, 0.01], [0.6, 0.3, 0.1], [0.98, 0.01, 0.01]])
    cells = Cells(np.zeros((4, 2), np.float32), said, np.array([], np.int64), np.array([], np.int64))
    assert create(name).suggest(cells, 3).tolist() == expected


def test_badge_leaves_out_cells_of_which_the_model_is_sure():
    cells = clusters((20, 20, 20), spread=1.0)
    sure = np.eye(3)[members(cells, (20, 20, 20))]
    doubtful = [4, 25, 50]
    sure[doubtful] = 1 / 3
    cells = Cells(cells.embeddings, sure, cells.rows, cells.labels)
    assert sorted(create("badge").suggest(cells, 3).tolist()) == doubtful


def test_class_balance_takes_turns_beginning_with_classes_without_a_label():
    said = np.eye(3)[[0] * 10 + [1] * 3 + [2] * 2]
    cells = Cells(np.zeros((15, 2), np.float32), said, np.array([0, 1, 10]), np.array([0, 0, 1]))
    order = said[create("class_balance").suggest(cells, 8)].argmax(1).tolist()
    assert order[0] == 2
    assert sorted(order[1:3]) == [1, 2]  # then class 2 has no more, and class 1 had three
    assert sorted(order) == [0, 0, 0, 0, 1, 1, 2, 2]


def test_the_schedule_switches():
    cells = clusters((15, 10, 8), spread=1.0)
    rng = np.random.default_rng(1)
    cells = Cells(cells.embeddings, rng.dirichlet(np.ones(3), len(cells)), cells.rows, cells.labels)
    schedule = create("schedule", first="coreset", then="entropy", switch=4)
    first = create("coreset").suggest(cells, 4)
    both = schedule.suggest(cells, 6)
    assert both[:4].tolist() == first.tolist()
    assert both[4:].tolist() == create("entropy").suggest(cells.also(first), 2).tolist()
    assert schedule.suggest(cells, 3).tolist() == create("coreset").suggest(cells, 3).tolist()
    known = labelled(cells, [0, 1, 2, 3], [0, 0, 1, 2])
    assert schedule.suggest(known, 3).tolist() == create("entropy").suggest(known, 3).tolist()


# --- the current model


def test_the_current_model_is_the_source_model_until_there_are_labels():
    cells = clusters((5, 5))
    source = np.random.default_rng(0).dirichlet(np.ones(3), 10).astype(np.float32)
    none = np.array([], dtype=np.int64)
    np.testing.assert_array_equal(known_cells(cells.embeddings, source, none, none).probabilities, source)
    found = known_cells(cells.embeddings, source, np.array([0, 9]), np.array([0, 2])).probabilities
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(found[:, 1], source[:, 1] / 2, atol=1e-7)  # a class without a label
    assert (found[:5, 0] > source[:5, 0] / 2 + 0.25).all()


def test_one_class_alone_is_all_that_labels_say():
    embeddings = clusters((4, 4)).embeddings
    np.testing.assert_array_equal(
        regressed(embeddings, embeddings[:2], np.array([1, 1]), 3), np.eye(3)[[1] * 8]
    )


def test_the_regression_is_that_of_the_adapter_logistic():
    import torch

    from cellda.adapters import create as adapter
    from cellda.adapters.families.embeddings import Features
    from cellda.models import heads

    rng = np.random.default_rng(0)
    embeddings, labels = rng.normal(size=(30, 6)).astype(np.float32), rng.integers(0, 3, 12)
    features = Features(torch.from_numpy(embeddings[:12]), torch.from_numpy(labels), torch.empty(0, 6))
    head = adapter("logistic").fit_head(heads.create("linear", width=6, classes=3), features, None)
    with torch.no_grad():
        expected = head(torch.from_numpy(embeddings)).softmax(1).numpy()
    np.testing.assert_allclose(regressed(embeddings, embeddings[:12], labels, 3), expected, atol=1e-4)
