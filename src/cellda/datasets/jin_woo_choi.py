"""Jin Woo Choi: bone-marrow cells in ten maturation stages."""

from pathlib import Path

import pandas as pd

from cellda.datasets import register
from cellda.datasets.base import CellDataset, cell_table
from cellda.datasets.reading.layout import class_images, locate, subfolders

STAGES = (
    "proerythroblast",
    "basophilic normoblast",
    "polychromatic normoblast",
    "orthochromatic normoblast",
    "myeloblast",
    "promyelocyte",
    "myelocyte",
    "metamyelocyte",
    "band neutrophil",
    "segmented neutrophil",
)
NUMBERED = {str(number): stage for number, stage in enumerate(STAGES)}
"""The content of the published folders `0` to `9`, in order of maturation."""


@register("jin_woo_choi")
class JinWooChoi(CellDataset):
    """Jin Woo Choi: bone-marrow cells in ten maturation stages, 96x96 and 144x144. Choi et al. 2017.

    Layout: `data_WBC_torch/{0..9}/1.jpg`, or folders named after the stages; `root` may be that folder or
    its parent. No groups are published.
    """

    title = "Jin Woo Choi"
    centre = "Seoul National University Hospital"
    imaging = "not stated (.jpg)"
    magnification = "x1000 (144 × 144 pixels)"
    specimen = "bone marrow smear"
    licence = "not stated by its authors"
    citation = "Choi et al., PLoS ONE 12(12):e0189259 (2017)"
    url = "https://github.com/JinwooChoi9/wbc_plosone"
    published_images = 2174
    few_shot = 20
    published_counts = {"erythroblast": 150, "neutrophil": 100}
    note = "The public copy holds 627 of the 2,174 images of the publication."

    def _locate(self, root: Path) -> Path:
        wanted = [*NUMBERED, *STAGES, *(stage.replace(" ", "_") for stage in STAGES)]
        return locate(root, ["data_WBC_torch"], wanted, f"dataset '{self.name}'")

    def _index(self) -> pd.DataFrame:
        paths, found = class_images(self.folder, subfolders(self.folder))
        return cell_table(paths, [NUMBERED.get(folder, folder) for folder in found])
