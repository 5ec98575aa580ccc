"""Few-shot draws: which cells of a target are labelled for adaptation, and which are kept for measuring."""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from cellda.data.draw_account import Taken, Why
from cellda.data.spec import Kind, Protocol
from cellda.errors import ConfigurationError
from cellda.text import agreeing, counted

if TYPE_CHECKING:
    from cellda.datasets.base import CellDataset

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


MOST_BY_DEFAULT = 100
"""Support cells of a dataset that is not published, if no number is given."""


@dataclass(frozen=True)
class Draw:
    """One few-shot draw of a target, the same for every method that is compared on it.

    Attributes:
        n: Number of support cells requested; `support` may hold fewer (see `draw_support`).
        draw: The draw's number.
        protocol: `"clean"` or `"paper"`.
        kind: How the support set is divided among the classes.
        support: Rows of the dataset's table for adaptation, ascending.
        query: Rows for measuring, ascending; shares no row with `support`, and under `clean` no group.
        unsupported: Classes of the dataset without a cell in the support.
        untested: Classes of the dataset without a cell in the query.
        groups: Group of every row of the table, for folds inside the support set and for intervals over the
            query.
        taken: What was taken of each class, next to what was wanted, and why it is less.
    """

    n: int
    draw: int
    protocol: Protocol
    kind: Kind
    support: tuple[int, ...]
    query: tuple[int, ...]
    unsupported: tuple[str, ...]
    untested: tuple[str, ...]
    groups: tuple[str, ...]
    taken: tuple[Taken, ...] = ()


