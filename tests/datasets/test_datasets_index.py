"""Indexing decodes no image, however many there are."""

import os
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageFile

import cellda.datasets
from cellda.datasets.reading.names import suffix
from cellda.errors import DataError
from trees import FILES, TREES, barcelona, bccd, jslh, lisc, munich_2019, munich_2021, raabin

FROM_FILES = [name for name in cellda.datasets.names() if not cellda.datasets.get(name).synthetic]
COUNTS = {"ABE": 8, "BLA": 11_973, "EBO": 27_395, "LYT": 26_242, "NGS": 29_424, "OTH": 76_331}
"""171,373 files in some of the folders of Munich 2021."""


@pytest.mark.parametrize("name", FROM_FILES)
def test_indexing_decodes_no_image(name, tmp_path, monkeypatch):
    TREES[name](tmp_path)
    decoded = set()
    load = ImageFile.ImageFile.load

    def watched(image):
        if image.fp is not None:  # it is None when the image is loaded already
            decoded.add(str(image.filename or image.fp.name))
        return load(image)

    monkeypatch.setattr(ImageFile.ImageFile, "load", watched)
    dataset = cellda.datasets.load(name, tmp_path / FILES.get(name, ""))
    # The masks of LISC say where its cells are.
    assert [file for file in decoded if not file.endswith("_expert.bmp")] == []
    assert len(decoded) == (len(dataset) if name == "lisc" else 0)


def empty_files(root, counts):
    """Files that are no images, in folders of 1,000, as Munich 2021 is published."""
    for code, count in counts.items():
        for start in range(1, count + 1, 1000):
            folder = root / code / f"{start:04d}-{start + 999:04d}"
            folder.mkdir(parents=True)
            for number in range(start, min(start + 1000, count + 1)):
                (folder / f"{code}_{number:05d}.jpg").touch()


def test_folders_of_a_thousand_are_read_in_order(tmp_path):
    empty_files(tmp_path, {"EOS": 10_001, "ABE": 3, "PMO": 2})
    dataset = cellda.datasets.load("munich_2021", tmp_path)
    assert dataset.class_counts() == {"eosinophil": 10_004}
    assert dataset.dropped["raw_label"].value_counts().to_dict() == {"PMO": 2}
    paths = list(dataset.table["path"])
    assert paths[:3] == [f"ABE/0001-1000/ABE_0000{number}.jpg" for number in (1, 2, 3)]
    assert [path[-9:-4] for path in paths[3:]] == [f"{number:05d}" for number in range(1, 10_002)]


def test_images_that_lie_in_the_class_folder_itself_are_taken(tmp_path):
    munich_2021(tmp_path)
    folder = tmp_path / "BM_cytomorphology_data" / "BAS"
    (folder / "0001-1000" / "BAS_00001.jpg").rename(folder / "BAS_00001.jpg")
    (folder / "0001-1000").rmdir()
    assert "BAS/BAS_00001.jpg" in list(cellda.datasets.load("munich_2021", tmp_path).table["path"])


def test_images_beside_folders_of_a_thousand_are_taken_too(tmp_path):
    munich_2021(tmp_path)
    folder = tmp_path / "BM_cytomorphology_data" / "BAS"
    shutil.copy(folder / "0001-1000" / "BAS_00001.jpg", folder / "BAS_09999.jpg")
    paths = list(cellda.datasets.load("munich_2021", tmp_path).table["path"])
    assert {"BAS/0001-1000/BAS_00001.jpg", "BAS/BAS_09999.jpg"} <= set(paths)


@pytest.mark.parametrize(
    ("name", "tree", "old", "new"),
    [
        ("raabin", raabin, "Train", "train"),
        ("raabin", raabin, "TestA/Basophil", "TestA/basophil"),
        ("bccd", bccd, "dataset2-master", "Dataset2-Master"),
        ("lisc", lisc, "LISC Database/Main Dataset/Baso", "LISC Database/Main Dataset/baso"),
        ("munich_2021", munich_2021, "BM_cytomorphology_data/EBO", "BM_cytomorphology_data/ebo"),
        ("jslh", jslh, "band neutrophil", "Band Neutrophil"),
    ],
)
def test_capitals_of_folders_do_not_matter(name, tree, old, new, tmp_path):
    tree(tmp_path)
    before = cellda.datasets.load(name, tmp_path).table
    (tmp_path / old).rename(tmp_path / new)
    after = cellda.datasets.load(name, tmp_path).table
    assert sorted(after["path"].str.lower()) == sorted(before["path"].str.lower())
    assert after["label"].value_counts().equals(before["label"].value_counts())


@pytest.mark.parametrize(
    ("name", "tree", "old", "new"),
    [
        ("raabin", raabin, "Train", "Train/Train"),
        ("raabin", raabin, "Train/Basophil", "Train/Basophils"),
        ("barcelona", barcelona, "PBC_dataset_normal_DIB/neutrophil", "PBC_dataset_normal_DIB/Neutrophils"),
        ("lisc", lisc, "LISC Database/Main Dataset/neut", "LISC Database/Main Dataset/Neutrophil"),
        ("munich_2019", munich_2019, "AML-Cytomorphology_LMU/BAS", "AML-Cytomorphology_LMU/basophil"),
    ],
)
def test_cells_in_folders_of_other_names_are_not_passed_over_in_silence(name, tree, old, new, tmp_path):
    tree(tmp_path)
    (tmp_path / old).rename(tmp_path / "aside")
    (tmp_path / new).parent.mkdir(exist_ok=True)
    (tmp_path / "aside").rename(tmp_path / new)
    with pytest.raises(DataError, match="not as in the published layout") as caught:
        cellda.datasets.load(name, tmp_path)
    assert any(str(tmp_path / old).rpartition("/")[0] in problem for problem in caught.value.problems)


def test_an_empty_folder_of_a_thousand_is_an_interrupted_download(tmp_path):
    munich_2021(tmp_path)
    (tmp_path / "BM_cytomorphology_data" / "LYT" / "1001-2000").mkdir()
    (tmp_path / "BM_cytomorphology_data" / "MON" / "0001-1000" / "MON_00001.jpg").unlink()
    with pytest.raises(DataError, match="no image") as caught:
        cellda.datasets.load("munich_2021", tmp_path)
    assert len(caught.value.problems) == 2


@pytest.mark.slow
def test_171373_images_are_indexed(tmp_path):
    empty_files(tmp_path, COUNTS)
    dataset = cellda.datasets.load("munich_2021", tmp_path)
    assert len(dataset) + len(dataset.dropped) == 171_373
    assert dataset.class_counts() == {
        "eosinophil": 8,
        "erythroblast": 27_395,
        "lymphocyte": 26_242,
        "neutrophil": 29_424,
    }


@given(st.text(st.characters(exclude_characters="/\0"), max_size=12))
def test_the_suffix_of_a_name_is_that_of_the_standard_library(name: str):
    assert suffix(name) == os.path.splitext(name)[1].lower()  # noqa: PTH122
