"""The user's own images, one folder per class."""

from collections.abc import Sequence
from itertools import chain, compress
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from cellda.datasets import register
from cellda.datasets.base import CellDataset, cell_table
from cellda.datasets.reading.account import Tally
from cellda.datasets.reading.decode import Bits
from cellda.datasets.reading.layout import images_below, subfolders, why_not_folder
from cellda.datasets.reading.names import is_mask_folder, is_split
from cellda.datasets.reading.survey import survey
from cellda.errors import DataError
from cellda.taxonomy import fold, names_a_class, unknown_names


class ClassFolder(NamedTuple):
    """A folder that holds the cells of one class, or of one patient's cells of one class."""

    path: str
    label: str
    patient: str | None


@register("folder")
class Folder(CellDataset):
    """Your own images: one folder per class, with sub-folders for patients or smears if you know them.

    Layout: `<class>/<image>`, `<class>/<group>/.../<image>`, or `<patient>/<class>/.../<image>`. Class folders may have any of
    the usual names: `Neutrophils`, `seg`, `NGB`, ... (see `cellda.taxonomy.fold`); put cells to leave out into `other`. The
    name of a sub-folder, or of a patient's folder above the classes, is the group of its images, the same in every class, so
    that cells of one patient are never split; other images have no group. Parts such as `train` and `test` in a class folder
    are not groups: their cells are used together. What is not an image, or lies in a folder of masks, is left out, and
    `account` says so.

    Args:
        root: The folder that holds the class folders.
        bits: Significant bits that the camera records (10, 12 or 14), if images of 16 bits do not state them; images of 8 bits
            are not touched.

    Raises:
        DataError: If class folders have unknown names or hold no image (the message lists them all), or classes lie further
            down, as in `train` and `test`.
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
            raise DataError(f"The folder {root} {why_not_folder(root)}.")
        return root

    def _index(self) -> pd.DataFrame:
        folders = self._class_folders()
        unknown = unknown_names(folder.label for folder in folders)
        problems = list(unknown.values())
        paths: list[str] = []
        raw_labels: list[str] = []
        groups: list[str | None] = []
        parts: dict[str, None] = {}
        for path, label, patient in folders:
            images = images_below(self.folder / path)
            inside = [image.rpartition("/")[0] for image in images]
            levels = {one: one.split("/") if one else [] for one in set(inside)}  # few folders, many images
            masks = {one for one, names in levels.items() if any(map(is_mask_folder, names))}
            if masks:
                cells = [one not in masks for one in inside]
                images, inside = list(compress(images, cells)), list(compress(inside, cells))
            if not images and patient is None and label not in unknown and fold(label) is not None:
                problems.append(f"'{path}' holds no image: add some or remove the folder{self._held(path)}")
            parts.update(
                dict.fromkeys(
                    filter(is_split, chain.from_iterable(levels[one] for one in dict.fromkeys(inside)))
                )
            )
            group = {
                one: patient or next((name for name in names if not is_split(name)), None)
                for one, names in levels.items()
            }
            paths += [f"{path}/{image}" for image in images]
            raw_labels += [label] * len(images)
            groups += [group[one] for one in inside]
        if problems:
            summary = f"{len(problems)} of the {len(folders)} class folders in {self.folder} cannot be used"
            hint = self._further_down([folder.path for folder in folders if folder.label in unknown])
            raise DataError(f"{summary}; {hint}." if hint else f"{summary}.", problems)
        if parts:
            named = f"{', '.join(list(parts)[:3])}{', ...' if len(parts) > 3 else ''}"
            self.tally.note(
                "folders that divide a dataset for training and testing are not taken for groups, and the cells in all of "
                f"them are used ({named})"
            )
        return cell_table(paths, raw_labels, groups)

    def _held(self, path: str) -> str:
        """What a folder without images holds."""
        tally = Tally()
        survey(tally, self.folder, [path], ())
        return "".join(f"; {line.strip()}" for line in tally.close(path, 0).details())

    def _class_folders(self) -> list[ClassFolder]:
        """The folders of the classes: those in the root, or those of its patients.

        Raises:
            DataError: If there are none, or the folders above the classes are not those of patients.
        """
        names = subfolders(self.folder)
        if not names:
            raise DataError(
                f"{self.folder} holds no folders; put the images of each class into a folder named after it."
            )
        if names != self._above_classes(names):
            return [ClassFolder(name, name, None) for name in names]
        if len(names) == 1 or any(map(is_split, names)):
            raise DataError(f"{self.folder} holds no class folders; {self._down('one level', names)}.")
        self.tally.note(
            f"groups: the {len(names)} folders above the classes are taken for patients ({', '.join(names[:3])}, ...)"
        )
        return [
            ClassFolder(f"{name}/{below}", below, name)
            for name in names
            for below in subfolders(self.folder / name)
        ]

    def _above_classes(self, names: Sequence[str]) -> list[str]:
        """Those of the folders that are not classes, and hold folders of classes."""
        unknown = unknown_names(names)
        return [
            name
            for name in names
            if name in unknown and any(map(names_a_class, subfolders(self.folder / name)))
        ]

    def _further_down(self, names: Sequence[str]) -> str:
        """Where the classes lie if they lie further down; "" if not."""
        above = self._above_classes(names)
        if above:
            return self._down("one level", above)
        found = []
        for name in names:
            holding = self._above_classes([f"{name}/{below}" for below in subfolders(self.folder / name)])
            # Several are the folders of patients, which can be read from the folder above them.
            found += [name] if len(holding) > 1 else holding
        return self._down("two levels", found) if found else ""

    def _down(self, levels: str, folders: Sequence[str]) -> str:
        """Where the classes lie, and how to name that folder."""
        places = " or ".join(f"folder={self.folder / name}" for name in folders[:3])
        return f"the classes lie {levels} down: write {places}"
