"""Find byte-identical image files: the same image must not be in both training and test data."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

_SAMPLE = 4096


def identical_files(files: Sequence[str], sizes: Sequence[int]) -> list[list[int]]:
    """Sets of files with the same bytes, as indices into `files`; files without a twin are omitted.

    Only files of equal size are opened, and only those that also share some bytes in the middle are
    read completely: otherwise every file of a set of uncompressed images would be.

    Args:
        files: Paths of the files.
        sizes: Bytes of each.
    """

    def middle(index: int) -> bytes:
        # Unbuffered: a buffer costs as much as reading.
        with open(files[index], "rb", buffering=0) as stream:  # noqa: PTH123 - a Path a file costs a second
            stream.seek(max(0, (sizes[index] - _SAMPLE) // 2))
            return stream.read(_SAMPLE)

    def digest(index: int) -> bytes:
        with open(files[index], "rb", buffering=0) as stream:  # noqa: PTH123
            return hashlib.file_digest(stream, "sha256").digest()

    sets = [list(range(len(files)))]
    for key in (sizes.__getitem__, middle, digest):
        sets = [twins for candidates in sets for twins in _split(candidates, key)]
    return sorted(sets)


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


def _split(candidates: list[int], key: Callable[[int], Hashable]) -> list[list[int]]:
    by_key: dict[Hashable, list[int]] = defaultdict(list)
    for index in candidates:
        by_key[key(index)].append(index)
    return [twins for twins in by_key.values() if len(twins) > 1]
