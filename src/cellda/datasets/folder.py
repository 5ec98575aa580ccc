"""The user's own images, one folder per class."""

from pathlib import Path

import pandas as pd

from cellda.datasets import register
from cellda.datasets.base import CellDataset, cell_table
from cellda.datasets.reading.decode import Bits
from cellda.datasets.reading.layout import images_below, subfolders
from cellda.errors import DataError
from cellda.taxonomy import fold, unknown_names


@register("folder")
class Folder(CellDataset):
    """Your own images: one folder per class, with sub-folders for patients or smears if you know them.

    Layout: `<class>/<image>` or `<class>/<group>/.../<image>`. Class folders may have any of the usual names:
    `Neutrophils`, `seg`, `NGB`, ... (see `cellda.taxonomy.fold`); put cells to leave out into `other`. The name
    of a sub-folder is the group of its images, the same in every class, so that cells of one patient are never
    split; images outside sub-folders have no group. Hidden files and files without the suffix of an image are
    ignored (`cellda datasets check` lists them).

    Args:
        root: The folder that holds the class folders.
        bits: Significant bits that the camera records (10, 12 or 14), if images of 16 bits do not state them; images of 8 bits
            are not touched.

    Raises:
        DataError: If class folders have unknown names or hold no image; the message lists them all.
    """

    title = "own folder"

    def __init__(self, root: Path | None = None, bits: Bits | None = None) -> None:
        self.bits = bits
        super().__init__(root)

    @property
    def full_name(self) -> str:
        """`folder/<name on disk>`, to distinguish the sets of several laboratories."""
        return f"{self.name}/{self.root.resolve().name}" if self.root else self.name

    def _locate(self, root: Path) -> Path:
        if not root.is_dir():
            what = (
                "is a file: give the folder that holds the class folders"
                if root.exists()
                else "does not exist"
            )
            raise DataError(f"The folder {root} {what}.")
        return root

    def _index(self) -> pd.DataFrame:
        names = subfolders(self.folder)
        if not names:
            raise DataError(
                f"{self.folder} holds no folders; put the images of each class into a folder named after it."
            )
        unknown = unknown_names(names)
        problems = list(unknown.values())
        paths: list[str] = []
        raw_labels: list[str] = []
        groups: list[str | None] = []
        for name in names:
            images = images_below(self.folder / name)
            if not images and name not in unknown and fold(name) is not None:
                problems.append(f"'{name}' holds no image: add some or remove the folder")
            paths += [f"{name}/{image}" for image in images]
            raw_labels += [name] * len(images)
            groups += [image.partition("/")[0] if "/" in image else None for image in images]
        if problems:
            raise DataError(
                f"{len(problems)} of the {len(names)} class folders in {self.folder} cannot be used.",
                problems,
            )
        return cell_table(paths, raw_labels, groups)
