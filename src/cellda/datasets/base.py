"""The base class of datasets: a typed table of cells and a way to read their pixels."""

import hashlib
import os
from abc import abstractmethod
from collections import Counter
from copy import copy
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from cellda.datasets.card import DataCard
from cellda.datasets.exporting.exports import Exports
from cellda.datasets.reading.account import COARSE, MAPPED, NO_GROUPS, OUTSIDE, Account, Tally
from cellda.datasets.reading.cell_table import COLUMNS, cell_table, checked, folded
from cellda.datasets.reading.decode import Box
from cellda.datasets.reading.file_contents import FileContents
from cellda.datasets.reading.groups import alike, each_its_own
from cellda.datasets.reading.identical import merged_groups
from cellda.datasets.reading.listed import Listed
from cellda.datasets.reading.names import HEIF_SUFFIXES
from cellda.datasets.reading.naming import Naming
from cellda.datasets.reading.survey import survey
from cellda.datasets.reading.words import read_words
from cellda.errors import DataError
from cellda.plugins.code_digest import member_code, shared_code
from cellda.runtime.given import path_of
from cellda.taxonomies.base import Taxonomy
from cellda.text import agreeing, counted

__all__ = ["COLUMNS", "Box", "CellDataset", "cell_table"]


class CellDataset(Exports, FileContents, DataCard):
    """Cells of one laboratory.

    A new dataset reads its published layout in `_index` (`cellda.datasets.reading.layout` helps with folders) and
    states its data card in class attributes, as literals (`cellda.datasets.card.DataCard`). Options are typed
    keyword arguments of `__init__`, stored before `super().__init__(root)` is called.

    Args:
        root: The dataset's own folder, or a parent folder that the download creates.

    Attributes:
        root: The folder that the table's paths are relative to, or None for synthetic datasets.
        naming: What the published labels mean.
        table: One row per cell: `path` (str, relative to `root`, "/" as separator), `label` (one of the classes of the
            taxonomy), `raw_label` (the published name), `group` (str or None: the photograph, smear or
            patient), `box` (None or `(x, y, width, height)` in pixels). All columns hold Python objects.
        dropped: Cells whose raw label is known but belongs to none of the classes, and which `table` therefore lacks; same
            columns, `label` None.
        account: What was found, used and left out, with the reasons.

    Raises:
        DataError: If the layout is missing or rows are wrong; the message lists all problems.
    """

    bits: int | None = None
    """Significant bits that the camera records, of images that are stored with 16; None takes what the files state."""

    map: Path | None = None
    """A file that says what own names of classes mean (`cellda.datasets.reading.words`); None takes them as published."""

    helpers: ClassVar[tuple[str, ...]] = ()
    """Further code of cellda that only this dataset's pixels go through: files and folders, for the keys of stored results."""

    also_read: ClassVar[tuple[str, ...]] = ()
    """Patterns of files that the loader reads to find the cells (masks, annotations), so that they are not left out."""

    def __init__(self, root: Path | None = None) -> None:
        self.naming = Naming.current().with_words(self.map)
        self.root = None if root is None else self._locate(path_of(root))
        self._fill()
        self._listed = Listed.of(root, self.root, pd.concat([self.table["path"], self.dropped["path"]]))

    def _fill(self) -> None:
        """Read the layout, and sort the cells into those of the classes and those left out."""
        self.tally = Tally()
        cells = checked(self._index(), f"dataset '{self.full_name}'")
        self.naming = self.naming.found_in(cells["raw_label"])
        cells = folded(cells, self.naming)
        kept = cells["label"].notna()
        if not kept.any():
            found = ", ".join(sorted(set(cells["raw_label"]))) or "none"
            raise DataError(
                f"Dataset '{self.full_name}' holds no cell of the classes {', '.join(self.taxonomy.classes)} under "
                f"{self.root}; labels found: {found}."
            )
        self.table = cells[kept].reset_index(drop=True)
        self.dropped = cells[~kept].reset_index(drop=True)
        self.account = self._account()

    @property
    def taxonomy(self) -> Taxonomy:
        """The classes of its cells."""
        return self.naming.taxonomy

    def under(self, naming: Naming) -> Self:
        """This dataset with its cells in the classes of another taxonomy; its layout is read again.

        Raises:
            DataError: If no cell belongs to one of them, or labels are unknown.
        """
        other = copy(self)
        other._forget()
        other.naming = replace(naming, words=self.naming.words)
        other.naming.check_words()
        other._fill()
        return other

    def _locate(self, root: Path) -> Path:
        """The folder in or under `root` where the published layout begins; paths are relative to it.

        Raises:
            DataError: If it does not exist; the message says what was expected and what was found.
        """
        return root

    @abstractmethod
    def _index(self) -> pd.DataFrame:
        """Read the layout under `root` into a table with `COLUMNS`, without decoding images.

        `label` is null: what the published names mean is decided afterwards. `cell_table` builds such a table.

        Raises:
            DataError: If the layout is not as published; the message lists all problems.
        """

    def _account(self) -> Account:
        """Close the tally, in which `_index` may have entered what it left out or assumed."""
        for label in dict.fromkeys(self.dropped["raw_label"]):
            mapped = self.naming.words.get(label, label) is None
            why = MAPPED if mapped else OUTSIDE if self.naming.coarse(label) is None else COARSE
            self.tally.leave(why, label, self.dropped["path"][self.dropped["raw_label"] == label])
        for line in self.naming.told({*self.table["raw_label"], *self.dropped["raw_label"]}):
            self.tally.note(line)
        if self.root is not None:
            self._survey(self.root)
        if not self.is_published:
            for names in alike(self.table["group"].dropna().unique()):
                self.tally.note(
                    f"groups {', '.join(map(repr, names))} may be the same, written differently: each counts as its own"
                )
            if each_its_own(Counter(self.table["group"].dropna())):
                self.tally.note("every cell is its own group: images of one patient may be on both sides")
        groups, known = self.table["group"].nunique(), int(self.table["group"].notna().sum())
        if not groups and not self.synthetic:
            self.tally.note(NO_GROUPS)
        elif groups == 1 and 1 < known == len(self.table) and not self.is_published:
            [only] = self.table["group"].unique()
            self.tally.note(
                f"all cells are of one group, '{only}': a run keeps a group on one side, and cannot hold any of them out"
            )
        elif known < len(self.table) and groups:
            alone = len(self.table) - known
            self.tally.note(
                f"{alone:,} of {counted(len(self.table), 'cell(s)')} {agreeing(alone, '(has|have)')} no group: "
                f"{agreeing(alone, '(it counts|each of them counts)')} as its own"
            )
        return self.tally.close(self.full_name, len(self.table), groups or None)

    def _survey(self, root: Path) -> None:
        """Enter in the tally what lies under `root` and is neither a cell nor read to find cells."""
        survey(self.tally, root, [""], [*self.table["path"], *self.dropped["path"]], self.also_read)

    @property
    def full_name(self) -> str:
        """The name with the variant, as `cellda.datasets.load` takes it."""
        return self.name

    @property
    def folder(self) -> Path:
        """`root`, for datasets that are read from files.

        Raises:
            DataError: If no folder was given.
        """
        if self.root is None:
            raise DataError(
                f"Dataset '{self.full_name}' is read from files: say where they are, "
                f"as in cellda.datasets.load('{self.full_name}', '<folder>')."
            )
        return self.root

    @property
    def files(self) -> list[str]:
        """Paths of the files that hold the table's cells, relative to `root`, each once; empty for synthetic datasets."""
        return [] if self.root is None else list(dict.fromkeys(self.table["path"]))

    def __len__(self) -> int:
        return len(self.table)

    def class_counts(self) -> dict[str, int]:
        """Number of cells of each class that occurs, in class order."""
        counts = self.table["label"].value_counts()
        return {name: int(counts[name]) for name in self.taxonomy.classes if name in counts.index}

    @cached_property
    def with_coarse(self) -> Self:
        """This dataset with the cells that are labelled more coarsely than its classes; itself if there are none.

        Their label is the type in `Taxonomy.members`, and their index follows those of the classes.
        """
        kinds = [self.naming.coarse(name) for name in self.dropped["raw_label"]]
        coarse = np.array([kind is not None for kind in kinds], dtype=bool)
        if not coarse.any():
            return self
        more = copy(self)
        more._forget()
        cells = self.dropped.assign(label=pd.Series(kinds, index=self.dropped.index, dtype=object))
        more.table = pd.concat([self.table, cells[coarse]], ignore_index=True)
        more.dropped = self.dropped[~coarse].reset_index(drop=True)
        left_out = tuple(one for one in self.account.left_out if one.what != COARSE)
        more.account = replace(self.account, used=len(more.table), left_out=left_out)
        return more

    @cached_property
    def labels(self) -> Tensor:
        """`(N,)` int64 class indices in the order of the taxonomy's classes, followed by the types coarser than they."""
        names = (*self.taxonomy.classes, *self.taxonomy.members)
        codes = {name: code for code, name in enumerate(names)}
        return torch.tensor([codes[label] for label in self.table["label"]], dtype=torch.int64)

    @property
    def fingerprint(self) -> str:
        """sha256 of the table's rows and of what its files held when it was first needed.

        It does not depend on the location of the dataset's folder. `refresh` takes notice of files that changed since.

        Raises:
            DataError: If files of the table no longer exist or cannot be read; the message lists them all.
        """
        return self._fingerprint

    def relisted(self) -> bool:
        """Whether cells were added or removed, or have another class, group or box, since the dataset was loaded.

        So they do if the mapping of own names says something else now, or cannot be read.
        """
        again = copy(self)
        again.tally = Tally()
        try:
            if self.map is not None and read_words(self.map) != self.naming.words:
                return True
            if not self._listed.changed():
                return False
            now = folded(checked(again._index(), self.full_name), self.naming)
        except DataError:
            return True
        before = pd.concat([self.table, self.dropped])
        return {*map(str, now.itertuples(index=False))} != {*map(str, before.itertuples(index=False))}

    @property
    def code(self) -> str:
        """Hash of the code that reads this dataset, beyond what all datasets share."""
        return f"{member_code(type(self))} {shared_code(self.helpers)}"

    @cached_property
    def readers(self) -> tuple[str, ...]:
        """Optional packages that decode files of this dataset, for the keys of stored results."""
        heif = any(path.lower().endswith(HEIF_SUFFIXES) for path in self.table["path"])
        return ("pillow-heif",) if heif else ()

    def effective_groups(self) -> list[str]:
        """The group of each row, for splits that do not leak.

        It is the row's `group`, or its own path if that is null. Groups that share a file or
        byte-identical files are merged, whatever the dataset publishes.
        """
        return list(self._effective_groups)

    @cached_property
    def _fingerprint(self) -> str:
        rows = map(repr, self.table.itertuples(index=False, name=None))
        digest = hashlib.sha256("".join(rows).encode("utf-8", "surrogateescape"))
        files = zip(self.files, self._contents.hashes, strict=True)
        digest.update(b"".join(os.fsencode(path) + content for path, content in files))
        return digest.hexdigest()

    @cached_property
    def _effective_groups(self) -> tuple[str, ...]:
        own = self.table["group"].where(self.table["group"].notna(), self.table["path"])
        file_of_row, paths = pd.factorize(self.table["path"].to_numpy())
        number = {path: place for place, path in enumerate(paths)} if self._identical else {}
        picture_of_file = np.arange(len(paths))
        for twins in self._identical:
            picture_of_file[[number[path] for path in twins]] = number[twins[0]]
        return tuple(merged_groups(list(own), picture_of_file[file_of_row]))
