"""One contract for every registered dataset, on small trees in the published layouts."""

import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import cellda.datasets
from cellda.datasets.base import COLUMNS
from cellda.errors import ConfigurationError, DataError
from tiny import CLASSES
from trees import FILES, TREES, barcelona, bccd, jiangxi_tecom, jin_woo_choi, picture, raabin


@pytest.fixture(params=cellda.datasets.names())
def dataset(request, tmp_path):
    """Each registered dataset, on a tree in its published layout; `expected` are its class counts."""
    name = request.param
    if cellda.datasets.get(name).synthetic:
        made = cellda.datasets.load(
            name, **{"synthetic": {"per_class": 3}, "randomised": {"laboratories": 3}}[name]
        )
        made.expected = dict.fromkeys(CLASSES, 3)
        return made
    assert name in TREES, f"write a builder of a small '{name}' tree into this file"
    expected = TREES[name](tmp_path)
    made = cellda.datasets.load(name, tmp_path / FILES.get(name, ""))
    made.expected = expected
    return made


def test_the_table_has_the_typed_columns(dataset):
    cells = dataset.table
    assert tuple(cells.columns) == COLUMNS
    assert list(cells.index) == list(range(len(dataset)))
    for name in ("path", "label", "raw_label"):
        assert cells[name].map(type).eq(str).all()
    assert set(cells["label"]) <= set(CLASSES)
    assert all(group is None or (isinstance(group, str) and group) for group in cells["group"])
    for box in cells["box"]:
        assert box is None or (isinstance(box, tuple) and [type(side) for side in box] == [int] * 4)
    assert not pd.Series(list(zip(cells["path"], cells["box"].map(str), strict=True))).duplicated().any()


def test_the_counts_are_those_of_the_tree(dataset):
    assert dataset.class_counts() == dataset.expected
    assert list(dataset.class_counts()) == [c for c in CLASSES if c in dataset.expected]
    assert all(type(count) is int for count in dataset.class_counts().values())
    assert sum(dataset.expected.values()) == len(dataset)
    assert [CLASSES[code] for code in dataset.labels] == list(dataset.table["label"])


def test_cells_are_read_in_the_order_asked_for(dataset):
    every = dataset.read(range(len(dataset)), 9)
    assert every.shape == (len(dataset), 3, 9, 9)
    assert every.dtype == torch.uint8
    assert torch.equal(dataset.read([2, 0], 9), every[[2, 0]])


def test_groups_are_one_a_row_and_no_file_is_in_two(dataset):
    groups = dataset.effective_groups()
    assert len(groups) == len(dataset)
    assert all(isinstance(group, str) and group for group in groups)
    of_path = {}
    for path, group in zip(dataset.table["path"], groups, strict=True):
        assert of_path.setdefault(path, group) == group


FROM_FILES = [name for name in cellda.datasets.names() if not cellda.datasets.get(name).synthetic]


@pytest.mark.parametrize("name", FROM_FILES)
def test_the_fingerprint_knows_the_data_and_not_the_place(name, tmp_path):
    TREES[name](tmp_path / "one")
    given = FILES.get(name, "")
    first = cellda.datasets.load(name, tmp_path / "one" / given)
    shutil.copytree(tmp_path / "one", tmp_path / "elsewhere" / "two")
    second = cellda.datasets.load(name, str(tmp_path / "elsewhere" / "two" / given))
    assert second.fingerprint == first.fingerprint
    assert second.table.equals(first.table)
    path = second.root / second.files[0]
    path.write_bytes(path.read_bytes() + b"\0")
    third = cellda.datasets.load(name, tmp_path / "elsewhere" / "two" / given)
    assert third.fingerprint != first.fingerprint