def default_size(dataset: "CellDataset") -> int:
    """The number of support cells if none is given.

    Of published datasets, the paper's: Table 3, else 100 for 1000 or more cells, else a rounded tenth. JSLH, on which the
    paper fine-tuned nothing, also gets its tenth, so that every condition can run on it. Of others (one's own, synthetic
    ones), half of the cells, at most 100, so that there are cells to learn from and cells to measure on.
    """
    if dataset.few_shot:
        return dataset.few_shot
    if not dataset.is_published:
        return min(len(dataset) // 2, MOST_BY_DEFAULT)
    return 100 if len(dataset) >= 1000 else round(len(dataset) / 10)


def draw_support(
    dataset: "CellDataset",
    n: int | None = None,
    draw: int = 0,
    protocol: Protocol = "clean",
    kind: Kind = "balanced",
) -> Draw:
    """Draw the support set of a target and the matching query.

    `clean`, where the dataset publishes groups: `StratifiedGroupKFold(2)` halves the groups; the support set is
    drawn from one half and the query is all of the other. A class whose cells all lie in one group goes to
    the query with that group and is `unsupported`. Where the dataset publishes no groups, every image is a
    group (byte-identical ones share theirs) and the query is everything outside the drawn groups. Within a
    class, cells are taken round-robin over shuffled groups. `paper`: images are drawn one by one and the
    query is everything not drawn.

    `balanced` gives each class `n // classes` cells; the remainder is not drawn, as in the authors' lists (16
    cells of each of 6 classes for n = 100). A class with fewer cells than that gives at most half of them, a
    single cell goes to the support set, and a shortfall is not made up from other classes. `stratified` follows the class
    proportions with at least one cell per class. `random` ignores labels. `all` takes every cell of the support side, for
    upper bounds; where there are no sides (no groups, or `paper`), the images are halved as groups are.

    The draw depends on the cells, not on the order of the table's rows.

    Args:
        dataset: The target.
        n: Number of support cells; None means `default_size`, or what a dataset that is not published can give; 0 draws none;
            must be None for `all`.
        draw: Number of the draw, from 0.
        protocol: `"clean"` or `"paper"`.
        kind: `"balanced"`, `"stratified"`, `"random"` or `"all"`.

    Raises:
        ConfigurationError: If the data do not allow such a draw; the message says what would work.
    """
    if kind == "all" and n is not None:
        raise ConfigurationError(
            f'kind="all" takes every cell of the support side; leave n out (got n = {n}).'
        )
    size = default_size(dataset) if n is None else n
    name, counts = dataset.full_name, dataset.class_counts()
    if draw < 0:
        raise ConfigurationError(f"Draws are numbered from 0; {draw} is not a valid draw.")
    sampled = kind in ("random", "all")
    if size > 0 and len(dataset) <= len(counts) and not sampled:
        raise ConfigurationError(
            f"'{name}' holds {counted(len(dataset), 'cell(s)')} of {counted(len(counts), '(class|classes)')}, too few for "
            "any n: one of each class is drawn, "
            f"and at least one must be left to measure. Give at least {len(counts) + 1} cells, better many more."
        )
    if size < 0 or (0 < size < len(counts) and not sampled):
        raise ConfigurationError(
            f"{counted(size, 'support cell(s)')} cannot be divided among the {counted(len(counts), '(class|classes)')} of "
            f"'{name}'; ask for n = "
            f'{len(counts)} or more, or for kind="random".'
        )

    order = _path_order(dataset.table)
    labels = dataset.table["label"].to_numpy()[order]
    groups = dataset.effective_groups()
    # Numbered by first appearance along the paths, so that neither names nor row order matter.
    codes = np.arange(len(order)) if protocol == "paper" else pd.factorize(np.asarray(groups)[order])[0]
    rng = np.random.default_rng(draw)

    split = kind == "all" or (protocol == "clean" and bool(dataset.table["group"].notna().any()))
    side = _support_side(labels, codes, draw, name) if split else np.ones(len(order), dtype=bool)
    available = int(side.sum()) if split else len(order) - 1
    if kind == "all":
        size = available
    if n is None and not dataset.is_published:
        size = min(size, available)
    if size > available:
        where = (
            " on the support side of its groups, which are kept whole"
            if split
            else ", as one must be left to measure"
        )
        # Fewer than the classes would be refused in turn.
        fewer = (
            f"ask for n = {available} or fewer"
            if sampled or available >= len(counts)
            else "give more cells or finer groups"
        )
        if len(counts) == 1:
            fewer = f"all of its cells are of one class, {next(iter(counts))}: give cells of at least 2 classes, or {fewer}"
        remedy = fewer + ' or, at the image level, for protocol="paper"' * split
        raise ConfigurationError(
            f"'{name}' cannot give {counted(size, 'support cell(s)')} in draw {draw}: "
            f"there are {available}{where}; {remedy}."
        )

    quota = dict.fromkeys(counts, 0)
    if kind == "all":
        drawn = np.flatnonzero(side)
    elif kind == "random":
        drawn = rng.permutation(np.flatnonzero(side))[:size]
    else:
        quota = _balanced(counts, size) if kind == "balanced" else _stratified(counts, size)
        drawn = np.concatenate(
            [_round_robin(np.flatnonzero(side & (labels == c)), codes, rng)[: quota[c]] for c in counts]
        )
    held_back = ~side if split else ~np.isin(codes, codes[drawn])
    if not held_back.any():
        raise ConfigurationError(
            f"Nothing of '{name}' is left to measure in draw {draw}, because the {counted(size, 'support cell(s)')} "
            f"{agreeing(size, '(covers|cover)')} every group; ask for a smaller n."
        )
    return Draw(
        n=size,
        draw=draw,
        protocol=protocol,
        kind=kind,
        support=_ascending(order[drawn]),
        query=_ascending(order[held_back]),
        unsupported=tuple(c for c in counts if c not in labels[drawn]),
        untested=tuple(c for c in counts if c not in labels[held_back]),
        groups=tuple(groups),
        taken=tuple(
            _taken(
                c, size // len(counts) if kind == "balanced" else quota[c], labels == c, side, drawn, codes
            )
            for c in counts
        ),
    )


def _taken(name: str, wanted: int, of_class: Bools, side: Bools, drawn: Ints, codes: Ints) -> Taken:
    """What was drawn of a class, and why less than was wanted."""
    taken, why = int(of_class[drawn].sum()), Why.NONE
    if taken < wanted:
        rest = (of_class & side).sum() - taken
        alone = len(np.unique(codes[of_class])) == 1 and taken == 0
        why = Why.FEW if rest else Why.ONE_GROUP if alone else Why.SIDE
    return Taken(name, wanted, taken, int(of_class.sum()), why)


def _path_order(table: pd.DataFrame) -> Ints:
    """Rows in the order of path, then box (several cells of one field share its path)."""
    # Not by pandas, whose strings cannot hold names that are not UTF-8.
    keys = list(zip(table["path"], table["box"].map(str), strict=True))
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)


