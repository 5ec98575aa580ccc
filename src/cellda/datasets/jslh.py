"""JSLH: the smallest target, screenshots from the site of the Japanese Society for Laboratory Hematology."""

from pathlib import Path

import pandas as pd

from cellda.datasets import register
from cellda.datasets.base import CellDataset, cell_table
from cellda.datasets.reading.layout import class_images, locate, subfolders

STAGES = {
    "NGB": "band neutrophil",
    "NGS": "segmented neutrophil",
    "ERB": "basophilic erythroblast",
    "ERP": "polychromatic erythroblast",
    "ERO": "orthochromatic erythroblast",
    "PEB": "proerythroblast",
    "MYO": "myeloblast",
    "PMO": "promyelocyte",
    "MMZ": "metamyelocyte",
}
"""The classes of the paper's Table 1."""


@register("jslh")
class Jslh(CellDataset):
    """JSLH: 148 cells in nine maturation stages, about 85x74, screenshots. Tohyama 2018.

    Layout: one folder per stage, named in words (`segmented neutrophil`, also with `_`) or by the abbreviations
    of the paper's glossary (`NGS`), with its images in it. There is no download: users save the images
    from the society's pages by hand. No groups are published.
    """

    title = "JSLH"
    centre = "Japan Society of Diagnostics Hematology"
    imaging = "not stated (.png)"
    magnification = "not stated (85 × 74 pixels)"
    licence = "not stated by its authors"
    citation = "Tohyama, Int J Lab Hematol 40:120 (2018)"
    url = "https://jslh-cs.com"
    published_images = 148
    few_shot = 0
    published_counts = {"erythroblast": 56, "neutrophil": 24}
    note = (
        "The paper counts 148 images (Table 1), 80 of them in the two classes kept (Table 2), and tests on 72 without "
        "drawing any (Table 3); it does not account for the other 8. The other stages are left out."
    )

    def _locate(self, root: Path) -> Path:
        words = [*STAGES.values(), *(stage.replace(" ", "_") for stage in STAGES.values())]
        return locate(root, ["JSLH", "jslh"], [*words, *STAGES], f"dataset '{self.name}'")

    def _index(self) -> pd.DataFrame:
        return cell_table(*class_images(self.folder, subfolders(self.folder)))
