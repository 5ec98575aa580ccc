"""Munich 2021, the paper's largest target: bone marrow."""

from pathlib import Path

import pandas as pd

from cellda.datasets import register
from cellda.datasets.base import CellDataset, cell_table
from cellda.datasets.reading.layout import class_images, images, locate, named, subfolders

FOLDERS = (
    "ABE", "ART", "BAS", "BLA", "EBO", "EOS", "FGC", "HAC", "KSC", "LYI", "LYT", "MMZ", "MON", "MYB", "NGB", "NGS",
    "NIF", "OTH", "PEB", "PLM", "PMO",
)  # fmt: skip


@register("munich_2021")
class Munich2021(CellDataset):
    """Munich 2021: 171,373 bone-marrow cells in 21 classes, 250x250. Matek et al. 2021.

    Layout: `BM_cytomorphology_data/{ABE,ART,...,PMO}/0001-1000/BAS_00001.jpg`, folders of 1,000 images;
    `root` may be that folder or its parent. Images in the class folder itself are read as well. No groups
    are published.
    """

    title = "Munich 2021"
    centre = "Helmholtz Zentrum München-German Research Center for Environmental Health"
    imaging = "CCD camera on a brightfield microscope (Zeiss Axio Imager Z2) (.jpg)"
    magnification = "x40 (250 × 250 pixels)"
    specimen = "bone marrow smear"
    patients = "pathological"
    licence = "CC BY 4.0"
    citation = "Matek et al., Blood 138:1917 (2021), doi:10.7937/TCIA.AXH3-T579"
    url = "https://doi.org/10.7937/TCIA.AXH3-T579"
    published_images = 171_373
    few_shot = 100
    published_counts = {
        "basophil": 441,
        "eosinophil": 5891,
        "erythroblast": 27395,
        "lymphocyte": 26307,
        "monocyte": 4040,
        "neutrophil": 39392,
    }
    note = (
        "Abnormal eosinophils (ABE) and immature lymphocytes (LYI) are included, as by the paper's authors."
    )

    def _locate(self, root: Path) -> Path:
        return locate(root, ["BM_cytomorphology_data"], FOLDERS, f"dataset '{self.name}'")

    def _index(self) -> pd.DataFrame:
        folders: list[str] = []
        for code in FOLDERS:
            place = named(self.folder, code)
            thousands = subfolders(place) if place.is_dir() else []
            folders += [f"{code}/{part}" for part in thousands]
            if not thousands or images(place):
                folders.append(code)
        paths, found = class_images(self.folder, folders)
        return cell_table(paths, [folder.partition("/")[0] for folder in found])
