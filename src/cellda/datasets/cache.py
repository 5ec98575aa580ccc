"""Decoded and resized images, once and for all, in a memory-mapped uint8 file."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from cellda import progress
from cellda.datasets.base import CellDataset
from cellda.errors import DataError
from cellda.store import Store

PIXELS = "pixels.npy"
CHUNK = 128


def cached_pixels(dataset: CellDataset, size: int, store: Store) -> UInt8[Tensor, "n 3 size size"]:
    """All images of a dataset at `size` x `size`, memory-mapped, channels-last in memory.

    Args:
        dataset: Whose images.
        size: Side in pixels.
        store: Where the cache lies, under the dataset's fingerprint and the size.

    Raises:
        DataError: If files cannot be decoded; all of them are listed, and no cache is left behind.
    """
    key = {"dataset": dataset.full_name, "fingerprint": dataset.fingerprint, "size": size}
    folder = store.build("pixels", key, lambda partial: _write(dataset, size, partial / PIXELS))
    # Copy-on-write, because torch wants writable memory; nothing writes to it.
    mapped = np.load(folder / PIXELS, mmap_mode="c")
    return torch.from_numpy(mapped).permute(0, 3, 1, 2)


def decode_all(wanted: Iterable[tuple[CellDataset, int, Store]]) -> None:
    """Decode all images of some datasets at some sizes into their stores, so that bad files are known before any training.

    Raises:
        DataError: If files cannot be decoded; those of all datasets are listed.
    """
    bad: list[str] = []
    for dataset, size, store in wanted:
        try:
            cached_pixels(dataset, size, store)
        except DataError as error:
            bad.extend(f"{dataset.full_name}: {problem}" for problem in error.problems)
    if bad:
        raise DataError(
            f"{len(bad)} image(s) cannot be read; mend or remove them, nothing was trained yet:", bad
        )


def _write(dataset: CellDataset, size: int, file: Path) -> None:
    total = len(dataset)
    pixels = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=(total, size, size, 3))
    bad: list[str] = []
    with progress.task(f"decoding {dataset.full_name}", total) as advance:
        for start in range(0, total, CHUNK):
            rows = range(start, min(start + CHUNK, total))
            try:
                pixels[start : rows.stop] = dataset.read(rows, size).permute(0, 2, 3, 1).numpy()
            except DataError as error:
                bad.extend(error.problems)
            advance(len(rows))
    pixels.flush()
    del pixels  # unmapped, so that it can be removed everywhere
    if bad:
        file.unlink()
        raise DataError(
            f"{len(bad)} image(s) of {dataset.full_name} under {dataset.root} cannot be read:", bad
        )
