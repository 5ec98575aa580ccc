"""The user's own images, one folder per class."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from cellda.datasets import register
from cellda.datasets.base import CellDataset, cell_table
from cellda.datasets.reading.account import Tally
from cellda.datasets.reading.class_folders import above_classes, further_down, is_astray, without_group
from cellda.datasets.reading.decode import Bits
from cellda.datasets.reading.layout import images_below, subfolders, why_not_folder
from cellda.datasets.reading.names import companions, copies, is_mask_folder, is_split
from cellda.datasets.reading.naming import Naming
from cellda.datasets.reading.survey import survey
from cellda.errors import DataError
from cellda.text import agreeing, counted


class ClassFolder(NamedTuple):
    """A folder that holds the cells of one class, or of one patient's cells of one class."""

    path: str
    label: str
    patient: str | None


def _among_masks(image: str) -> bool:
    """Whether a path leads through a folder of masks."""
    return "/" in image and any(map(is_mask_folder, image.split("/")[:-1]))


def _derived(images: Sequence[str], find: Callable[[Collection[str]], list[str]]) -> set[str]:
    """Those of the images that `find` picks by name among all in their folder."""
    names: dict[str, list[str]] = defaultdict(list)
    for image in images:
        folder, slash, name = image.rpartition("/")
        names[folder + slash].append(name)
    return {f"{folder}{name}" for folder, inside in names.items() for name in find(inside)}


def _astray(path: str, name: str, label: str, naming: Naming) -> str:
    return (
        f"'{path}' holds a folder '{name}' of other cells ({naming.fold(name) or 'left out'}, not {naming.fold(label)}): "
        f"move it next to '{path}', or rename it if it is of a patient or smear"
    )


def _some(names: Sequence[str]) -> str:
    return f"{', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"


@register("folder")
class Folder(CellDataset):
    """Your own images: one folder per class, with sub-folders for patients or smears if you know them.

    Layout: `<class>/<image>`, `<class>/<group>/.../<image>`, or `<patient>/<class>/.../<image>`. Class folders may have any of
    the usual names: `Neutrophils`, `seg`, `NGB`, ... (see `cellda.taxonomies`); put cells to leave out into `other`. The
    name of a sub-folder, or of a patient's folder above the classes, is the group of its images, the same in every class, so
    that cells of one patient are never split; other images have no group. Parts such as `train` and `test` in a class folder
    are not groups: their cells are used together. What is not an image, or lies in a folder of masks, is left out, and
    `account` says so.

    Args:
        root: The folder that holds the class folders.
        bits: Significant bits that the camera records (10, 12 or 14), if images of 16 bits do not state them; images of 8 bits
            are not touched.
        map: A file that says what names of folders mean that no taxonomy knows (`own name: class`; `cellda datasets check`
            drafts it).

    Raises:
        DataError: If class folders have unknown names or hold no image (the message lists them all), or classes lie further
            down, as in `train` and `test`.
    """

    title = "own folder"

    def __init__(self, root: Path | None = None, bits: Bits | None = None, map: Path | None = None) -> None:
        self.bits = bits
        self.map = map
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
        unknown = self.naming.unknown(folder.label for folder in folders)
        problems = list(unknown.values())
        paths: list[str] = []
        raw_labels: list[str] = []
        groups: list[str | None] = []
        ungrouped: dict[str, None] = {}
        self._companions: list[str] = []
        for path, label, patient in folders:
            images = self._cells(path)
            inside = [image.rpartition("/")[0] for image in images]
            levels = {
                one: one.split("/") if one else [] for one in dict.fromkeys(inside)
            }  # few folders, many images
            if label not in unknown:
                if not images and patient is None and self.naming.names_a_class(label):
                    problems.append(
                        f"'{path}' holds no image: add some or remove the folder{self._held(path)}"
                    )
                below = dict.fromkeys(chain.from_iterable(levels.values()))
                problems += [
                    _astray(path, name, label, self.naming)
                    for name in below
                    if is_astray(name, label, self.naming)
                ]
                ungrouped |= {name: None for name in below if without_group(name, label, self.naming)}
            group = {
                one: patient or next((name for name in names if name not in ungrouped), None)
                for one, names in levels.items()
            }
            paths += [f"{path}/{image}" for image in images]
            raw_labels += [label] * len(images)
            groups += [group[one] for one in inside]
        if problems:
            raise self._refusal(folders, unknown, problems)
        self._note(paths, ungrouped)
        return cell_table(paths, raw_labels, groups)

    def _cells(self, path: str) -> list[str]:
        """The images in and below a class folder that are cells; masks and thumbnails next to them are kept apart."""
        images = [image for image in images_below(self.folder / path) if not _among_masks(image)]
        beside = _derived(images, companions)
        self._companions += [f"{path}/{image}" for image in images if image in beside]
        return [image for image in images if image not in beside]

    def _refusal(
        self, folders: Sequence[ClassFolder], unknown: Mapping[str, str], problems: Sequence[str]
    ) -> DataError:
        """The error that class folders cannot be used; folders above the classes are answered with what to write."""
        hint = further_down(
            self.folder, [folder.path for folder in folders if folder.label in unknown], self.naming
        )
        if hint and all(folder.label in unknown for folder in folders):
            return DataError(f"{self.folder} holds no class folders; {hint}.")
        of = counted(len(folders), "class folder(s)")
        summary = f"{counted(len(problems), 'problem(s)')} with the {of} in {self.folder}"
        return DataError(f"{summary}; {hint}." if hint else f"{summary}.", problems, unknown)

    def _note(self, paths: Sequence[str], ungrouped: Collection[str]) -> None:
        """Enter what was assumed of names, and the masks and thumbnails."""
        self.tally.leave("mask(s), drawing(s) or thumbnail(s) next to their images", "", self._companions)
        parts = [name for name in ungrouped if is_split(name)]
        if parts:
            self.tally.note(
                "folders that divide a dataset for training and testing are not taken for groups, and the cells in all of "
                f"them are used ({_some(parts)})"
            )
        others = [name for name in ungrouped if name not in parts]
        if others:
            self.tally.note(f"folders in class folders that are not taken for groups: {_some(others)}")
        twice = _derived(paths, copies)
        if twice:
            self.tally.note(
                f"{counted(len(twice), 'image(s)')} may be {agreeing(len(twice), '(a copy|copies)')} of others by "
                f"name ({_some(sorted(twice))}): identical ones stay in one group, others count as further cells"
            )

    def _survey(self, root: Path) -> None:
        known = [*self.table["path"], *self.dropped["path"], *self._companions]
        survey(self.tally, root, [""], known, self.also_read)

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
        if names != above_classes(self.folder, names, self.naming):
            return [ClassFolder(name, name, None) for name in names]
        if len(names) == 1 or any(map(is_split, names)):
            raise DataError(
                f"{self.folder} holds no class folders; {further_down(self.folder, names, self.naming)}."
            )
        self.tally.note(
            f"groups: the {len(names)} folders above the classes are taken for patients ({_some(names)}); if they are not, "
            f"give one of them alone (folder={self.folder / names[0]}), or put all cells of a class in one folder"
        )
        return [
            ClassFolder(f"{name}/{below}", below, name)
            for name in names
            for below in subfolders(self.folder / name)
        ]
