"""From a dataset to decoded images: the cache, image sets, the folder of datasets, and how a recipe names sources."""

import errno
import os
from collections import namedtuple
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import cellda.datasets
from cellda.data import pixel_cache as cache
from cellda.data.image_set import ImageSet
from cellda.data.pixel_cache import WHOLE, cached_framed, cached_pixels, decode_all
from cellda.data.root import DataRoot
from cellda.data.spec import FewShot
from cellda.datasets.base import CellDataset
from cellda.datasets.spec import Source
from cellda.errors import ConfigurationError, DataError, UnknownNameError
from cellda.framing.spec import FramingSpec
from cellda.normalizers.identity import Identity
from cellda.runtime import room
from cellda.runtime.storage.store import Store


def own_cells(root: Path, per_class: int = 3) -> Path:
    """A folder of small pictures, each of another colour."""
    for code, name in enumerate(("basophil", "monocyte", "neutrophil")):
        (root / name).mkdir(parents=True)
        for number in range(per_class):
            Image.new("RGB", (20, 14), (40 * code, 20 * number % 256, 99)).save(root / name / f"{number}.png")
    return root


@pytest.fixture
def cells(tmp_path: Path) -> CellDataset:
    return cellda.datasets.load("folder", own_cells(tmp_path / "cells"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def count_reads(monkeypatch) -> list[int]:
    """Sizes of the batches that are decoded from now on."""
    read, batches = CellDataset.read, []

    def counted(self: CellDataset, indices: Sequence[int], size: int) -> torch.Tensor:
        batches.append(len(indices))
        return read(self, indices, size)

    monkeypatch.setattr(CellDataset, "read", counted)
    return batches


# --- the cache


def test_the_cache_holds_what_the_dataset_reads(cells: CellDataset, store: Store, monkeypatch):
    monkeypatch.setattr(cache, "CHUNK", 4)
    pixels = cached_pixels(cells, 16, store)
    assert (pixels.dtype, tuple(pixels.shape)) == (torch.uint8, (9, 3, 16, 16))
    assert torch.equal(pixels, cells.read(range(9), 16))
    assert pixels.is_contiguous(memory_format=torch.channels_last)


def test_drawn_cells_are_cached_like_others(store: Store):
    drawn = cellda.datasets.load("synthetic/2", per_class=2)
    assert torch.equal(cached_pixels(drawn, 32, store), drawn.read(range(12), 32))


def test_images_are_decoded_once(cells: CellDataset, store: Store, monkeypatch):
    batches = count_reads(monkeypatch)
    first = cached_pixels(cells, 16, store)
    again = cached_pixels(cellda.datasets.load("folder", cells.root), 16, Store(store.root))
    assert torch.equal(first, again)
    assert batches == [9]


def test_another_size_or_other_files_are_another_cache(cells: CellDataset, store: Store, monkeypatch):
    batches = count_reads(monkeypatch)
    cached_pixels(cells, 16, store)
    assert cached_pixels(cells, 8, store).shape[-1] == 8
    Image.new("RGB", (90, 90), "pink").save(cells.folder / "monocyte" / "new.png")
    more = cellda.datasets.load("folder", cells.root)
    assert len(cached_pixels(more, 16, store)) == 10
    assert batches == [9, 9, 10]


def test_writing_to_the_pixels_leaves_the_cache_alone(cells: CellDataset, store: Store):
    expected = cached_pixels(cells, 16, store).clone()
    cached_pixels(cells, 16, store).zero_()
    assert torch.equal(cached_pixels(cells, 16, store), expected)


def test_all_broken_images_are_listed_and_nothing_is_left(cells: CellDataset, store: Store, monkeypatch):
    monkeypatch.setattr(cache, "CHUNK", 4)
    broken = [cells.folder / "basophil" / "1.png", cells.folder / "neutrophil" / "2.png"]
    whole = [file.read_bytes() for file in broken]
    for file in broken:
        file.write_bytes(b"not an image")
    cells = cellda.datasets.load("folder", cells.root)
    with pytest.raises(DataError, match=r"2 images of folder/cells under .* cannot be read") as caught:
        cached_pixels(cells, 16, store)
    assert [problem.partition(": ")[0] for problem in caught.value.problems] == [str(file) for file in broken]
    assert list(store.root.rglob("*.npy")) == []
    for file, content in zip(broken, whole, strict=True):
        file.write_bytes(content)
    mended = cellda.datasets.load("folder", cells.root)
    assert torch.equal(cached_pixels(mended, 16, store), mended.read(range(9), 16))


class Killed(BaseException):
    """The process is gone."""


def kill_reads(monkeypatch, patience: int) -> list[int]:
    """Let every process die after it has decoded this many blocks; the rows that are decoded from now on."""
    read, rows, left = CellDataset.read, [], [patience]

    def mortal(self: CellDataset, indices: Sequence[int], size: int) -> torch.Tensor:
        if left[0] == 0:
            left[0] = patience
            raise Killed
        left[0] -= 1
        rows.extend(indices)
        return read(self, indices, size)

    monkeypatch.setattr(CellDataset, "read", mortal)
    return rows


def pixels_after_kills(cells: CellDataset, store: Store) -> tuple[torch.Tensor, int]:
    """The pixels, and how often a process died before."""
    for kills in range(1000):
        with suppress(Killed):
            return cached_pixels(cells, 16, store), kills
    raise AssertionError("never done")


def partial_of(store: Store) -> Path:
    (partial,) = (store.root / "pixels").glob("*.partial")
    return partial


def test_decoding_is_resumed_after_every_block(cells: CellDataset, store: Store, monkeypatch):
    expected = cells.read(range(9), 16)
    monkeypatch.setattr(cache, "CHUNK", 1)
    rows = kill_reads(monkeypatch, patience=1)
    pixels, kills = pixels_after_kills(cells, store)
    assert torch.equal(pixels, expected)
    assert kills == 8
    assert rows == list(range(9))  # each once
    (folder,) = (store.root / "pixels").iterdir()
    assert sorted(file.name for file in folder.iterdir()) == ["key.json", "manifest.json", "pixels.npy"]


def test_decoding_is_done_after_two_hundred_kills(tmp_path: Path, store: Store, monkeypatch):
    cells = cellda.datasets.load("folder", own_cells(tmp_path / "many", per_class=67))
    expected = cells.read(range(201), 16)
    monkeypatch.setattr(cache, "CHUNK", 1)
    rows = kill_reads(monkeypatch, patience=1)
    pixels, kills = pixels_after_kills(cells, store)
    assert torch.equal(pixels, expected)
    assert (kills, rows) == (200, list(range(201)))


def test_an_image_that_was_another_while_it_was_decoded_is_not_kept(
    cells: CellDataset, store: Store, monkeypatch
):
    monkeypatch.setattr(cache, "CHUNK", 2)
    expected = cells.read(range(9), 16)
    image = cells.folder / cells.table["path"][0]
    content = image.read_bytes()
    assert cells.fingerprint
    Image.new("RGB", (20, 14), "white").save(image)
    # The change is noticed, or the process is killed: in both cases the block is not recorded.
    with pytest.raises(DataError, match="changed while they were decoded"):
        cached_pixels(cells, 16, store)
    kill_reads(monkeypatch, patience=1)
    with suppress(DataError, Killed):
        cached_pixels(cells, 16, store)
    monkeypatch.undo()
    image.write_bytes(content)
    again = cellda.datasets.load("folder", cells.folder)
    assert again.fingerprint == cells.fingerprint
    assert torch.equal(cached_pixels(again, 16, store), expected)


def test_bad_files_are_all_named_though_decoding_was_killed(cells: CellDataset, store: Store, monkeypatch):
    broken = [cells.folder / "basophil" / "1.png", cells.folder / "neutrophil" / "2.png"]
    for file in broken:
        file.write_bytes(b"not an image")
    cells = cellda.datasets.load("folder", cells.root)
    monkeypatch.setattr(cache, "CHUNK", 2)
    rows = kill_reads(monkeypatch, patience=1)
    with pytest.raises(DataError) as caught:
        pixels_after_kills(cells, store)
    assert [problem.partition(": ")[0] for problem in caught.value.problems] == [str(file) for file in broken]
    assert rows == list(range(9))
    assert list((store.root / "pixels").iterdir()) == []


def test_what_is_found_in_framed_images_survives_a_kill(cells: CellDataset, store: Store, monkeypatch):
    framing = FramingSpec(name="cell")
    expected = cells.framed(range(9), 16, framing.build())
    monkeypatch.setattr(cache, "CHUNK", 2)
    framed, rows = CellDataset.framed, []

    def mortal(self: CellDataset, indices: Sequence[int], *given: Any) -> Any:
        rows.append(list(indices))
        if len(rows) == 3:
            raise Killed
        return framed(self, indices, *given)

    monkeypatch.setattr(CellDataset, "framed", mortal)
    with pytest.raises(Killed):
        cached_pixels(cells, 16, store, framing)
    assert torch.equal(cached_pixels(cells, 16, store, framing), expected[0])
    assert torch.equal(cached_framed(cells, 16, store, framing).confidence, expected[1])
    assert rows == [[0, 1], [2, 3], [4, 5], [4, 5], [6, 7], [8]]


@pytest.mark.parametrize("fault", ["flipped", "cut", "removed", "ledger flipped", "ledger removed"])
def test_damaged_blocks_are_decoded_again(cells: CellDataset, store: Store, monkeypatch, capsys, fault: str):
    expected = cells.read(range(9), 16)
    monkeypatch.setattr(cache, "CHUNK", 2)
    rows = kill_reads(monkeypatch, patience=3)
    with pytest.raises(Killed):
        cached_pixels(cells, 16, store)
    file = partial_of(store) / ("working/decoded.ledger" if fault.startswith("ledger") else "pixels.npy")
    content = bytearray(file.read_bytes())
    at = content.index(b"\n") + 30 if fault.startswith("ledger") else 128 + 3 * 16 * 16 * 3
    if fault.endswith("flipped"):
        content[at] ^= 1
    file.write_bytes(content[:at] if fault == "cut" else content)
    if fault.endswith("removed"):
        file.unlink()
    capsys.readouterr()
    assert torch.equal(pixels_after_kills(cells, store)[0], expected)
    assert ("is damaged after" in capsys.readouterr().err) is (fault != "ledger removed")
    assert rows[:6] == list(range(6))
    first = 0 if fault.endswith("removed") else 2
    assert rows[6:] == list(range(first, 9))


# --- room


def test_there_is_room_for_all_or_nothing_is_decoded(tmp_path: Path, store: Store, monkeypatch):
    wanted = [
        (cellda.datasets.load("folder", own_cells(tmp_path / name)), 16, store, WHOLE) for name in ("a", "b")
    ]
    Usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _place: Usage(10**6, 0, 10_000))
    batches = count_reads(monkeypatch)
    with pytest.raises(
        ConfigurationError, match=r"decoded images: 13\.8 kB are written, and 10\.0 kB are free"
    ):
        decode_all(wanted)
    assert batches == []
    decode_all([wanted[0], wanted[0]])  # the same images twice take the room of one
    assert batches == [9]


@pytest.mark.parametrize("when", ["reserved", "written"])
def test_a_disk_that_fills_is_said_and_the_next_run_goes_on(cells, store: Store, monkeypatch, when: str):
    expected = cells.read(range(9), 16)
    full = OSError(errno.ENOSPC, "No space left on device")

    def refuse(*_given):
        raise full

    with monkeypatch.context() as patch:
        if when == "reserved":
            patch.setattr(os, "posix_fallocate", refuse, raising=False)
        else:
            patch.setattr(cache, "_block", refuse)
        with pytest.raises(
            ConfigurationError, match=r"no room for the decoded images of folder/cells: 6\.9 kB"
        ):
            cached_pixels(cells, 16, store)
    assert list((store.root / "pixels").iterdir()) == []
    assert torch.equal(cached_pixels(cells, 16, store), expected)


@pytest.mark.parametrize("name", ["pixels.npy", "confidence.npy", "framing.json"])
@pytest.mark.parametrize("fault", ["flipped", "cut", "removed"])
def test_a_damaged_cache_is_made_again(cells, store: Store, capsys, name: str, fault: str):
    framing = FramingSpec(name="cell")
    expected = (
        cached_pixels(cells, 16, store, framing).clone(),
        cached_framed(cells, 16, store, framing).confidence,
    )
    (folder,) = (store.root / "pixels").iterdir()
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content[:-5] if fault == "cut" else content)
    if fault == "removed":
        (folder / name).unlink()
    capsys.readouterr()
    assert torch.equal(cached_framed(cells, 16, store, framing).confidence, expected[1])
    assert torch.equal(cached_pixels(cells, 16, store, framing), expected[0])
    said = capsys.readouterr().err
    assert said.count("is damaged") == 1
    assert name in said


