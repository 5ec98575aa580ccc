"""Datasets as PyTorch, torchvision and Hugging Face expect them."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.transforms import v2

import cellda.datasets
from cellda.data.pixel_cache import cached_pixels
from cellda.datasets.base import CellDataset
from cellda.errors import ConfigurationError, DataError
from cellda.framing.spec import FramingSpec
from cellda.runtime.storage.store import Store
from tiny import target


@pytest.fixture
def cells(tmp_path: Path) -> CellDataset:
    """A folder of eight cells, one of them with 16 bits a sample, and two of the same bytes."""
    rng = np.random.default_rng(0)
    for number in range(8):
        place = tmp_path / "cells" / ("neutrophil", "lymphocyte")[number % 2] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (30 + number, 40, 3), np.uint8)).save(place)
    deep = rng.integers(0, 4096, (33, 44), np.uint16)
    Image.fromarray(deep).save(tmp_path / "cells" / "neutrophil" / "deep.png")
    twin = tmp_path / "cells" / "neutrophil" / "twin.png"
    twin.write_bytes((tmp_path / "cells" / "neutrophil" / "0.png").read_bytes())
    return cellda.datasets.load("folder", tmp_path / "cells", bits=12)


def pixels_of(image: Image.Image) -> np.ndarray:
    return np.asarray(image)


# --- PyTorch


def test_items_are_the_decoded_cells_and_their_class(cells: CellDataset):
    found = cells.to_torch()
    assert len(found) == len(cells) == 10
    assert found.classes == list(cells.taxonomy.classes)
    assert found.targets == cells.labels.tolist()
    for index, (image, label) in enumerate(found):
        assert isinstance(image, Image.Image)
        assert image.mode == "RGB"
        assert found.classes[label] == cells.table["label"][index]
        shown = Image.open(cells.folder / cells.table["path"][index])
        if shown.mode == "RGB":  # the file, byte by byte
            np.testing.assert_array_equal(pixels_of(image), pixels_of(shown))
        else:  # 12 of 16 bits, which Pillow alone would show black or white
            grey = pixels_of(shown).astype(float) / 4095 * 255
            assert np.abs(pixels_of(image)[..., 0] - grey).max() <= 1


def test_twins_are_one_group(cells: CellDataset):
    found = cells.to_torch()
    group = dict(zip(cells.table["path"], found.groups, strict=True))
    assert group["neutrophil/0.png"] == group["neutrophil/twin.png"]
    assert len(set(found.groups)) == 9


def test_an_index_is_that_of_a_sequence(cells: CellDataset):
    found = cells.to_torch()
    assert found[-1][1] == found.targets[-1]
    with pytest.raises(IndexError):
        found[10]


def test_nothing_is_decoded_before_it_is_asked_for(cells: CellDataset, monkeypatch):
    decoded: list[int] = []
    read = type(cells).originals
    monkeypatch.setattr(
        type(cells),
        "originals",
        lambda self, rows, use, least=1: decoded.extend(rows) or read(self, rows, use),
    )
    found = cells.to_torch()
    assert decoded == []
    found[3]
    assert decoded == [3]


@pytest.mark.parametrize("framing", ["none", "center", "cell"])
def test_with_a_size_the_pixels_are_those_of_a_run(tmp_path: Path, framing: str):
    for dataset in (target(per_class=3), cellda.datasets.load("synthetic/2", per_class=3)):
        spec = FramingSpec(name=framing)
        run = cached_pixels(dataset, 40, Store(tmp_path), spec)
        found = dataset.to_torch(v2.PILToTensor(), framing=framing, size=40)
        assert torch.equal(torch.stack([image for image, _ in found]), run)


def test_a_framing_cuts_images_that_keep_their_size():
    dataset = target(per_class=1)
    whole, cut = dataset.to_torch()[0][0], dataset.to_torch(framing={"name": "center", "share": 0.5})[0][0]
    assert cut.width == cut.height == whole.width // 2


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_of_a_loader_read_it(cells: CellDataset, start: str):
    transform = v2.Compose([v2.PILToTensor(), v2.Resize((16, 16))])
    found = pickle.loads(pickle.dumps(cells.to_torch(transform)))
    loader = DataLoader(found, batch_size=4, num_workers=1, multiprocessing_context=start)
    batches = list(loader)
    assert torch.cat([labels for _, labels in batches]).tolist() == cells.labels.tolist()
    assert torch.equal(torch.cat([images for images, _ in batches])[5], transform(cells.to_torch()[5][0]))


def test_what_cannot_work_is_said_at_once(cells: CellDataset):
    with pytest.raises(ConfigurationError, match="did you mean 'cell'"):
        cells.to_torch(framing="cel")
    for size in (0, -3, 2.5, True):
        with pytest.raises(ConfigurationError, match="whole number of pixels"):
            cells.to_torch(size=size)


def test_a_damaged_file_is_named(cells: CellDataset):
    (cells.folder / cells.table["path"][2]).write_bytes(b"nothing")
    with pytest.raises(DataError, match=cells.table["path"][2]):
        cells.to_torch()[2]


# --- Hugging Face


@pytest.fixture
def hub(tmp_path_factory, monkeypatch) -> None:
    """Leaves the user's cache alone, and skips where the package is missing."""
    datasets = pytest.importorskip("datasets", reason="needs pip install 'cellda[hf]'")
    datasets.disable_progress_bars()
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("hub"))


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("copy", [False, True])
def test_rows_hold_image_class_path_and_group(cells: CellDataset, copy: bool):
    import datasets

    found, ours = cells.to_hf(copy=copy), cells.to_torch()
    assert isinstance(found, datasets.Dataset)
    assert isinstance(found.features["image"], datasets.Image)
    assert found.features["label"].names == list(cells.taxonomy.classes)
    assert found["path"][:] == list(cells.table["path"])
    assert found["group"][:] == ours.groups
    shuffled = found.shuffle(seed=0)
    for row in (*found, *shuffled):
        np.testing.assert_array_equal(pixels_of(row["image"].convert("RGB")), pixels_of(ours[row["row"]][0]))
        assert row["label"] == ours.targets[row["row"]]
    few = found.filter(lambda row: row["label"] == ours.targets[0])
    assert len(few) == ours.targets.count(ours.targets[0])


