"""Sets of classes: what coverage they keep, and how they are made."""

import numpy as np
import pytest

from cellda.evaluation.conformal import Sets, kept, needed
from predicted import table_of

CLASSES = ("basophil", "eosinophil", "neutrophil")


def cells(counts, seed):
    """Cells of a model that confuses the classes differently often."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3), counts)
    logits = rng.normal(0, 1, (len(labels), 3))
    logits[np.arange(len(labels)), labels] += np.array([2.5, 1.2, 0.6])[labels]
    said = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return said, labels


@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_the_coverage_is_kept_in_every_class_whatever_their_shares(coverage):
    held = np.zeros(3)
    for seed in range(40):
        sets = Sets.fitted(table_of(*cells((30, 30, 30), seed), CLASSES), coverage)
        said, labels = cells((200, 50, 10), 1000 + seed)  # other shares than the labelled cells have
        inside = kept(table_of(said, labels, CLASSES), sets.of(said))
        held += [inside[labels == one].mean() for one in range(3)]
    assert (held / 40 > coverage - 0.02).all()


def test_a_class_is_in_the_set_by_its_p_value():
    said, labels = cells((20, 25, 30), 0)
    sets = Sets.fitted(table_of(said, labels, CLASSES), 0.9)
    new, _ = cells((5, 5, 5), 7)
    inside = sets.of(new)
    scores = np.round(1 - said[np.arange(len(labels)), labels].astype(np.float32).astype(float), 6)
    for row in range(len(new)):
        for one in range(3):
            own = scores[labels == one]
            p_value = (1 + (own >= np.round(1 - new[row, one], 6)).sum()) / (1 + len(own))
            assert inside[row, one] == (p_value > 0.1 or new[row].argmax() == one)


def test_sets_are_never_empty_and_named_by_probability():
    sets = Sets.fitted(table_of(*cells((30, 30, 30), 0), CLASSES), 0.5)
    assert sets.of(np.full((1, 3), 1 / 3)).sum() >= 1
    found = np.array([[0.2, 0.5, 0.3]])
    names = sets.names(found)[0].split("+")
    assert names[0] == "eosinophil"
    assert names == sorted(names, key=lambda name: -found[0, CLASSES.index(name)])


def test_a_class_with_few_cells_shares_the_threshold_of_all():
    assert needed(0.9) == 9
    assert needed(0.95) == 19
    sets = Sets.fitted(table_of(*cells((8, 30, 0), 0), CLASSES), 0.9)
    assert sets.shared == ("basophil", "neutrophil")
    assert len(sets.scores[0]) == len(sets.scores[2]) == 38
    assert len(sets.scores[1]) == 30