def test_broken_images_of_all_datasets_are_listed_together(tmp_path: Path, store: Store):
    folders = [own_cells(tmp_path / name) for name in ("one", "two")]
    for folder in folders:
        (folder / "monocyte" / "0.png").write_bytes(b"")
    wanted = [(cellda.datasets.load("folder", folder), 16, store, WHOLE) for folder in folders]
    with pytest.raises(DataError, match=r"2 images cannot be read.*nothing was trained") as caught:
        decode_all(wanted)
    assert all(str(folder) in problem for folder, problem in zip(folders, caught.value.problems, strict=True))
    (folders[0] / "monocyte" / "0.png").unlink()
    decode_all([(cellda.datasets.load("folder", folders[0]), 16, store, WHOLE)])
    assert len(list(store.root.rglob("*.npy"))) == 1


# --- image sets


def image_set(**fields: Any) -> ImageSet:
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (6, 3, 8, 8), dtype=np.uint8))
    return ImageSet(pixels, torch.tensor([5, 1, 3]), Identity(), **fields)


def test_an_image_set_is_some_rows_of_the_pixels():
    images = image_set(known_labels=torch.tensor([2, 0, 4]), groups=("a", "b", "b"), degrade=True)
    assert len(images) == 3
    assert torch.equal(images.raw([0, 2]), images.pixels[[5, 3]])
    assert torch.equal(images.raw(torch.tensor([1])), images.pixels[[1]])
    assert images.raw([0, 1]).is_contiguous(memory_format=torch.channels_last)