@pytest.mark.usefixtures("hub")
def test_images_are_read_when_they_are_asked_for(cells: CellDataset):
    found = cells.to_hf()
    assert found.data.nbytes < 2000  # ten names
    (cells.folder / cells.table["path"][2]).write_bytes(b"nothing")
    assert found[1]["image"].mode == "RGB"
    with pytest.raises(DataError, match=cells.table["path"][2]):
        found[2]


@pytest.mark.usefixtures("hub")
def test_a_copy_stands_alone_and_follows_the_files(cells: CellDataset, tmp_path: Path):
    import datasets

    cells.to_hf(copy=True).save_to_disk(tmp_path / "saved")
    before = pixels_of(cells.to_torch()[0][0])
    new = Image.fromarray(np.full((20, 20, 3), 9, np.uint8))
    new.save(cells.folder / cells.table["path"][0])
    np.testing.assert_array_equal(pixels_of(datasets.load_from_disk(tmp_path / "saved")[0]["image"]), before)
    again = cellda.datasets.load("folder", cells.folder, bits=12)
    np.testing.assert_array_equal(pixels_of(again.to_hf(copy=True)[0]["image"]), pixels_of(new))


@pytest.mark.usefixtures("hub")
def test_images_are_not_silently_missing_without_their_row(cells: CellDataset):
    assert cells.to_hf().select_columns(["label"])[0] == {"label": cells.labels[0].item()}
    with pytest.raises(DataError, match="column 'row'"):
        cells.to_hf().remove_columns("row")[0]


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr("cellda.datasets.exporting.hf_cells.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'cellda\[hf\]'"):
        target(per_class=1).to_hf()