def _support_side(labels: npt.NDArray[np.object_], codes: Ints, draw: int, name: str) -> Bools:
    """Rows from whose groups the support set may be drawn; all others are the query.

    Groups that hold all cells of a class are reserved for the query before the others are halved.
    """
    spread = pd.Series(codes).groupby(labels).transform("nunique").to_numpy()
    free = np.flatnonzero(~np.isin(codes, codes[spread == 1]))
    remaining = np.unique(codes[free])
    if len(remaining) == 0:
        raise ConfigurationError(
            f"No clean draw of '{name}' is possible: each of its groups holds all the cells of some class. "
            'Give finer groups, or draw at the image level with protocol="paper".'
        )
    side = np.zeros(len(codes), dtype=bool)
    if len(remaining) == 1:
        side[free] = True
        return side
    halves = StratifiedGroupKFold(2, shuffle=True, random_state=draw)
    try:
        with warnings.catch_warnings():
            # It warns about classes with a single cell, which `Draw` reports as unsupported or untested.
            warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
            folds = next(iter(halves.split(free, labels[free], codes[free])))
    except ValueError as error:
        raise ConfigurationError(
            f"The groups of '{name}' cannot be split in two halves ({error}). Give more cells, or draw at "
            'the image level with protocol="paper".'
        ) from None
    # The largest group is always in the first fold: a coin decides which half is the support side.
    side[free[folds[np.random.default_rng(draw).integers(2)]]] = True
    return side


def _balanced(counts: dict[str, int], n: int) -> dict[str, int]:
    share = n // len(counts)
    return {c: share if count >= share else max(1, count // 2) for c, count in counts.items()}


def _stratified(counts: dict[str, int], n: int) -> dict[str, int]:
    """Proportional shares, at least one each, summing to `n` (largest remainders)."""
    if n == 0:
        return dict.fromkeys(counts, 0)
    cells = np.array(list(counts.values()))
    ideal = n * cells / cells.sum()
    quota = np.maximum(np.floor(ideal).astype(int), 1)
    while quota.sum() < n:
        quota[np.argmax(ideal - quota)] += 1
    while quota.sum() > n:
        quota[np.argmax(np.where(quota > 1, (quota - 1) / ideal, 0))] -= 1
    return dict(zip(counts, quota.tolist(), strict=True))


def _round_robin(rows: Ints, codes: Ints, rng: np.random.Generator) -> Ints:
    """Rows in an order that takes one cell of every group before a second cell of any group."""
    rows = rng.permutation(rows)
    owners = codes[rows]
    turn = pd.Series(owners).groupby(owners).cumcount().to_numpy()
    place = rng.permutation(int(codes.max()) + 1)[owners]
    return rows[np.lexsort((place, turn))]


def _ascending(rows: Ints) -> tuple[int, ...]:
    return tuple(int(row) for row in np.sort(rows))


def split_query(draw: Draw) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Halve the query of a draw by whole groups, without using labels: into a pool and the part that is measured.

    Groups are shuffled by the draw's number and added to the pool until it holds half of the images.

    Raises:
        ConfigurationError: If the query is a single group.
    """
    groups = np.asarray(draw.groups)[list(draw.query)]
    names, sizes = np.unique(groups, return_counts=True)
    if len(names) < 2:
        raise ConfigurationError(
            "The query holds a single group, which cannot be halved for a disjoint pool; set pool='query'."
        )
    order = np.random.default_rng(draw.draw).permutation(len(names))
    before = np.cumsum(sizes[order]) - sizes[order]
    chosen = set(names[order[before < sizes.sum() / 2]])
    if len(chosen) == len(names):  # the last group is larger than all others together
        chosen.remove(names[order[-1]])
    pool = tuple(row for row, group in zip(draw.query, groups, strict=True) if group in chosen)
    return pool, tuple(row for row, group in zip(draw.query, groups, strict=True) if group not in chosen)
