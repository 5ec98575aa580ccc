"""Images decoded, framed and resized once, in a memory-mapped uint8 file."""

import json
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
import xxhash
from jaxtyping import UInt8
from torch import Tensor

from cellda.datasets.base import CellDataset
from cellda.errors import ConfigurationError, DataError
from cellda.framing.framed import Framed
from cellda.framing.spec import FramingSpec
from cellda.plugins.code_digest import shared_code
from cellda.runtime import progress
from cellda.runtime.ledger import Ledger
from cellda.runtime.place import written
from cellda.runtime.room import check_room, needed, reserve, taken
from cellda.runtime.storage.manifest import WORKING
from cellda.runtime.storage.store import Store
from cellda.runtime.versions import versions
from cellda.runtime.work import Stage, Work
from cellda.text import agreeing, counted

KIND = "pixels"
PIXELS = "pixels.npy"
CONFIDENCE = "confidence.npy"
FITTED = "framing.json"
PREVIEWS = "previews.npy"
WHOLE = FramingSpec(name="none")
CHUNK = 32
"""Images between two records of what is decoded: what a kill can cost."""

BLOCKS = "decoded.ledger"

READING = (
    "data/pixel_cache.py",
    "datasets/base.py",
    "datasets/reading/cell_images.py",
    "datasets/reading/decode.py",
    "datasets/reading/formats",
)
"""Code that every decoded image has gone through."""

