"""Images decoded, framed and resized once, in a memory-mapped uint8 file."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

from cellda.datasets.base import CellDataset
from cellda.errors import DataError
from cellda.framing.spec import FramingSpec
from cellda.plugins.code_digest import shared_code
from cellda.runtime import progress
from cellda.runtime.store import Store
from cellda.runtime.versions import versions
from cellda.runtime.work import Stage, Work

PIXELS = "pixels.npy"
FOUND = "found.npy"
WHOLE = FramingSpec(name="none")
CHUNK = 128

READING = (
    "data/pixel_cache.py",
    "datasets/base.py",
    "datasets/reading/decode.py",
    "datasets/reading/formats",
)
"""Code that every decoded image has gone through."""

FRAMING = ("framing/base.py", "imaging/padding.py")
"""Code that every framed image has gone through as well."""


def pixels_key(dataset: CellDataset, size: int, framing: FramingSpec) -> dict[str, Any]:
    """All that the decoded images of a dataset depend on.

    Args:
        dataset: Whose images.
        size: Side in pixels.
        framing: What is cut out of every image before it is resized.

    Raises:
        DataError: If files of the dataset are gone.
    """
    cuts = framing.build().cuts
    return {
        "dataset": dataset.full_name,
        "fingerprint": dataset.fingerprint,
        "size": size,
        "bits": dataset.bits,
        "framing": {**framing.model_dump(mode="json"), "member": framing.code} if cuts else None,
        "reader": dataset.code,
        "computing": shared_code((*READING, *FRAMING) if cuts else READING),
        "versions": versions(
            "numpy", "pillow", "tifffile", "torch", "torchvision", *(["scipy"] if cuts else [])
        ),
    }


def cached_pixels(
    dataset: CellDataset, size: int, store: Store, framing: FramingSpec = WHOLE
) -> UInt8[Tensor, "n 3 size size"]:
    """All images of a dataset at `size` x `size`, memory-mapped, channels-last in memory.

    Args:
        dataset: The dataset.
        size: Side in pixels.
        store: Holds the cache, under the dataset's fingerprint, the size and the framing.
        framing: Cuts every image before it is resized.

    Raises:
        DataError: If files cannot be decoded; the message lists them all, and no cache is left behind.
    """
    folder = _cache(dataset, size, store, framing)
    # Copy-on-write, because torch wants writable memory; nothing writes to it.
    mapped = np.load(folder / PIXELS, mmap_mode="c")
    return torch.from_numpy(mapped).permute(0, 3, 1, 2)


def cached_found(dataset: CellDataset, size: int, store: Store, framing: FramingSpec) -> Bool[Tensor, " n"]:
    """In which images of a dataset the framing found what it searches for; the others stay whole.

    Raises:
        DataError: If files cannot be decoded.
    """
    if not framing.build().cuts:
        return torch.ones(len(dataset), dtype=torch.bool)
    return torch.from_numpy(np.load(_cache(dataset, size, store, framing) / FOUND))


def decode_all(wanted: Iterable[tuple[CellDataset, int, Store, FramingSpec]]) -> None:
    """Decode all images of some datasets into their stores, so that bad files are known before any training.

    Raises:
        DataError: If files cannot be decoded; the message lists those of all datasets.
    """
    bad: list[str] = []
    for dataset, size, store, framing in wanted:
        try:
            _cache(dataset, size, store, framing)
        except DataError as error:
            bad.extend(f"{dataset.full_name}: {problem}" for problem in error.problems)
    if bad:
        raise DataError(
            f"{len(bad)} image(s) cannot be read; fix or remove them, nothing was trained yet:", bad
        )


def _cache(dataset: CellDataset, size: int, store: Store, framing: FramingSpec) -> Path:
    key = pixels_key(dataset, size, framing)
    return store.build("pixels", key, lambda partial: _write(dataset, size, partial, framing))


def _write(dataset: CellDataset, size: int, folder: Path, spec: FramingSpec) -> None:
    total, framing, file = len(dataset), spec.build(), folder / PIXELS
    found = np.ones(total, dtype=bool)
    pixels = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=(total, size, size, 3))
    bad: list[str] = []
    with progress.task(Work(Stage.DECODE, dataset.full_name), total) as advance:
        for start in range(0, total, CHUNK):
            rows = range(start, min(start + CHUNK, total))
            try:
                if framing.cuts:
                    part, in_part = dataset.framed(rows, size, framing)
                    found[start : rows.stop] = in_part.numpy()
                else:
                    part = dataset.read(rows, size)
                pixels[start : rows.stop] = part.permute(0, 2, 3, 1).numpy()
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
    if framing.cuts:
        np.save(folder / FOUND, found)
