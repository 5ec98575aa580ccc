"""Munich 2019, the second of the paper's two sources."""

from pathlib import Path

import pandas as pd

from cellda.datasets import register
from cellda.datasets.base import CellDataset, cell_table
from cellda.datasets.reading.layout import class_images, locate

FOLDERS = (
    "BAS", "EBO", "EOS", "KSC", "LYA", "LYT", "MMZ", "MOB", "MON", "MYB", "MYO", "NGB", "NGS", "PMB", "PMO",
)  # fmt: skip


@register("munich_2019")
class Munich2019(CellDataset):
    """Munich 2019: 18,365 blood cells of leukaemia patients and controls, 400x400. Matek et al. 2019.

    Layout: `AML-Cytomorphology_LMU/{BAS,EBO,...,PMO}/BAS_0001.tiff`; `root` may be that folder or its
    parent. No groups are published.
    """

    title = "Munich 2019"
    centre = "Helmholtz Zentrum München-German Research Center for Environmental Health"
    imaging = "M8 digital microscope Scanner (Precipoint GmbH, Freising) (.tiff)"
    magnification = "x100 (400 × 400 pixels)"
    specimen = "blood smear"
    patients = "pathological"
    licence = "CC BY 3.0"
    citation = "Matek et al., Nature Machine Intelligence 1:538 (2019), doi:10.7937/tcia.2019.36f5o9ld"
    url = "https://doi.org/10.7937/tcia.2019.36f5o9ld"
    published_images = 18_365
    published_counts = {
        "basophil": 79,
        "eosinophil": 424,
        "erythroblast": 78,
        "lymphocyte": 3948,
        "monocyte": 1789,
        "neutrophil": 8593,
    }
    note = "The paper's text also calls it Munich 2018. Atypical lymphocytes (LYA) are left out."

    def _locate(self, root: Path) -> Path:
        return locate(root, ["AML-Cytomorphology_LMU"], FOLDERS, f"dataset '{self.name}'")

    def _index(self) -> pd.DataFrame:
        return cell_table(*class_images(self.folder, FOLDERS))