FRAMING = (
    "framing/base.py",
    "framing/scale.py",
    "framing/spec.py",
    "imaging/nucleus.py",
    "imaging/padding.py",
    "imaging/recorded.py",
)
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
            *("numpy", "pillow", "tifffile", "torch", "torchvision", *dataset.readers),
            *(["scipy"] if cuts else []),
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
        ConfigurationError: If there is no room for them.
    """
    folder = _cache(dataset, size, store, framing)
    # Copy-on-write, because torch wants writable memory; nothing writes to it.
    mapped = np.load(folder / PIXELS, mmap_mode="c")
    return torch.from_numpy(mapped).permute(0, 3, 1, 2)


def cached_framed(dataset: CellDataset, size: int, store: Store, framing: FramingSpec) -> Framed:
    """How the images of a dataset are framed: the framing as fitted on them, and its confidence in each.

    Raises:
        DataError: If files cannot be decoded.
    """
    if not framing.build().cuts:
        return Framed(framing, torch.ones(len(dataset)))
    folder = _cache(dataset, size, store, framing)
    return Framed(_stored(folder), torch.from_numpy(np.load(folder / CONFIDENCE)))


def cached_previews(dataset: CellDataset, size: int, store: Store, framing: FramingSpec) -> list[str]:
    """The image files of a dataset that also hold smaller pictures (previews), which are passed over.

    Raises:
        DataError: If files cannot be decoded.
    """
    file = _cache(dataset, size, store, framing) / PREVIEWS
    if not file.exists():
        return []
    return list(dict.fromkeys(dataset.table["path"].iloc[np.load(file)]))


def decode_all(wanted: Iterable[tuple[CellDataset, int, Store, FramingSpec]]) -> None:
    """Decode all images of some datasets into their stores, so that bad files are known before any training.

    Raises:
        DataError: If files cannot be decoded; the message lists those of all datasets.
        ConfigurationError: If there is no room for all of them.
    """
    asked = list(wanted)
    _check_room(asked)
    bad: list[str] = []
    for dataset, size, store, framing in asked:
        try:
            _cache(dataset, size, store, framing)
        except DataError as error:
            bad.extend(f"{dataset.full_name}: {problem}" for problem in error.problems)
    if bad:
        raise DataError(
            f"{counted(len(bad), 'image(s)')} cannot be read; fix or remove {agreeing(len(bad), '(it|them)')}, nothing "
            "was trained yet:",
            bad,
        )


def _check_room(asked: list[tuple[CellDataset, int, Store, FramingSpec]]) -> None:
    """Refuse images that have no room on the disk together, before the first one is decoded."""
    missing: dict[Path, dict[Path, int]] = {}
    for dataset, size, store, framing in asked:
        key = pixels_key(dataset, size, framing)
        if store.find_here(KIND, key) is None:
            file = store.partial(KIND, key) / PIXELS
            missing.setdefault(store.root, {})[file] = _bytes(dataset, size) - taken(file)
    for root, sizes in missing.items():
        check_room(sum(sizes.values()), root, "the decoded images")


def _bytes(dataset: CellDataset, size: int) -> int:
    return len(dataset) * size * size * 3


def _cache(dataset: CellDataset, size: int, store: Store, framing: FramingSpec) -> Path:
    key = pixels_key(dataset, size, framing)
    return store.build(KIND, key, lambda partial: _write(dataset, size, partial, framing))


def _write(dataset: CellDataset, size: int, folder: Path, spec: FramingSpec) -> None:
    """Decode in blocks and record each, so that a process that was killed costs no more than the block it was at."""
    total, file, ledger = len(dataset), folder / PIXELS, Ledger(folder / WORKING / BLOCKS)
    spec = _fitted(dataset, size, folder, spec)
    try:
        with (
            needed(_bytes(dataset, size), folder, f"the decoded images of {dataset.full_name}"),
            _opened(file, (total, size, size, 3)) as stream,
            progress.task(Work(Stage.DECODE, dataset.full_name), total) as advance,
        ):
            done = _decoded(stream, ledger, total, size)
            advance(min(len(done) * CHUNK, total))
            for start in range(len(done) * CHUNK, total, CHUNK):
                rows = range(start, min(start + CHUNK, total))
                done.append(_block(dataset, rows, size, spec, stream))
                # Before it is recorded: after an interruption, nobody could tell what the files had been.
                dataset.check_unchanged(rows)
                ledger.append(done[-1])
                advance(len(rows))
        bad = [problem for block in done for problem in block["bad"]]
        if bad:
            raise DataError(
                f"{counted(len(bad), 'image(s)')} of {dataset.full_name} under {dataset.root} cannot be read:",
                bad,
            )
    except (ConfigurationError, DataError):  # no room, or images that will be others
        file.unlink(missing_ok=True)
        ledger.keep([])
        raise
    if spec.build().cuts:
        confidence = [value for block in done for value in block["confidence"]]
        np.save(folder / CONFIDENCE, np.array(confidence, np.float32))
    if smaller := [row for block in done for row in block["previews"]]:
        np.save(folder / PREVIEWS, smaller)


def _fitted(dataset: CellDataset, size: int, folder: Path, spec: FramingSpec) -> FramingSpec:
    """The framing with what it learns from the images of a dataset, kept so that an interruption does not cost it."""
    if not spec.build().cuts:
        return spec
    if (folder / FITTED).exists():
        return _stored(folder)
    fitted = dataset.learned(spec, size)
    text = json.dumps(fitted.model_dump(mode="json"))
    with written(folder / FITTED) as file:
        file.write_text(text + "\n", encoding="utf-8")
    return fitted


def _stored(folder: Path) -> FramingSpec:
    """The fitted framing of cached images."""
    return FramingSpec.model_validate_json((folder / FITTED).read_text(encoding="utf-8"))


@contextmanager
def _opened(file: Path, shape: tuple[int, ...]) -> Iterator[IO[bytes]]:
    """The file of the array with its header, and with room for all images; it stands before the first image."""
    with file.open("r+b" if file.exists() else "w+b") as stream:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        stream.flush()
        reserve(stream, stream.tell() + math.prod(shape))
        yield stream


def _decoded(stream: IO[bytes], ledger: Ledger, total: int, size: int) -> list[dict[str, Any]]:
    """The blocks that were decoded before an interruption and are in the file as they were; it stands after them."""
    blocks = ledger.entries()
    for number, block in enumerate(blocks):
        start, rows = stream.tell(), min(CHUNK, total - number * CHUNK)
        if block["hash"] != xxhash.xxh3_128_hexdigest(stream.read(rows * size * size * 3)):
            progress.note(
                f"{stream.name} is damaged after {number * CHUNK} images; the others are decoded again."
            )
            stream.seek(start)
            ledger.keep(blocks[:number])
            return list(blocks[:number])
    return list(blocks)


def _block(
    dataset: CellDataset, rows: range, size: int, spec: FramingSpec, stream: IO[bytes]
) -> dict[str, Any]:
    """Decode some images to where the file stands: the record of them."""
    confidence = torch.ones(len(rows))
    bad: list[str] = []
    try:
        framing = spec.build()
        if framing.cuts:
            part, confidence = dataset.framed(rows, size, framing)
        else:
            part = dataset.read(rows, size)
        pixels = part.permute(0, 2, 3, 1).numpy().tobytes()
    except DataError as error:
        bad, pixels = list(error.problems), bytes(len(rows) * size * size * 3)
    stream.write(pixels)
    stream.flush()
    return {
        "hash": xxhash.xxh3_128_hexdigest(pixels),
        "confidence": confidence.tolist(),
        "bad": bad,
        "previews": dataset.with_previews(rows),
    }
