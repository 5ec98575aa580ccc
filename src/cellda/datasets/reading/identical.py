"""Identical images: they must not be in both training and test data, and must not have two labels."""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cellda.datasets.reading.decode import Box
from cellda.datasets.reading.naming import Naming


def identical(pictures: Sequence[Hashable]) -> list[list[int]]:
    """Sets of equal pictures, as indices into `pictures`; those without a twin are omitted.

    Args:
        pictures: What each shows: the hash of its bytes.
    """
    if len(set(pictures)) == len(pictures):  # most datasets
        return []
    indices: dict[Hashable, list[int]] = defaultdict(list)
    for index, picture in enumerate(pictures):
        indices[picture].append(index)
    return [twins for twins in indices.values() if len(twins) > 1]


@dataclass(frozen=True)
class Contradiction:
    """Cells that are the same image, or the same box of the same image, under different classes.

    Attributes:
        first: Path and box of the first of them.
        cells: Path (and box) of each -> its published label.
        rows: Those of them that are in the dataset's table, as its rows.
    """

    first: tuple[str, Box | None]
    cells: Mapping[str, str]
    rows: tuple[int, ...]

    def __str__(self) -> str:
        """`basophil/7.png ('basophil') = monocyte/3.png ('monocyte')`."""
        return " = ".join(f"{cell} ('{label}')" for cell, label in self.cells.items())


def contradictions(
    table: pd.DataFrame, dropped: pd.DataFrame, pictures: Mapping[str, Hashable], naming: Naming
) -> list[Contradiction]:
    """The cells that are identical and have different classes; "none of the classes" counts as one.

    A label that is coarser than the classes contradicts only those that are not its kinds: a cell may be labelled as a
    neutrophil here and as a band neutrophil there.

    Args:
        table: The cells of a dataset.
        dropped: Its cells of no class.
        pictures: What the file at each path holds.
        naming: What the labels mean.
    """
    paths = list(pictures)
    twins = {paths[index] for some in identical(list(pictures.values())) for index in some}
    if not twins:
        return []
    cells = pd.concat([table, dropped], ignore_index=True)
    cells = cells[cells["path"].isin(twins)]
    same: dict[Hashable, list[_Cell]] = defaultdict(list)
    for cell in map(_Cell._make, cells[list(_Cell._fields[1:])].itertuples(name=None)):
        same[pictures[cell.path], cell.box].append(cell)
    return [
        Contradiction(
            (found[0].path, found[0].box),
            {cell.path if cell.box is None else f"{cell.path} {cell.box}": cell.raw_label for cell in found},
            tuple(cell.row for cell in found if cell.row < len(table)),
        )
        for found in same.values()
        if not frozenset.intersection(*(_possible(cell, naming) for cell in found))
    ]


def _possible(cell: "_Cell", naming: Naming) -> frozenset[str | None]:
    """The classes that a cell may be of; None stands for no class."""
    kind = naming.coarse(cell.raw_label)
    if kind is None:
        return frozenset({cell.label})
    return frozenset(naming.taxonomy.classes[number] for number in naming.taxonomy.members[kind])


class _Cell(NamedTuple):
    row: int
    path: str
    label: str | None
    raw_label: str
    box: Box | None


def merged_groups(groups: Sequence[str], pictures: npt.NDArray[np.int64]) -> list[str]:
    """The group of each cell after merging groups that share an image, under the name of the first of them.

    Args:
        groups: Group of each cell.
        pictures: `(N,)` number of the image that each cell shows.
    """
    codes, names = pd.factorize(np.asarray(groups, dtype=object))
    _, first, picture = np.unique(pictures, return_index=True, return_inverse=True)
    # A cell's group is linked to that of the first cell of its image.
    links = (np.ones(len(codes)), (codes, codes[first[picture]]))
    _, component = connected_components(coo_array(links, shape=(len(names), len(names))), directed=False)
    # The first member of each component, in order of appearance, gives the name.
    _, named = np.unique(component, return_index=True)
    return [str(name) for name in names[named[component[codes]]]]
