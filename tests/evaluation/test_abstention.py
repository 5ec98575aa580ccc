"""Which cells are left for a person."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellda.evaluation.abstention import area, by_confidence, risk_coverage, threshold
from predicted import table_of

CLASSES = ("basophil", "neutrophil")


def cells(sure, right):
    """Cells of class neutrophil that are right or wrong with a confidence."""
    sure, right = np.asarray(sure), np.asarray(right)
    said = np.where(right[:, None], np.stack((1 - sure, sure), 1), np.stack((sure, 1 - sure), 1))
    return table_of(said, np.ones(len(sure), int), CLASSES)


def test_the_curve_counts_the_surest_first_and_equal_ones_together():
    curve = risk_coverage(cells([0.9, 0.8, 0.8, 0.6], [True, True, False, False]))
    assert list(curve["coverage"]) == pytest.approx([0.25, 0.75, 1.0])
    assert list(curve["risk"]) == pytest.approx([0, 1 / 3, 0.5])
    assert area(cells([0.9, 0.7], [True, False])) == pytest.approx(0.25)


@given(st.lists(st.floats(0.5, 1), min_size=1, max_size=40), st.floats(0.01, 0.3))
def test_as_many_are_decided_as_the_error_rate_allows(sure, error):
    found = np.stack((1 - np.array(sure), np.array(sure)), 1)
    decided = by_confidence(found, error)
    doubts = np.sort(1 - found.max(1))
    if decided.any():
        assert (1 - found.max(1))[decided].mean() <= error + 1e-9
        assert found.max(1)[decided].min() >= found.max(1)[~decided].max(initial=0) - 1e-12
    if not decided.all():
        assert doubts[: decided.sum() + 1].mean() > error


def test_the_threshold_needs_cells_that_show_it():
    assert threshold(cells([0.9] * 18, [True] * 18), 0.05) is None  # (0 + 1) / (18 + 1) > 0.05
    assert threshold(cells([0.9] * 19, [True] * 19), 0.05) == pytest.approx(0.9)
    held = cells([0.95] * 30 + [0.7] * 10, [True] * 30 + [False] * 10)
    assert threshold(held, 0.05) == pytest.approx(0.95)
