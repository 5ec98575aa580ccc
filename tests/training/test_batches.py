"""The order of examples: equal parts of every source, everything of the largest, nothing twice before its turn."""

import math
import warnings
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cellda.training.batches import Batches, Mix, Pool, order_of

QUICK = settings(max_examples=60)
lengths_ = st.lists(st.integers(3, 40), min_size=1, max_size=4)  # at most 14 repeats, so no warning
batch_sizes = st.integers(2, 17)
seeds = st.integers(0, 1000)


def of_source(position: int, lengths: list[int]) -> int:
    for index, length in enumerate(lengths):
        if position < length:
            return index
        position -= length
    raise AssertionError("a position beyond the last source")


@QUICK
@given(lengths_, batch_sizes, seeds)
def test_an_epoch_sees_the_largest_source_once_and_repeats_the_others(lengths, batch_size, seed) -> None:
    counts = Counter(
        position for batch in Batches(Mix(tuple(lengths)), batch_size, seed) for position in batch
    )
    longest, offset = max(lengths), 0
    for length in lengths:
        seen = [counts[offset + position] for position in range(length)]
        assert sum(seen) == longest
        # Nothing comes a second time before everything came once.
        assert set(seen) <= {longest // length, -(-longest // length)}
        offset += length
    assert sum(counts.values()) == longest * len(lengths)


@QUICK
@given(lengths_, batch_sizes, seeds)
def test_every_batch_holds_equal_parts(lengths, batch_size, seed) -> None:
    for batch in Batches(Mix(tuple(lengths)), batch_size, seed):
        parts = Counter(of_source(position, lengths) for position in batch)
        counts = [parts[index] for index in range(len(lengths))]
        assert max(counts) - min(counts) <= 1


@QUICK
@given(lengths_, batch_sizes, seeds)
def test_batches_are_nearly_equal_and_none_holds_a_single_example(lengths, batch_size, seed) -> None:
    order = Batches(Mix(tuple(lengths)), batch_size, seed)
    sizes = [len(batch) for batch in order]
    assert len(order) == len(sizes)
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= min(2, sum(sizes))
    assert max(sizes) <= batch_size + 1
    full = math.ceil(sum(sizes) / batch_size)
    assert len(sizes) == (full if sum(sizes) >= 2 * full else full - 1)


def test_what_would_be_left_over_is_spread_over_all_batches() -> None:
    assert [len(batch) for batch in Batches(Mix((90,)), 8, seed=0)] == [8] * 6 + [7] * 6
    assert [len(batch) for batch in Batches(Mix((9,)), 4, seed=0)] == [3, 3, 3]
    assert [len(batch) for batch in Batches(Mix((10,)), 4, seed=0)] == [4, 3, 3]
    assert [len(batch) for batch in Batches(Mix((3,)), 2, seed=0)] == [3]
    assert [len(batch) for batch in Batches(Mix((1,)), 4, seed=0)] == [1]


groups_ = st.lists(st.integers(1, 60), min_size=1, max_size=6)


@QUICK
@given(groups_, batch_sizes, seeds)
def test_pooled_groups_count_by_the_square_root_of_their_size(sizes, batch_size, seed) -> None:
    groups = [number for number, size in enumerate(sizes) for _ in range(size)]
    counts = Counter(position for batch in Batches(Pool(groups), batch_size, seed) for position in batch)
    assert sum(counts.values()) == len(groups)
    unit = len(groups) / sum(math.sqrt(size) for size in sizes)
    offset = 0
    for size in sizes:
        seen = [counts[offset + place] for place in range(size)]
        assert abs(sum(seen) - unit * math.sqrt(size)) <= 1
        assert max(seen) - min(seen) <= 1  # nothing comes again before everything of the group came
        offset += size


def test_a_group_is_a_class_of_a_source() -> None:
    labels = [torch.tensor([0, 0, 0, 0, 5]), torch.tensor([5, 5])]
    assert order_of("root", labels, ("a", "b")) == Pool([0, 0, 0, 0, 5, 11, 11])
    assert order_of("equal", labels, ("a", "b")) == Mix((5, 2), ("a", "b"))


def test_pooled_epochs_are_shuffled_and_their_own() -> None:
    order = Batches(Pool([0] * 400 + [1] * 100), 10, seed=1)
    first = [position for batch in order for position in batch]
    assert first == [position for batch in order for position in batch]
    order.epoch = 1
    assert first != [position for batch in order for position in batch]
    small = [sum(position >= 400 for position in batch) for batch in order]
    assert sum(small) == 167  # a third of 500, for a fifth of the examples
    assert min(small) < 3.3 < max(small)


def test_epochs_and_seeds_have_orders_of_their_own_and_the_same_one_again() -> None:
    order = Batches(Mix((30,)), 8, seed=3)
    first, again = list(order), list(order)
    order.epoch = 1
    second = list(order)
    assert first == again != second
    assert list(Batches(Mix((30,)), 8, seed=4)) != first
    assert list(Batches(Mix((30,)), 8, seed=3)) == first
    assert sorted(p for batch in first for p in batch) == list(range(30))
    assert sorted(p for batch in second for p in batch) == list(range(30))


def test_repeats_of_a_small_source_have_orders_of_their_own() -> None:
    small = [p - 40 for batch in Batches(Mix((40, 10)), 8, seed=0) for p in batch if p >= 40]
    rounds = [small[start : start + 10] for start in range(0, 40, 10)]
    assert all(sorted(part) == list(range(10)) for part in rounds)
    assert len({tuple(part) for part in rounds}) == 4


def test_a_tiny_source_is_warned_about_by_name() -> None:
    with pytest.warns(UserWarning, match=r"'jiangxi_tecom' has only 4 images and is repeated 25 times"):
        Batches(Mix((100, 4), ("barcelona", "jiangxi_tecom")), 8, 0)
    with pytest.warns(UserWarning, match=r"'set 0' has only 4 images"):
        Batches(Mix((4, 81)), 8, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Batches(Mix((80, 4)), 8, seed=0)  # twenty times is still let pass