@pytest.mark.parametrize("name", FROM_FILES)
def test_no_root_a_missing_root_and_a_foreign_layout_are_refused(name, tmp_path):
    with pytest.raises(DataError, match=rf"'{name}'.*load\('{name}'"):
        cellda.datasets.load(name)
    with pytest.raises(DataError, match="does not exist"):
        cellda.datasets.load(name, tmp_path / "nowhere")
    (tmp_path / "holiday" / "beach").mkdir(parents=True)
    picture(tmp_path / "holiday" / "beach" / "sea.jpg")
    with pytest.raises(DataError) as caught:
        cellda.datasets.load(name, tmp_path / "holiday")
    assert str(tmp_path / "holiday") in str(caught.value)
    if name not in ("folder", "table"):
        assert "looked for" in str(caught.value)
        assert "beach" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("barcelona", "PBC_dataset_normal_DIB"),
        ("munich_2019", "AML-Cytomorphology_LMU"),
        ("munich_2021", "BM_cytomorphology_data"),
        ("lisc", "LISC Database"),
        ("jin_woo_choi", "data_WBC_torch"),
        ("bccd", "dataset2-master"),
        ("bccd", "dataset2-master/images"),
    ],
)
def test_the_root_may_be_the_inner_folder(name, folder, tmp_path):
    TREES[name](tmp_path)
    outer, inner = (cellda.datasets.load(name, root) for root in (tmp_path, tmp_path / folder))
    assert inner.table.equals(outer.table)
    assert inner.fingerprint == outer.fingerprint


def test_known_cells_outside_the_study_are_kept_apart(tmp_path):
    barcelona(tmp_path)
    dataset = cellda.datasets.load("barcelona", tmp_path)
    assert dataset.dropped["raw_label"].value_counts().to_dict() == {
        "myelocyte": 1,
        "promyelocyte": 1,
        "platelet": 1,
    }
    assert dataset.dropped["label"].isna().all()


def test_rows_are_in_natural_order(tmp_path):
    jin_woo_choi(tmp_path)
    paths = list(cellda.datasets.load("jin_woo_choi", tmp_path).table["path"])
    assert paths[:4] == ["1/1.jpg", "1/2.jpg", "1/10.jpg", "2/1.jpg"]


def test_an_interrupted_download_is_reported(tmp_path):
    barcelona(tmp_path)
    for folder_name in ("basophil", "monocyte"):
        for file in (tmp_path / "PBC_dataset_normal_DIB" / folder_name).iterdir():
            file.unlink()
    with pytest.raises(DataError, match="no image") as caught:
        cellda.datasets.load("barcelona", tmp_path)
    assert len(caught.value.problems) == 2


def test_raabin_groups_by_smear_and_takes_the_splits_there_are(tmp_path):
    raabin(tmp_path)
    shutil.rmtree(tmp_path / "TestA")
    dataset = cellda.datasets.load("raabin", tmp_path)
    assert set(dataset.table["group"]) == {"95-8-12-5", "20190526"}
    assert len(dataset) == 20
    assert set(dataset.table["raw_label"]) == {
        "Basophil",
        "Eosinophil",
        "Lymphocyte",
        "Monocyte",
        "Neutrophil",
    }


def test_bccd_groups_by_photograph(tmp_path):
    bccd(tmp_path)
    dataset = cellda.datasets.load("bccd", tmp_path)
    # Two photographs in each of four TRAIN folders, one in each of four TEST folders, two copies of each.
    sizes = dataset.table["group"].value_counts()
    assert len(sizes) == 12
    assert set(sizes) == {2}
    with_simple = cellda.datasets.load("bccd", tmp_path, test_simple=True)
    assert len(with_simple) == len(dataset) + 4
    assert set(with_simple.table["group"]) == set(dataset.table["group"])
    simple = with_simple.table[with_simple.table["path"].str.startswith("TEST_SIMPLE/")]
    assert set(simple["group"]) == {
        f"TEST/{c}/0" for c in ("EOSINOPHIL", "LYMPHOCYTE", "MONOCYTE", "NEUTROPHIL")
    }


def test_bccd_refuses_names_that_tell_no_photograph_and_a_missing_test_simple(tmp_path):
    bccd(tmp_path)
    images = tmp_path / "dataset2-master" / "images"
    picture(images / "TRAIN" / "MONOCYTE" / "mine.jpeg")
    with pytest.raises(DataError, match=r"TRAIN/MONOCYTE/mine\.jpeg"):
        cellda.datasets.load("bccd", tmp_path)
    shutil.rmtree(images / "TEST_SIMPLE")
    with pytest.raises(DataError, match="TEST_SIMPLE"):
        cellda.datasets.load("bccd", tmp_path, test_simple=True)


def test_jin_woo_choi_reads_named_folders_too(tmp_path):
    for stage in ("proerythroblast", "basophilic normoblast", "Polychromatic_normoblast", "band neutrophil"):
        picture(tmp_path / stage / "1.jpg")
    assert cellda.datasets.load("jin_woo_choi", tmp_path).class_counts() == {
        "erythroblast": 2,
        "neutrophil": 1,
    }


