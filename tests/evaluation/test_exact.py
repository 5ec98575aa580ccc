"""Intervals of few cells: exact, never of no width, and as often right as they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from cellda.evaluation.exact import intervals, of_share, widened


@given(st.integers(1, 400), st.data())
def test_shares_have_the_interval_of_scipy(cells: int, data):
    hits = data.draw(st.integers(0, cells))
    expected = binomtest(hits, cells).proportion_ci(method="exact")
    low, high = of_share(hits, cells)
    assert (float(low), float(high)) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_nothing_is_known_of_no_cells_and_little_of_one():
    assert [float(end) for end in of_share(0, 0)] == [0, 1]
    assert [float(end) for end in of_share(1, 1)] == pytest.approx([0.025, 1])


def test_groups_that_agree_are_as_many_shares():
    low, high = widened(
        np.array([1.0, 0.0, 0.9, 1.0]), (np.array([1.0, 0, 0.8, 1]), np.array([1.0, 0, 1, 1])), [4, 3, 5, 1]
    )
    assert low[:3] == pytest.approx([0.025 ** (1 / 4), 0, 0.8])
    assert high[:3] == pytest.approx([1, 1 - 0.025 ** (1 / 3), 1])
    assert np.isnan([low[3], high[3]]).all()


@pytest.mark.parametrize(
    ("cells", "right"), [([5] * 5, 0.9), ([8] * 3, 0.98), ([10] * 5, 0.8), ([30, 12, 6], 0.7)]
)
def test_averages_hold_the_truth_as_often_as_they_say(cells: list[int], right: float):
    classes, rng = len(cells), np.random.default_rng(0)
    share = np.full((classes, classes), (1 - right) / (classes - 1))
    np.fill_diagonal(share, right)
    expected = np.array(cells)[:, None] * share
    hits, rows, columns = np.diag(expected), expected.sum(1), expected.sum(0)
    truth = {
        "balanced_accuracy": (hits / rows).mean(),
        "macro_precision": (hits / columns).mean(),
        "macro_f1": (2 * hits / (rows + columns)).mean(),
        "accuracy": hits.sum() / rows.sum(),
    }
    held = dict.fromkeys(truth, 0)
    every = np.ones(classes, dtype=bool)
    for _ in range(600):
        drawn = np.stack([rng.multinomial(n, share[row]) for row, n in enumerate(cells)])
        for name, (low, high) in intervals(drawn, every).items():
            if name in truth:
                held[name] += bool(low - 1e-12 <= truth[name] <= high + 1e-12)
    assert min(held.values()) > 0.92 * 600, held
