"""Few-shot draws: the rules of the protocol, on drawn tables and on the real targets."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

import cellda.datasets
from cellda.data.few_shot import default_size, draw_support
from cellda.datasets.base import CellDataset
from cellda.errors import ConfigurationError
from tiny import CLASSES

QUICK = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])


class Drawn(CellDataset):
    """A dataset of rows (path, label, group) without files; `twins` are paths whose images are identical."""

    name = "drawn"

    def __init__(self, rows, twins=(), few_shot=None):
        self.rows, self.twins, self.few_shot = list(rows), [set(t) for t in twins], few_shot
        super().__init__()

    def _index(self) -> pd.DataFrame:
        table = pd.DataFrame(self.rows, columns=["path", "raw_label", "group"])
        table["group"] = table["group"].astype(object).where(table["group"].notna(), None)
        return table.assign(label=None, box=None)[["path", "label", "raw_label", "group", "box"]]

    def effective_groups(self) -> list[str]:
        groups = [
            path if group is None else group for path, group in self.table[["path", "group"]].to_numpy()
        ]
        for pair in self.twins:
            merged = {g for p, g in zip(self.table["path"], groups, strict=True) if p in pair}
            groups = [min(merged) if g in merged else g for g in groups]
        return groups


def ungrouped(**counts: int) -> Drawn:
    return Drawn([(f"{c}/{i:04d}.png", c, None) for c, n in counts.items() for i in range(n)])


def grouped(cells: list[tuple[str, str]]) -> Drawn:
    return Drawn([(f"{i:05d}.png", label, group) for i, (label, group) in enumerate(cells)])


def support_counts(dataset, draw) -> dict[str, int]:
    counts = dataset.table["label"].iloc[list(draw.support)].value_counts()
    return {str(c): int(n) for c, n in counts.items()}


cells_of_groups = st.lists(
    st.tuples(st.sampled_from(CLASSES[:4]), st.integers(0, 12).map(lambda g: f"smear{g:02d}")),
    min_size=10,
    max_size=150,
)


@QUICK
@given(cells_of_groups, st.integers(0, 50), st.sampled_from(["balanced", "stratified", "random"]))
def test_clean_draws_of_grouped_data_never_straddle(cells, number, kind):
    dataset = grouped(cells)
    spread = pd.DataFrame(cells, columns=["label", "group"]).groupby("label")["group"].nunique()
    try:
        draw = draw_support(dataset, 4, number, kind=kind)
    except ConfigurationError as error:
        assume(not any(reason in str(error) for reason in ("finer groups", "two halves", "cannot give 4")))
        raise
    labels, groups = dataset.table["label"].to_numpy(), np.array(draw.groups)
    support, query = list(draw.support), list(draw.query)
    assert support == sorted(set(support))
    assert query == sorted(set(query))
    assert query
    assert not set(groups[support]) & set(groups[query])
    assert len(support) <= 4
    for name in spread.index[spread == 1]:
        assert name in draw.unsupported
        assert set(np.flatnonzero(labels == name)) <= set(query)
    assert set(draw.unsupported) == set(labels) - set(labels[support])
    assert set(draw.untested) == set(labels) - set(labels[query])


@QUICK
@given(
    st.dictionaries(st.sampled_from(CLASSES), st.integers(1, 60), min_size=2, max_size=6),
    st.integers(6, 60),
    st.integers(0, 20),
    st.sampled_from(["clean", "paper"]),
)
def test_balanced_sizes_without_groups(counts, n, number, protocol):
    dataset = ungrouped(**counts)
    assume(n < len(dataset))
    share = n // len(counts)
    expected = {c: share if k >= share else max(1, k // 2) for c, k in counts.items()}
    assume(sum(expected.values()) < len(dataset))
    draw = draw_support(dataset, n, number, protocol)
    assert support_counts(dataset, draw) == {c: k for c, k in expected.items() if k}
    assert sorted([*draw.support, *draw.query]) == list(range(len(dataset)))


def test_a_class_that_runs_short_gives_half_and_nothing_makes_up_for_it():
    dataset = ungrouped(neutrophil=176, lymphocyte=53, monocyte=48, eosinophil=9, basophil=1)
    draw = draw_support(dataset, 50)
    counts = support_counts(dataset, draw)
    assert counts == {"neutrophil": 10, "lymphocyte": 10, "monocyte": 10, "eosinophil": 4, "basophil": 1}
    assert (draw.unsupported, draw.untested) == ((), ("basophil",))


def test_what_does_not_divide_by_the_classes_is_not_drawn():
    dataset = ungrouped(**dict.fromkeys(CLASSES, 60))
    assert set(support_counts(dataset, draw_support(dataset, 100)).values()) == {16}


def test_stratified_follows_the_proportions_with_at_least_one():
    dataset = ungrouped(neutrophil=700, lymphocyte=250, monocyte=45, basophil=5)
    draw = draw_support(dataset, 20, kind="stratified")
    assert support_counts(dataset, draw) == {"neutrophil": 13, "lymphocyte": 5, "monocyte": 1, "basophil": 1}


def test_random_looks_at_no_label():
    rows = [(f"{i:03d}.png", CLASSES[i % 3], None) for i in range(90)]
    relabelled = [(path, "neutrophil" if i else "basophil", None) for i, (path, _, _) in enumerate(rows)]
    drawn = [draw_support(Drawn(r), 30, 4, kind="random") for r in (rows, relabelled)]
    assert drawn[0].support == drawn[1].support
    assert len(drawn[0].support) == 30


def test_the_query_of_grouped_data_is_the_whole_other_half():
    rng = np.random.default_rng(0)
    dataset = grouped(
        [(CLASSES[g % 4], f"smear{g:02d}") for g in range(40) for _ in range(rng.integers(3, 9))]
    )
    labels, groups = dataset.table["label"].to_numpy(), np.array(dataset.effective_groups())
    for number in range(4):
        draw = draw_support(dataset, 24, number)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            split = StratifiedGroupKFold(2, shuffle=True, random_state=number).split(labels, labels, groups)
        assert list(draw.query) in [sorted(half.tolist()) for _, half in split]


def test_a_class_is_drawn_from_as_many_groups_as_possible():
    # Ten large and ten small smears a class: drawing cells evenly would take most from the large ones.
    cells = [(c, f"{c}{g}") for c in CLASSES[:2] for g in range(20) for _ in range(50 if g < 10 else 1)]
    dataset = grouped(cells)
    draw = draw_support(dataset, 16, 1)
    groups = [draw.groups[row] for row in draw.support]
    assert len(set(groups)) == 16


def test_round_robin_gives_small_and_large_groups_the_same_chance():
    cells = [(c, f"{c}{g}") for c in CLASSES[:2] for g in range(20) for _ in range(50 if g < 10 else 1)]
    dataset = grouped(cells)
    first = [draw_support(dataset, 2, number) for number in range(60)]
    small = sum(
        int(d.groups[row].removeprefix(CLASSES[0]).removeprefix(CLASSES[1])) >= 10
        for d in first
        for row in d.support
    )
    assert 0.3 < small / 120 < 0.7


def test_a_class_of_one_group_takes_that_whole_group_to_the_query():
    cells = [(c, f"s{g}") for g in range(8) for c in CLASSES[1:3] for _ in range(6)]
    cells += [("basophil", "s3")] * 5
    dataset = grouped(cells)
    for number in range(6):
        draw = draw_support(dataset, 9, number)
        assert draw.unsupported == ("basophil",)
        assert {row for row, g in enumerate(draw.groups) if g == "s3"} <= set(draw.query)
        assert support_counts(dataset, draw) == {"eosinophil": 3, "erythroblast": 3}


def test_identical_images_never_straddle_without_groups():
    rows = [(f"{i:02d}.png", CLASSES[i % 2], None) for i in range(20)]
    dataset = Drawn(rows, twins=[("00.png", "02.png", "05.png")])
    touched = 0
    for number in range(20):
        draw = draw_support(dataset, 6, number)
        in_support, in_query = ({0, 2, 5} & set(rows) for rows in (draw.support, draw.query))
        assert len(draw.support) == 6
        assert not (in_support and in_query)
        touched += bool(in_support)
    assert touched


def test_the_paper_draw_ignores_groups():
    dataset = grouped([(CLASSES[i % 2], f"s{i % 3}") for i in range(60)])
    draw = draw_support(dataset, 20, protocol="paper")
    assert len(draw.query) == 40
    assert {draw.groups[r] for r in draw.support} & {draw.groups[r] for r in draw.query}


@pytest.mark.parametrize("protocol", ["clean", "paper"])
def test_draws_repeat_and_differ_and_do_not_depend_on_row_order(protocol):
    cells = [(f"{i:03d}.png", CLASSES[i % 3], f"s{i % 17}") for i in range(200)]
    shuffled = [cells[i] for i in np.random.default_rng(1).permutation(200)]
    one, other = Drawn(cells), Drawn(shuffled)

    def paths(dataset, number):
        draw = draw_support(dataset, 15, number, protocol)
        return [set(dataset.table["path"].iloc[list(rows)]) for rows in (draw.support, draw.query)]

    assert draw_support(one, 15, 3, protocol) == draw_support(one, 15, 3, protocol)
    assert paths(one, 3) == paths(other, 3)
    assert len({tuple(sorted(paths(one, number)[0])) for number in range(5)}) == 5


def test_both_halves_serve_as_support_side():
    # One huge smear: the split always puts it first, so without a coin it would always be on the same side.
    dataset = grouped([("neutrophil", "huge")] * 60 + [(c, f"s{g}") for g in range(30) for c in CLASSES[3:6]])
    sides = {
        "huge" in {d.groups[r] for r in d.query} for d in (draw_support(dataset, 9, k) for k in range(12))
    }
    assert sides == {True, False}


def test_default_size():
    assert default_size(ungrouped(neutrophil=600, monocyte=400)) == 100
    assert default_size(ungrouped(neutrophil=600, monocyte=396)) == 100
    assert default_size(ungrouped(neutrophil=100, monocyte=144)) == 100
    assert default_size(ungrouped(neutrophil=30, monocyte=30)) == 30
    assert default_size(Drawn([(f"{i}.png", CLASSES[i % 2], None) for i in range(80)], few_shot=25)) == 25
    assert draw_support(ungrouped(neutrophil=100, monocyte=144)).n == 100


def test_zero_cells_draw_nothing():
    draw = draw_support(ungrouped(neutrophil=10, monocyte=10), 0)
    assert (draw.support, len(draw.query)) == ((), 20)
    assert draw_support(ungrouped(neutrophil=10, monocyte=10), 0, kind="stratified").support == ()


@pytest.mark.parametrize(
    ("dataset", "options", "message"),
    [
        (ungrouped(neutrophil=10, monocyte=10), {"n": 20}, "n = 19 or fewer"),
        (ungrouped(neutrophil=10, monocyte=10), {"n": 1}, 'n = 2 or more, or for kind="random"'),
        (ungrouped(neutrophil=10, monocyte=10), {"n": -1}, "-1 support cells"),
        (ungrouped(neutrophil=10, monocyte=10), {"n": 4, "draw": -1}, "numbered from 0"),
        (
            grouped(
                [(CLASSES[i % 2], f"s{i % 10}") for i in range(100)]
                + [("monocyte", f"s{i}") for i in range(10)]
            ),
            {"n": 60},
            'at the image level, for protocol="paper"',
        ),
        (grouped([("monocyte", "a"), ("monocyte", "a"), ("basophil", "b")]), {"n": 2}, "finer groups"),
        (
            ungrouped(basophil=6),
            {"n": 10},
            "of one class, basophil: give cells of at least 2 classes, or ask for n = 5",
        ),
        (ungrouped(neutrophil=5, monocyte=5, basophil=1), {"n": 10, "kind": "random"}, ""),
    ],
)
def test_impossible_draws_are_refused_with_the_remedy(dataset, options, message):
    if not message:
        assert len(draw_support(dataset, **options).query) == 1
        return
    with pytest.raises(ConfigurationError) as error:
        draw_support(dataset, **options)
    assert message in str(error.value)


def test_large_tables_are_drawn_without_work_per_cell():
    rng = np.random.default_rng(0)
    labels, smears = rng.integers(0, 6, 103_466), rng.integers(0, 900, 103_466)
    dataset = grouped([(CLASSES[c], f"s{g}") for c, g in zip(labels, smears, strict=True)])
    draw = draw_support(dataset, 100)
    assert len(draw.support) == 96
    assert 45_000 < len(draw.query) < 58_000


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "n", "share", "whole"),
    [
        ("raabin", 100, 20, 1012),
        ("bccd", 100, 25, 1500),
        ("jin_woo_choi", 20, 10, 250),
        ("jiangxi_tecom", 25, 5, 300),
    ],
)
def test_draws_of_the_real_targets(name, n, share, whole, data_root: Path):
    dataset = cellda.datasets.load(name, data_root / name)
    assert default_size(dataset) == n
    for number in range(3):
        for protocol in ("clean", "paper"):
            draw = draw_support(dataset, None, number, protocol)
            counts = support_counts(dataset, draw)
            assert counts.pop("basophil", share) == (1 if name == "jiangxi_tecom" else share)
            assert set(counts.values()) == {share}
            assert draw.unsupported == ()
            if protocol == "clean":
                straddling = {draw.groups[r] for r in draw.support} & {draw.groups[r] for r in draw.query}
                assert not straddling
                if dataset.table["group"].notna().any():
                    assert 0.45 < len(draw.query) / whole < 0.55
            else:
                assert len(draw.query) == whole - len(draw.support)


# --- every label of the support side


def test_all_labels_are_the_support_side_that_smaller_draws_are_taken_from():
    rng = np.random.default_rng(0)
    dataset = grouped([(CLASSES[i % 3], f"g{rng.integers(12)}") for i in range(120)])
    few, everything = draw_support(dataset, 9, draw=2), draw_support(dataset, draw=2, kind="all")
    assert everything.query == few.query  # measured on the same cells
    assert set(few.support) < set(everything.support)
    assert sorted([*everything.support, *everything.query]) == list(range(120))
    assert everything.n == len(everything.support)


@pytest.mark.parametrize("protocol", ["clean", "paper"])
def test_without_groups_all_labels_are_a_stratified_half(protocol):
    dataset = ungrouped(neutrophil=20, monocyte=10, basophil=6)
    draw = draw_support(dataset, protocol=protocol, kind="all")
    assert support_counts(dataset, draw) == {"neutrophil": 10, "monocyte": 5, "basophil": 3}
    assert sorted([*draw.support, *draw.query]) == list(range(36))
    assert draw != draw_support(dataset, draw=1, protocol=protocol, kind="all")


def test_all_labels_and_a_number_are_refused():
    with pytest.raises(ConfigurationError, match="leave n out"):
        draw_support(ungrouped(neutrophil=20, monocyte=10), 6, kind="all")