def test_jiangxi_tecom_labels_as_published_or_as_the_authors_have_them(tmp_path):
    jiangxi_tecom(tmp_path)
    published = cellda.datasets.load("jiangxi_tecom", tmp_path)
    authors = cellda.datasets.load("jiangxi_tecom/authors", tmp_path)
    assert list(published.table["label"][:4]) == ["lymphocyte", "neutrophil", "neutrophil", "monocyte"]
    assert list(authors.table["label"][:4]) == ["monocyte", "neutrophil", "neutrophil", "lymphocyte"]
    assert authors.fingerprint != published.fingerprint
    with pytest.raises(ConfigurationError, match="labels"):
        cellda.datasets.load("jiangxi_tecom", tmp_path, labels="mine")


def test_bad_lines_of_a_label_file_are_all_listed(tmp_path):
    jiangxi_tecom(tmp_path)
    file = tmp_path / "Class Labels of Dataset 1.csv"
    file.write_text(file.read_text() + "7,1\n2,2\nx,1\n3,9\n5\n")
    with pytest.raises(DataError) as caught:
        cellda.datasets.load("jiangxi_tecom", tmp_path)
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        f"line {n}" for n in range(8, 13)
    ]
    file.unlink()
    with pytest.raises(DataError, match="Class Labels of Dataset 1"):
        cellda.datasets.load("jiangxi_tecom", tmp_path)


def test_identical_files_are_one_group_wherever_they_lie(tmp_path):
    jiangxi_tecom(tmp_path)
    images = tmp_path / "Dataset 1"
    shutil.copy(images / "001.bmp", images / "005.bmp")
    dataset = cellda.datasets.load("jiangxi_tecom", tmp_path)
    assert dataset.identical_images() == [["Dataset 1/001.bmp", "Dataset 1/005.bmp"]]
    groups = dataset.effective_groups()
    assert groups[0] == groups[4]
    assert len(set(groups)) == 5


def test_groups_that_share_a_picture_are_merged_through_others(tmp_path):
    # a-b share one picture, b-c another: all three are one group, d stands alone.
    for group, seeds in {"a": [1, 2], "b": [1, 3], "c": [3, 4], "d": [5]}.items():
        for seed in seeds:
            picture(tmp_path / "neutrophil" / group / f"{seed}.png", seed=seed)
    groups = cellda.datasets.load("folder", tmp_path).effective_groups()
    assert len(set(groups)) == 2
    assert groups.count(groups[0]) == 6


def test_files_that_differ_only_outside_the_middle_are_not_identical(tmp_path):
    for name, first in (("a", 0), ("b", 1)):
        pixels = np.zeros((80, 80, 3), np.uint8)
        pixels[0, 0] = first
        (tmp_path / "seg").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "seg" / f"{name}.bmp")
    assert cellda.datasets.load("folder", tmp_path).identical_images() == []


def test_unreadable_files_and_files_gone_since_are_listed_together(tmp_path):
    barcelona(tmp_path)
    dataset = cellda.datasets.load("barcelona", tmp_path)
    first, second = (dataset.root / path for path in dataset.table["path"][:2])
    first.write_bytes(b"")
    second.unlink()
    with pytest.raises(DataError) as caught:
        dataset.read(range(len(dataset)), 8)
    assert len(caught.value.problems) == 2
    with pytest.raises(DataError, match="gone"):
        _ = dataset.fingerprint


def test_a_tables_rows_are_checked_when_a_dataset_is_made():
    class Bad(cellda.datasets.CellDataset):
        name = "bad"

        def _index(self):
            rows = [
                ("a.png", None, "NGS", None, (0, 0, 5, 5)),
                ("a.png", None, "NGS", None, (0, 0, 5, 5)),
                ("b.png", "neutrophil", "NGS", None, None),
                ("c.png", None, "MON", 7, (1, 2, 0, 5)),
                ("d.png", None, "MON", float("nan"), (1, 2, 3)),
            ]
            return pd.DataFrame(rows, columns=list(COLUMNS))

    with pytest.raises(DataError) as caught:
        Bad()
    found = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 5
    for expected in (
        "row 1: repeats",
        "row 2: label is 'neutrophil'; leave it empty",
        "row 3: group is 7",
        "row 3: box",
        "row 4: box",
    ):
        assert expected in found
