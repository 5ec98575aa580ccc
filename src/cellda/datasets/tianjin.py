"""Tianjin: smear fields with boxes around their cells."""

from collections import Counter
from pathlib import Path

import pandas as pd

from cellda.datasets import register
from cellda.datasets.base import CellDataset, cell_table
from cellda.datasets.reading.fields import marked_cells
from cellda.datasets.reading.layout import class_images, existing_folder, not_published, subfolders
from cellda.datasets.reading.window import window

FOLDERS = ("basophil", "eosinophil", "erythroblast", "lymphocyte", "monocyte", "neutrophil")
"""Of cells that are cropped already."""


@register("tianjin")
class Tianjin(CellDataset):
    """Tianjin: 8,595 blood cells in 6,273 smear fields, on request from the authors. Li et al. 2023.

    Layout: fields with their annotations, Pascal VOC (`1.png`, `1.xml`) or YOLO (`1.png`, `1.txt`, and the class
    names in `classes.txt` or `obj.names`), anywhere below the root, in one folder or in `JPEGImages` and
    `Annotations` or `images` and `labels`; or already cropped cells, in one folder per class
    (`basophil/1.png`). Cells are cropped to 250x250 around the middle of their box, inside the field; cells near an
    edge whose windows coincide are cropped to their boxes instead, so that they stay distinct. The group is the field;
    cropped cells have none.

    Raises:
        DataError: If annotations cannot be used; the message lists them all.
    """

    also_read = ("*.xml", "*.txt", "*.names")
    title = "Tianjin"
    centre = "Tianjin Medical University Affiliated Medical Center"
    imaging = "Nikon DS-Ri2 Color Camera (.png)"
    magnification = "x100 (250 × 250 pixels)"
    specimen = "blood smear"
    licence = "on request from its authors"
    citation = "Li et al., Scientific Reports 13:2160 (2023)"
    url = "https://doi.org/10.1038/s41598-023-29331-3"
    published_images = 8564
    few_shot = 100
    published_counts = {
        "basophil": 302,
        "eosinophil": 1098,
        "lymphocyte": 1863,
        "monocyte": 1201,
        "neutrophil": 4100,
    }
    note = (
        "The paper counts 8,564 cells (Tables 1 and 2), 2,471 (Table 3) and 6,228 (Table A.1) without saying why; "
        "8,595 cells in 6,273 fields are published."
    )

    def _locate(self, root: Path) -> Path:
        return existing_folder(root, f"dataset '{self.name}'")

    def _index(self) -> pd.DataFrame:
        classes = [name for name in subfolders(self.folder) if name.lower() in FOLDERS]
        cells = marked_cells(self.folder)
        if not cells and not classes:
            wanted = [
                "images with .xml (Pascal VOC) or .txt (YOLO) files next to them",
                f"folders {', '.join(FOLDERS)}",
            ]
            raise not_published(self.folder, f"dataset '{self.name}'", wanted, [self.folder])
        if not cells:
            return cell_table(*class_images(self.folder, classes))
        windows = [(cell.field, window(cell.centre, cell.frame)) for cell in cells]
        held = Counter(windows)
        fields = [cell.field for cell in cells]
        boxes = [
            place[1] if held[place] == 1 else cell.box for place, cell in zip(windows, cells, strict=True)
        ]
        return cell_table(fields, [cell.label for cell in cells], fields, boxes)
