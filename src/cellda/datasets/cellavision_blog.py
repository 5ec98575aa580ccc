"""Images from the CellaVision blog, which the paper's authors collected and then excluded."""

from pathlib import Path

import pandas as pd

from cellda.datasets import register
from cellda.datasets.base import CellDataset
from cellda.datasets.reading import zheng


@register("cellavision_blog")
class CellavisionBlog(CellDataset):
    """CellaVision blog: 100 blood cells, 300x300, mixed laboratories. Zheng et al. 2018.

    Layout: `Dataset 2/001.bmp` and `Class Labels of Dataset 2.csv` next to that folder. No groups are
    published. The paper excludes this dataset.
    """

    title = "CellaVision blog"
    imaging = "CellaVision (.bmp)"
    magnification = "not stated (300 × 300 pixels)"
    licence = "not stated by its authors; research use, with acknowledgement"
    citation = "Zheng et al., Micron 107:55 (2018); images from the CellaVision blog"
    url = "https://github.com/zxaoyou/segmentation_WBC"
    note = "The paper's Table A.1 counts 100; its authors excluded them as very few, with several annotation mistakes."

    def _locate(self, root: Path) -> Path:
        return zheng.located(root, 2, f"dataset '{self.name}'")

    def _index(self) -> pd.DataFrame:
        return zheng.labelled_cells(self.folder, 2)

    def _survey(self, root: Path) -> None:
        zheng.survey_images(self.tally, root, 2, self.table["path"])
