"""What the files of a dataset hold: their hashes, identical images, and files that change while they are used."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Self

import pandas as pd

from cellda.datasets.reading.account import COPIES, Account, LeftOut
from cellda.datasets.reading.decode import unusable
from cellda.datasets.reading.identical import Contradiction, contradictions, identical
from cellda.datasets.reading.naming import Naming
from cellda.errors import DataError
from cellda.runtime.contents import Contents, read_contents
from cellda.text import counted


class FileContents(ABC):
    """The part of `CellDataset` that knows what its files hold.

    All of it is computed when it is first needed, and stays as it is until `refresh`.
    """

    root: Path | None
    table: pd.DataFrame
    dropped: pd.DataFrame
    account: Account
    naming: Naming

    bits: int | None

    twins_left_out: int = 0
    """Number of cells that `without_contradictions` has left out."""

    @property
    def image_hashes(self) -> list[bytes]:
        """Hash of the bytes of each image of the table, each path once; empty for synthetic datasets."""
        return list(self._pictures.values())

    def identical_images(self) -> list[list[str]]:
        """Sets of paths whose files hold the same bytes."""
        return list(map(list, self._identical))

    @cached_property
    def contradictions(self) -> list[Contradiction]:
        """Cells that are the same image under different classes, those of `dropped` included.

        Files that are no images, such as empty ones, are not among them: whoever reads them says so.
        """
        pictures = {**self._dropped_pictures, **self._pictures}
        found = contradictions(self.table, self.dropped, pictures, self.naming)
        files = set(self.files) if found else set()
        return [
            one
            for one in found
            if one.first[0] not in files
            or not unusable([(self.folder / one.first[0], one.first[1])], _nothing, bits=self.bits)
        ]

    @cached_property
    def without_contradictions(self) -> Self:
        """This dataset without the cells that contradict each other; `dropped` holds them, their `label` null."""
        out = sorted(row for one in self.contradictions for row in one.rows)
        if not out:
            return self
        rest = copy(self)
        rest._forget()
        rest.twins_left_out = len(out)
        rest.table = self.table.drop(index=out).reset_index(drop=True)
        rest.dropped = pd.concat([self.dropped, self.table.loc[out].assign(label=None)], ignore_index=True)
        copies = LeftOut(COPIES, "", len(out), tuple(self.table.loc[out, "path"]))
        rest.account = replace(
            self.account,
            used=len(rest.table),
            groups=rest.table["group"].nunique() or None,
            left_out=(*self.account.left_out, copies),
        )
        return rest

    @cached_property
    def with_contradictions(self) -> Self:
        """This dataset with all its cells, and an account that says that some of them contradict each other."""
        count = sum(len(one.rows) for one in self.contradictions)
        if not count:
            return self
        noted = copy(self)
        said = f"{count:,} cells are copies of one image under different classes, and are used; twins='drop' leaves them out"
        noted.account = replace(self.account, notes=(*self.account.notes, said))
        return noted

    def refresh(self) -> None:
        """Take notice of files that have changed since the fingerprint was computed; the table stays as it is."""
        held = self.__dict__.get("_contents")
        if held is not None and held.changed():
            self._forget()

    def check_unchanged(self, rows: Sequence[int]) -> None:
        """Check that the files of some cells hold what the fingerprint says, after they were decoded.

        Args:
            rows: Rows of the table.

        Raises:
            DataError: If files have changed in between; the message lists them all.
        """
        changed = self._contents_at(rows).differing(self.full_name)
        if changed:
            raise DataError(
                f"{counted(len(changed), 'file(s)')} of dataset '{self.full_name}' changed while they were decoded.",
                [
                    f"{file}: it changed while it was decoded; run again when it is complete"
                    for file in changed
                ],
            )

    @property
    @abstractmethod
    def full_name(self) -> str:
        """See `CellDataset.full_name`."""

    @property
    @abstractmethod
    def folder(self) -> Path:
        """See `CellDataset.folder`."""

    @property
    @abstractmethod
    def files(self) -> Sequence[str]:
        """See `CellDataset.files`."""

    def _forget(self) -> None:
        """Forget all that follows from the table and from what files hold."""
        for name in [
            name for name in self.__dict__ if isinstance(getattr(type(self), name, None), cached_property)
        ]:
            del self.__dict__[name]

    def _contents_of(self, paths: Iterable[str]) -> Contents:
        """What files hold; nothing for synthetic datasets."""
        # os, because a Path for each file costs a second on 170,000 of them.
        folder = "" if self.root is None else os.path.abspath(self.root)  # noqa: PTH100
        files = [os.path.join(folder, path) for path in paths]  # noqa: PTH118
        return read_contents([] if self.root is None else files, self.full_name)

    @cached_property
    def _contents(self) -> Contents:
        """What `files` held."""
        return self._contents_of(self.files)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """Where each of `files` stands in `_contents`."""
        return {path: place for place, path in enumerate(self.files)}

    def _contents_at(self, rows: Sequence[int]) -> Contents:
        """What the files of some cells held; of cells that are not files of their own, all files."""
        paths = dict.fromkeys(self.table["path"].iloc[list(rows)])
        own = [self._numbers[path] for path in paths if path in self._numbers]
        return self._contents.at(own) if own else self._contents

    @cached_property
    def _pictures(self) -> dict[str, bytes]:
        """Hash of the image at each distinct path of the table that is a file."""
        held = dict(zip(self.files, self._contents.hashes, strict=True))
        return {path: held[path] for path in dict.fromkeys(self.table["path"]) if path in held}

    @cached_property
    def _dropped_pictures(self) -> dict[str, bytes]:
        """Hash of the image at each distinct path of the cells that are left out."""
        # Where cells are not files of their own, those that are left out are not either.
        paths = list(dict.fromkeys(self.dropped["path"])) if self._pictures else []
        return dict(zip(paths, self._contents_of(paths).hashes, strict=True))

    @cached_property
    def _identical(self) -> list[list[str]]:
        paths = list(self._pictures)
        return [[paths[index] for index in twins] for twins in identical(list(self._pictures.values()))]


def _nothing(_: int) -> None:
    """Shows no progress."""