def test_a_subset_keeps_labels_and_groups_with_their_images():
    images = image_set(known_labels=torch.tensor([2, 0, 4]), groups=("a", "b", "c"), degrade=True)
    part = images.subset([2, 0])
    assert torch.equal(part.raw([0, 1]), images.raw([2, 0]))
    assert (part.labels.tolist(), part.groups, part.degrade) == ([4, 2], ("c", "a"), True)
    assert part.subset([1]).labels.tolist() == [2]
    assert len(images.subset([])) == 0


def test_an_unlabelled_set_has_no_labels():
    with pytest.raises(ConfigurationError, match="no labels"):
        _ = image_set().labels
    assert image_set().subset([1]).known_labels is None


# --- the folder of datasets


def test_a_data_root_loads_each_dataset_once(tmp_path: Path):
    own_cells(tmp_path / "folder")
    root = DataRoot(tmp_path)
    assert root.load("folder") is root.load("folder")
    assert root.load("folder").class_counts() == {"basophil": 3, "monocyte": 3, "neutrophil": 3}
    assert len(root.load("synthetic/1", per_class=2)) == 12
    assert root.load("synthetic/1", per_class=2) is not root.load("synthetic/1", per_class=3)


def test_a_dataset_that_lies_elsewhere_is_named_with_its_place(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    own_cells(tmp_path / "my=cells")
    assert len(DataRoot(None).load(f"folder={tmp_path / 'my=cells'}")) == 9
    assert len(DataRoot("~/elsewhere").load("folder=~/my=cells")) == 9
    with pytest.raises(DataError, match="does not exist"):
        DataRoot(tmp_path).load("folder=~/no_cells")
    with pytest.raises(ConfigurationError, match="'folder=' does not name a folder; write folder=<path>"):
        DataRoot(tmp_path).load("folder=")


def test_a_data_root_says_what_is_missing(tmp_path: Path):
    (tmp_path / "rabin").mkdir()
    with pytest.raises(
        ConfigurationError, match=r"say where with data=<folder that holds 'raabin/'> \(--data"
    ):
        DataRoot(None).load("raabin")
    with pytest.raises(
        ConfigurationError, match=r"'raabin' .*holds rabin.*fetch raabin --data .*'raabin=<path>'"
    ):
        DataRoot(tmp_path).load("raabin")
    with pytest.raises(ConfigurationError, match="there is no such folder"):
        DataRoot(tmp_path / "none").load("raabin")
    with pytest.raises(UnknownNameError, match="did you mean 'raabin'"):
        DataRoot(tmp_path).load("rabin")
    with pytest.raises(ConfigurationError, match="did you mean 'per_class'"):
        DataRoot(None).load("synthetic/1", per_clas=2)


# --- how a recipe names them


@pytest.mark.parametrize(
    ("name", "sharp"), [("barcelona", True), ("munich_2019", False), ("synthetic/0", False)]
)
def test_only_the_sharp_source_is_degraded_unless_said(name: str, sharp: bool):
    assert Source.model_validate(name).degrade is sharp
    assert Source.model_validate({"name": name, "degrade": not sharp}).degrade is not sharp


def test_a_source_has_a_known_name():
    with pytest.raises(ValueError, match="did you mean 'barcelona'"):
        Source.model_validate("barcelonna")


def test_the_few_shot_defaults_are_the_papers():
    assert FewShot().model_dump() == {"n": None, "draw": 0, "kind": "balanced"}
    for wrong in ({"n": 0}, {"draw": -1}, {"kind": "even"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            FewShot.model_validate(wrong)
