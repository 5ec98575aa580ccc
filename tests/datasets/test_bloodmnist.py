"""BloodMNIST from the files that medmnist downloads."""

import tracemalloc

import numpy as np
import pytest
import torch
from PIL import Image

from cellda.data.check import check
from cellda.datasets import load
from cellda.errors import ConfigurationError, DataError
from trees import bloodmnist


def arrays(file):
    with np.load(file) as archive:
        return dict(archive)


def resaved(file, **changed):
    np.savez_compressed(file, **{**arrays(file), **changed})


def test_the_largest_file_is_read_unless_a_size_is_asked_for(tmp_path):
    for side in (28, 128, 64):
        bloodmnist(tmp_path, side)
    assert load("bloodmnist", tmp_path).files == ["bloodmnist_128.npz"]
    small = load("bloodmnist/64", tmp_path)
    assert small.files == ["bloodmnist_64.npz"]
    assert small.fingerprint != load("bloodmnist", tmp_path).fingerprint
    with pytest.raises(DataError, match=r"looked for bloodmnist_224\.npz"):
        load("bloodmnist/224", tmp_path)
    with pytest.raises(ConfigurationError, match="variant"):
        load("bloodmnist/100", tmp_path)


def test_the_smallest_goes_by_the_name_medmnist_gives_it(tmp_path):
    counts = bloodmnist(tmp_path, name="bloodmnist.npz")
    assert load("bloodmnist", tmp_path).class_counts() == counts
    assert load("bloodmnist/28", tmp_path).files == ["bloodmnist.npz"]


def test_pixels_and_labels_are_those_of_the_arrays(tmp_path):
    bloodmnist(tmp_path, 64)
    held = arrays(tmp_path / "bloodmnist_64.npz")
    dataset = load("bloodmnist", tmp_path)
    names = ["basophil", "eosinophil", "erythroblast", None, "lymphocyte", "monocyte", "neutrophil", None]
    rows = list(reversed(range(len(dataset))))
    for row, native, resized in zip(rows, dataset.read(rows, 64), dataset.read(rows, 20), strict=True):
        split, _, number = dataset.table["path"][row].partition("#")[2].partition("=")
        original = held[f"{split}_images"][int(number)]
        assert torch.equal(native.permute(1, 2, 0), torch.from_numpy(original))
        expected = Image.fromarray(original).resize((20, 20), Image.Resampling.BILINEAR)
        assert np.array_equal(resized.permute(1, 2, 0).numpy(), np.asarray(expected))
        assert dataset.table["label"][row] == names[held[f"{split}_labels"][int(number), 0]]
    assert dataset.dropped["raw_label"].value_counts().to_dict() == {
        "immature granulocyte": 4,
        "platelet": 3,
    }


def test_no_array_is_held_in_memory(tmp_path):
    bloodmnist(tmp_path, 64, counts=(600, 8, 8))
    tracemalloc.start()
    dataset = load("bloodmnist", tmp_path)
    for start in range(0, 400, 20):
        dataset.read(range(start, start + 20), 64)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 600 * 64 * 64 * 3 / 4


def test_the_fingerprint_knows_every_pixel(tmp_path):
    bloodmnist(tmp_path)
    file = tmp_path / "bloodmnist_28.npz"
    first = load("bloodmnist", tmp_path).fingerprint
    images = arrays(file)["test_images"]
    images[-1, -1, -1, -1] ^= 1
    resaved(file, test_images=images)
    assert load("bloodmnist", tmp_path).fingerprint != first


def test_cells_with_the_same_pixels_are_one_group(tmp_path):
    bloodmnist(tmp_path)
    file = tmp_path / "bloodmnist_28.npz"
    held = arrays(file)
    held["test_images"][4] = held["train_images"][1]
    resaved(file, **held)
    dataset = load("bloodmnist", tmp_path)
    assert dataset.identical_images() == [["bloodmnist_28.npz#train=1", "bloodmnist_28.npz#test=4"]]
    assert len(set(dataset.effective_groups())) == len(dataset) - 1


def test_files_that_are_not_as_published_are_refused(tmp_path):
    bloodmnist(tmp_path)
    file = tmp_path / "bloodmnist_28.npz"
    good = arrays(file)
    del good["val_labels"]
    np.savez_compressed(
        file,
        **{**good, "train_labels": np.full((12, 1), 8), "test_images": good["test_images"][..., 0]},
    )
    with pytest.raises(DataError) as caught:
        load("bloodmnist", tmp_path)
    train, val, test = caught.value.problems
    assert "train_labels" in train
    assert "val_labels" in val
    assert "test_images" in test
    file.write_bytes(b"<html>too many requests</html>")
    with pytest.raises(DataError, match=r"bloodmnist_28\.npz"):
        load("bloodmnist", tmp_path)


def test_a_damaged_file_is_reported(tmp_path):
    bloodmnist(tmp_path, 64)
    file = tmp_path / "bloodmnist_64.npz"
    broken = bytearray(file.read_bytes())
    middle = broken.find(b"val_images.npy") - 4000  # among the pixels of the training split, that lie before
    broken[middle : middle + 40] = bytes(40)
    file.write_bytes(bytes(broken))
    dataset = load("bloodmnist", tmp_path)
    report = check(dataset)
    assert not report.ok
    assert set(report.unreadable) == set(dataset.table["path"][dataset.table["path"].str.contains("#train")])
    assert all("train_images" in reason for reason in report.unreadable.values())


def test_a_file_cut_off_or_gone_since_is_said_when_it_is_read(tmp_path):
    bloodmnist(tmp_path, 64)
    file = tmp_path / "bloodmnist_64.npz"
    dataset = load("bloodmnist", tmp_path)
    held = file.read_bytes()
    file.write_bytes(held[: held.find(b"train_labels.npy") - 9000])
    with pytest.raises(DataError, match=r"train_images of .*bloodmnist_64\.npz"):
        dataset.read(range(len(dataset)), 64)
    file.unlink()
    with pytest.raises(DataError, match="is gone"):
        _ = dataset.fingerprint


def test_a_sound_file_is_ready(tmp_path):
    bloodmnist(tmp_path)
    bloodmnist(tmp_path, 64)
    report = check("bloodmnist", tmp_path)
    assert report.ok
    assert [one.names for one in report.account.left_out if one.kind == ".npz"] == [("bloodmnist_28.npz",)]
