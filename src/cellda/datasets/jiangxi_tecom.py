"""Jiangxi Tecom, the second-smallest target of the paper."""

from pathlib import Path
from typing import Literal

import pandas as pd

from cellda.datasets import register
from cellda.datasets.base import CellDataset
from cellda.datasets.reading import zheng

SWAPPED = {**zheng.CODES, "2": zheng.CODES["3"], "3": zheng.CODES["2"]}


@register("jiangxi_tecom")
class JiangxiTecom(CellDataset):
    """Jiangxi Tecom: 300 blood cells, 120x120, rapid stain. Zheng et al. 2018.

    Layout: `Dataset 1/001.bmp` and `Class Labels of Dataset 1.csv` next to that folder. No groups are
    published; `112.bmp` and `139.bmp` are the same image.

    Args:
        root: The folder that holds `Dataset 1`.
        variant: `"published"` reads the label file as its README defines it; `"authors"` swaps lymphocytes and
            monocytes, as the lists of the paper's authors do.
    """

    title = "Jiangxi Tecom"
    centre = "Jiangxi Tecom Science Corporation"
    imaging = "Motic Moticam Pro 252A optical microscope camera (.bmp)"
    magnification = "not stated (120 × 120 pixels)"
    licence = "not stated by its authors; research use, with acknowledgement"
    citation = "Zheng et al., Micron 107:55 (2018); images by Jiangxi Tecom Science Corporation"
    url = "https://github.com/zxaoyou/segmentation_WBC"
    published_images = 300
    few_shot = 25
    same_cells_as = ("jiangxi_tecom",)
    published_counts = {"basophil": 1, "eosinophil": 22, "lymphocyte": 48, "monocyte": 53, "neutrophil": 176}
    note = (
        "The paper counts lymphocytes as monocytes and vice versa; in the published label file they are "
        "53 and 48."
    )

    def __init__(
        self, root: Path | None = None, variant: Literal["published", "authors"] = "published"
    ) -> None:
        self.variant = variant
        super().__init__(root)

    @property
    def full_name(self) -> str:
        """`jiangxi_tecom`, or `jiangxi_tecom/authors` with the swapped labels, so that results can be distinguished."""
        return self.name if self.variant == "published" else f"{self.name}/{self.variant}"

    def _locate(self, root: Path) -> Path:
        return zheng.located(root, 1, f"dataset '{self.name}'")

    def _index(self) -> pd.DataFrame:
        return zheng.labelled_cells(self.folder, 1, SWAPPED if self.variant == "authors" else zheng.CODES)

    def _survey(self, root: Path) -> None:
        zheng.survey_images(self.tally, root, 1, self.table["path"])
