"""LISC: fields with one cell each, located by the experts' masks."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from cellda.datasets import register
from cellda.datasets.base import Box, CellDataset, cell_table
from cellda.datasets.reading.decode import decode, frame_size
from cellda.datasets.reading.layout import class_images, locate, named
from cellda.datasets.reading.window import window
from cellda.errors import DataError
from cellda.text import agreeing, counted

FOLDERS = ("Baso", "eosi", "lymp", "mixt", "mono", "neut")
FIELDS = "Main Dataset"
MASKS = "Ground Truth Segmentation"


@register("lisc")
class Lisc(CellDataset):
    """LISC: 242 blood cells of healthy people in fields of 720x576, with masks. Rezatofighi et al. 2011.

    Layout: `LISC Database/Main Dataset/{Baso,eosi,lymp,mixt,mono,neut}/1.bmp` and, next to it, `Ground Truth
    Segmentation/{Baso,...}/areaforexpert1/1_expert.bmp`; `root` may be that folder or its parent. Cells are
    cropped to 250x250 around the middle of the first expert's mask (of its largest region; black means no cell),
    inside the field. Fields of several cell types (`mixt`) are left out. The group is the field.

    Raises:
        DataError: If masks are missing, empty, unreadable or differ from their field in size; the message lists all.
    """

    also_read = (f"{MASKS}/*/areaforexpert1/*",)
    title = "LISC"
    centre = "Hematology-Oncology and BMT Research Center of Imam Khomeini hospital in Tehran"
    imaging = "Light microscope (Axioskope 40) and digital camera (Sony SSCDC50AP) (.png)"
    magnification = "x100 (250 × 250 pixels)"
    specimen = "blood smear"
    patients = "healthy"
    licence = "research use; no redistribution"
    citation = "Rezatofighi and Soltanian-Zadeh, Comput Med Imaging Graph 35:333 (2011)"
    url = "the first author's page"
    published_images = 257
    few_shot = 20
    published_counts = {"basophil": 53, "eosinophil": 39, "lymphocyte": 52, "monocyte": 48, "neutrophil": 50}
    note = (
        "Fields of several cell types (mixt) are left out here and in Table 2's 242; Table 1 has 257. Baso/2.bmp and "
        "Baso/50.bmp are the same image."
    )

    def _locate(self, root: Path) -> Path:
        return locate(root, ["LISC Database"], [FIELDS], f"dataset '{self.name}'")

    def _index(self) -> pd.DataFrame:
        paths, found = class_images(self.folder, [f"{FIELDS}/{name}" for name in FOLDERS])
        raw_labels = [folder.partition("/")[2] for folder in found]
        boxes: list[Box | None] = []
        problems = []
        for path, raw_label in zip(paths, raw_labels, strict=True):
            try:
                boxes.append(None if raw_label == "mixt" else self._window(path, raw_label))
            except DataError as error:
                problems.append(error.summary)
        if problems:
            raise DataError(
                f"{counted(len(problems), 'field(s)')} in {self.folder} {agreeing(len(problems), '(has|have)')} no usable "
                "mask, so their cells cannot be located.",
                problems,
            )
        return cell_table(paths, raw_labels, paths, boxes)

    def _window(self, path: str, raw_label: str) -> Box:
        """The window around the cell of a field."""
        masks = named(self.folder, f"{MASKS}/{raw_label}/areaforexpert1")
        file = masks / f"{Path(path).stem}_expert.bmp"
        cell = decode(file).numpy().any(axis=0)
        frame = frame_size(self.folder / path)
        if cell.shape[::-1] != frame:
            raise DataError(
                f"The mask {file} is {cell.shape[1]} x {cell.shape[0]}, its field {path} {frame}."
            )
        regions, count = ndimage.label(cell)
        if not count:
            raise DataError(f"The mask {file} is black: it marks no cell.")
        largest = 1 + int(np.argmax(np.bincount(regions.ravel())[1:]))
        rows, columns = ndimage.find_objects(regions)[largest - 1]
        return window(((columns.start + columns.stop) / 2, (rows.start + rows.stop) / 2), frame)
