"""Byte-identical image files: the same picture twice must not be learned from and measured on."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

_SAMPLE = 4096


def identical_files(files: Sequence[Path]) -> list[list[int]]:
    """Sets of files with the same bytes, as indices into `files`; files without a twin are in none.

    Only files that share their size are opened, and only those that also share some bytes in the middle are
    read as a whole: else every file of a set of uncompressed images would be.
    """
    sets = [list(range(len(files)))]
    for key in (_size, _middle, _digest):
        sets = [twins for candidates in sets for twins in _split(candidates, files, key)]
    return sorted(sets)


def merged_groups(groups: Sequence[str], one_picture: Iterable[Sequence[int]]) -> list[str]:
    """Groups, with those that share a picture made one, under the name of the one that comes first.

    Args:
        groups: Group of each cell.
        one_picture: Sets of cells (indices into `groups`) that show the same picture.
    """
    codes, names = pd.factorize(np.asarray(groups, dtype=object))
    pairs = [(codes[twins[0]], codes[twin]) for twins in one_picture for twin in twins[1:]]
    rows, columns = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(len(names), len(names)))
    _, component = connected_components(graph, directed=False)
    # The first member of each component, in order of appearance, gives the name.
    _, first = np.unique(component, return_index=True)
    return [str(names[first[component[code]]]) for code in codes]


def _split(candidates: list[int], files: Sequence[Path], key: Callable[[Path], Hashable]) -> list[list[int]]:
    by_key: dict[Hashable, list[int]] = defaultdict(list)
    for index in candidates:
        by_key[key(files[index])].append(index)
    return [twins for twins in by_key.values() if len(twins) > 1]


def _size(file: Path) -> int:
    return os.stat(file).st_size  # noqa: PTH116 - Path.stat costs a second on 170,000 files


def _middle(file: Path) -> bytes:
    with file.open("rb") as stream:
        stream.seek(max(0, _size(file) // 2 - _SAMPLE // 2))
        return stream.read(_SAMPLE)


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
