"""The loaders on the real images."""

import pytest

from cellda.datasets import load
from tiny import CLASSES

pytestmark = pytest.mark.real

COUNTS = {
    "barcelona": dict.fromkeys(CLASSES, 360),
    "munich_2019": {**dict.fromkeys(CLASSES, 3), "neutrophil": 6},
    "raabin": {"basophil": 212, "eosinophil": 200, "lymphocyte": 200, "monocyte": 200, "neutrophil": 200},
    "jin_woo_choi": {"erythroblast": 150, "neutrophil": 100},
    "jiangxi_tecom": {"basophil": 1, "eosinophil": 22, "lymphocyte": 53, "monocyte": 48, "neutrophil": 176},
    "bccd": {"eosinophil": 375, "lymphocyte": 375, "monocyte": 375, "neutrophil": 375},
}
GROUPS = {
    "barcelona": 2160,
    "munich_2019": 21,
    "raabin": 55,
    "jin_woo_choi": 250,
    "jiangxi_tecom": 299,
    "bccd": 308,
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_groups_and_pixels(name, data_root):
    dataset = load(name, data_root / name)
    assert dataset.class_counts() == COUNTS[name]
    assert len(set(dataset.effective_groups())) == GROUPS[name]
    pixels = dataset.read(range(0, len(dataset), max(1, len(dataset) // 12)), 64).float()
    assert pixels.shape[1:] == (3, 64, 64)
    # Smears are bright and coloured; an alpha channel or 16 bits gone wrong would be black, white or grey.
    assert 60 < pixels.mean() < 240
    assert pixels.std(dim=1).mean() > 5


def test_the_hidden_file_of_barcelona_is_no_image(data_root):
    dataset = load("barcelona", data_root / "barcelona")
    assert (dataset.root / "neutrophil" / ".DS_169665.jpg").exists()
    assert not dataset.table["path"].str.contains("/.", regex=False).any()


def test_the_twins_of_jiangxi_tecom_are_one_group(data_root):
    dataset = load("jiangxi_tecom", data_root / "jiangxi_tecom")
    assert dataset.identical_images() == [["Dataset 1/112.bmp", "Dataset 1/139.bmp"]]
    group = dict(zip(dataset.table["path"], dataset.effective_groups(), strict=True))
    assert group["Dataset 1/112.bmp"] == group["Dataset 1/139.bmp"]
    authors = load("jiangxi_tecom/authors", data_root / "jiangxi_tecom")
    assert authors.class_counts() == type(authors).published_counts
