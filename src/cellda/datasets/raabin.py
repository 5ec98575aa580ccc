"""Raabin-WBC, photographed with phone cameras."""

from pathlib import Path, PurePosixPath

import pandas as pd

from cellda.datasets import register
from cellda.datasets.base import CellDataset, cell_table
from cellda.datasets.reading.layout import class_images, locate

SPLITS = ("Train", "TestA", "TestB")
CLASS_FOLDERS = ("Basophil", "Eosinophil", "Lymphocyte", "Monocyte", "Neutrophil")


@register("raabin")
class Raabin(CellDataset):
    """Raabin-WBC: 16,633 double-labelled blood cells, 575x575, phone cameras. Kouzehkanan et al. 2022.

    Layout: `{Train,TestA,TestB}/{Basophil,...}/95-8-12-5_82_1.jpg`; splits that were not downloaded may be
    missing. The group is the part of the name before the first `_`: the smear, or the day (`20190526`) if files
    are named by time.
    """

    title = "Raabin"
    centre = "Razi Hospital in Rasht; Gholhak, Shahr-e-Qods and Takht-e Tavous Laboratories in Tehran"
    imaging = "Smartphones on the ocular lenses of microscopes (Olympus CX18 and Zeiss) (.jpg)"
    magnification = "x100 (575 × 575 pixels)"
    specimen = "blood smear"
    patients = "healthy and pathological"
    licence = "free for research, with citation"
    citation = "Kouzehkanan et al., Scientific Reports 12:1123 (2022)"
    url = "https://raabindata.com"
    published_images = 4514
    few_shot = 100
    published_counts = {
        "basophil": 301,
        "eosinophil": 1066,
        "lymphocyte": 3609,
        "monocyte": 795,
        "neutrophil": 10862,
    }
    note = (
        "The paper's tables call it Rabin. Its 16,633 cells (Tables 2, 3 and A.1) are all three splits together; it does "
        "not explain the 4,514 of Table 1. All basophils come from 4 smears that hold no other class."
    )

    def _locate(self, root: Path) -> Path:
        return locate(root, [], SPLITS, f"dataset '{self.name}'")

    def _index(self) -> pd.DataFrame:
        folders = [f"{split}/{name}" for split in SPLITS for name in CLASS_FOLDERS]
        paths, found = class_images(self.folder, folders)
        groups = [PurePosixPath(path).name.partition("_")[0] for path in paths]
        return cell_table(paths, [folder.partition("/")[2] for folder in found], groups)
