"""BCCD in the augmented form published on Kaggle."""

import re
from pathlib import Path

import pandas as pd

from cellda.datasets import register
from cellda.datasets.base import CellDataset, cell_table
from cellda.datasets.reading.layout import class_images, locate
from cellda.errors import DataError

CLASS_FOLDERS = ("EOSINOPHIL", "LYMPHOCYTE", "MONOCYTE", "NEUTROPHIL")
_NAME = re.compile(r"_(\d+)_\d+\.")


@register("bccd")
class Bccd(CellDataset):
    """BCCD: about 12,500 augmented copies of 348 photographs of blood cells, 320x240. Shenggan, Mooney.

    Layout: `dataset2-master/images/{TRAIN,TEST}/{EOSINOPHIL,...}/_0_1169.jpeg`; `root` may be any folder
    from the parent of `dataset2-master` down to `images`. The group is the photograph: split, class folder
    and first number, because each class folder of each split numbers its photographs from the start.

    Args:
        root: The dataset's folder.
        test_simple: Also include `TEST_SIMPLE`, the 71 photographs of which `TEST` holds augmented copies; they
            are in the same groups as their copies.
    """

    title = "BCCD"
    centre = "Roboflow"
    magnification = "not stated (320 × 240 pixels)"
    imaging = "not stated (.jpeg)"
    specimen = "blood smear"
    licence = "MIT"
    citation = "Shenggan, BCCD_Dataset (2017); Mooney, Kaggle paultimothymooney/blood-cells (2018)"
    url = "https://www.kaggle.com/datasets/paultimothymooney/blood-cells"
    published_images = 3500
    few_shot = 100
    published_counts = {"eosinophil": 3133, "lymphocyte": 3108, "monocyte": 3095, "neutrophil": 3171}
    note = (
        "The paper counts 3,500 images (Table 1), 12,507 (Table 2) and 8,611 (Table 3) without saying why. The published "
        "12,500 or so are augmented copies of 348 photographs: image-level draws put copies of one photograph on both sides."
    )

    def __init__(self, root: Path | None = None, test_simple: bool = False) -> None:
        self.test_simple = test_simple
        super().__init__(root)

    def _locate(self, root: Path) -> Path:
        wrappers = ["images", "dataset2-master/images", "dataset2-master/dataset2-master/images"]
        return locate(root, wrappers, ["TRAIN", "TEST"], f"dataset '{self.name}'")

    def _index(self) -> pd.DataFrame:
        if self.test_simple and not (self.folder / "TEST_SIMPLE").is_dir():
            raise DataError(
                f"{self.folder} has no folder TEST_SIMPLE; leave out test_simple or complete the download."
            )
        splits = ("TRAIN", "TEST", "TEST_SIMPLE") if self.test_simple else ("TRAIN", "TEST")
        paths, found = class_images(self.folder, [f"{s}/{c}" for s in splits for c in CLASS_FOLDERS])
        groups: list[str] = []
        problems = []
        for path, folder in zip(paths, found, strict=True):
            match = _NAME.match(path.rpartition("/")[2])
            if match is None:
                problems.append(path)
            else:
                groups.append(f"{folder.replace('TEST_SIMPLE', 'TEST')}/{match[1]}")
        if problems:
            raise DataError(
                f"Images in {self.folder} are not named `_<photograph>_<number>.jpeg` as in dataset 'bccd', "
                "so that copies of one photograph cannot be kept together; remove them.",
                problems,
            )
        return cell_table(paths, [folder.partition("/")[2] for folder in found], groups)
