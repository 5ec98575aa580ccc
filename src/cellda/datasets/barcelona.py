"""Barcelona PBC, the sharper of the paper's two sources."""

from pathlib import Path

import pandas as pd

from cellda.datasets import register
from cellda.datasets.base import CellDataset, cell_table
from cellda.datasets.reading.layout import class_images, locate

FOLDERS = (
    "basophil", "eosinophil", "erythroblast", "ig", "lymphocyte", "monocyte", "neutrophil", "platelet",
)  # fmt: skip
STAGES = {
    "BNE": "band neutrophil",
    "SNE": "segmented neutrophil",
    "MMY": "metamyelocyte",
    "MY": "myelocyte",
    "PMY": "promyelocyte",
}
"""Beginnings of file names that say more than the folder: stages of neutrophils, in the folders `neutrophil` and `ig`."""

STAGED = ("neutrophil", "ig")


@register("barcelona")
class Barcelona(CellDataset):
    """Barcelona PBC: 17,092 normal blood cells, 360x363, CellaVision DM96. Acevedo et al. 2020.

    Layout: `PBC_dataset_normal_DIB/{basophil,...,platelet}/XX_123456.jpg`; `root` may be that folder or its
    parent. No groups are published.
    """

    title = "Barcelona"
    centre = "Core Laboratory the Hospital Clinic, Barcelona"
    imaging = "CellaVision DM96 (.jpg)"
    magnification = "0.1 µm per pixel (360 × 363 pixels)"
    specimen = "blood smear"
    patients = "healthy"
    licence = "CC BY 4.0"
    citation = "Acevedo et al., Data in Brief 30:105474 (2020), doi:10.17632/snkd93bnjr.1"
    url = "https://data.mendeley.com/datasets/snkd93bnjr"
    sharp = True  # paper, Fig. 4
    published_images = 17_092
    published_counts = {
        "basophil": 1218,
        "eosinophil": 3117,
        "erythroblast": 1551,
        "lymphocyte": 1214,
        "monocyte": 1420,
        "neutrophil": 3329,
    }
    note = (
        "The folder `neutrophil` has one more file, the hidden `.DS_169665.jpg`, which is not an image and is ignored. "
        "BloodMNIST shows the same cells."
    )

    def _locate(self, root: Path) -> Path:
        return locate(root, ["PBC_dataset_normal_DIB"], FOLDERS, f"dataset '{self.name}'")

    def _index(self) -> pd.DataFrame:
        paths, found = class_images(self.folder, FOLDERS)
        codes = (path.rpartition("/")[2].partition("_")[0] for path in paths)
        names = zip(found, codes, strict=True)
        return cell_table(paths, [STAGES.get(code, name) if name in STAGED else name for name, code in names])
