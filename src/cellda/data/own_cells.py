"""A laboratory's own data: some labelled cells, and unlabelled images in addition."""

import glob
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import UInt8
from torch import Tensor

from cellda.datasets.base import COLUMNS, CellDataset
from cellda.datasets.reading.account import Account, Tally
from cellda.datasets.reading.decode import decode_every, decode_resized
from cellda.datasets.reading.formats.further import previews
from cellda.datasets.reading.layout import images_below, why_not_folder
from cellda.datasets.reading.names import is_archive
from cellda.datasets.reading.naming import Naming
from cellda.datasets.reading.survey import survey
from cellda.errors import DataError
from cellda.imaging.nucleus import Pixels
from cellda.runtime.contents import Contents, read_contents
from cellda.runtime.given import path_of
from cellda.taxonomies import DEFAULT, create
from cellda.taxonomies.base import UNLABELLED, Taxonomy
from cellda.text import counted


class OwnCells(CellDataset):
    """Labelled cells of one laboratory, followed by its unlabelled images.

    It is not meant for measuring, and is not registered; `Recipe.adapt` creates it.

    Args:
        labelled: A dataset, all of whose cells are labelled; None if there are no labels.
        images: Image files, one cell each.
        taxonomy: The classes, where there are no labels; those of the labelled cells otherwise.

    Raises:
        DataError: If both are missing, or files do not exist; the message lists them all.
    """

    name = "own_cells"

    def __init__(
        self, labelled: CellDataset | None, images: Sequence[Path] = (), taxonomy: Taxonomy | None = None
    ) -> None:
        missing = [str(image) for image in images if not image.is_file()]
        if missing:
            raise DataError(f"{counted(len(missing), 'unlabelled image(s) (does|do)')} not exist:", missing)
        if labelled is None and not images:
            raise DataError("There is nothing to adapt to: give labelled cells, unlabelled images, or both.")
        self.labelled, self.images = labelled, tuple(image.resolve() for image in images)
        self.naming = labelled.naming if labelled is not None else Naming(taxonomy or create(DEFAULT))
        self.root = None if labelled is None else labelled.root
        self.bits = None if labelled is None else labelled.bits
        self.table = self._index()
        self.dropped = self.table.iloc[:0]
        self.account = Account(self.full_name, len(self.table)) if labelled is None else labelled.account

    def _index(self) -> pd.DataFrame:
        bare = pd.DataFrame({"path": [str(image) for image in self.images]}, dtype=object)
        bare = bare.reindex(columns=list(COLUMNS)).astype(object).where(lambda cells: cells.notna(), None)
        parts = [bare] if self.labelled is None else [self.labelled.table, bare]
        return pd.concat(parts, ignore_index=True)

    @property
    def full_name(self) -> str:
        """The name of the labelled cells, if there are any."""
        return "own images" if self.labelled is None else self.labelled.full_name

    @property
    def count(self) -> int:
        """Number of labelled cells, which are the first rows."""
        return 0 if self.labelled is None else len(self.labelled)

    @cached_property
    def labels(self) -> Tensor:
        """`(N,)` int64 class indices, `UNLABELLED` for images without a label."""
        known = [] if self.labelled is None else [self.labelled.labels]
        return torch.cat([*known, torch.full((len(self.images),), UNLABELLED, dtype=torch.int64)])

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the labelled cells' fingerprint and of each image's path and bytes."""
        digest = hashlib.sha256((self.labelled.fingerprint if self.labelled else "").encode())
        for file, content in zip(self._contents.files, self._contents.hashes, strict=True):
            digest.update(os.fsencode(file) + content)
        return digest.hexdigest()

    @cached_property
    def _contents(self) -> Contents:
        """What the unlabelled images held; the labelled cells have their own."""
        return read_contents(list(map(str, self.images)), self.full_name)

    def _contents_at(self, rows: Sequence[int]) -> Contents:
        return self._contents.at(row - self.count for row in rows if row >= self.count)

    def check_unchanged(self, rows: Sequence[int]) -> None:
        """See `CellDataset.check_unchanged`."""
        super().check_unchanged(rows)
        if self.labelled is not None:
            self.labelled.check_unchanged([row for row in rows if row < self.count])

    @property
    def code(self) -> str:
        """Hash of this file and of the code that reads the labelled cells."""
        return f"{super().code} {self.labelled.code if self.labelled else ''}"

    def effective_groups(self) -> list[str]:
        """The groups of the labelled cells; every unlabelled image is its own group."""
        known = [] if self.labelled is None else self.labelled.effective_groups()
        return [*known, *(str(image) for image in self.images)]

    def read(self, indices: Sequence[int], size: int) -> UInt8[Tensor, "n 3 size size"]:
        """See `CellDataset.read`."""
        labelled, images = self._parted(indices)
        read = [decode_resized([(image, None) for image in images], size, bits=self.bits)] if images else []
        if self.labelled is not None and labelled:
            read.insert(0, self.labelled.read(labelled, size))
        return torch.cat(read)

    def originals(self, indices: Sequence[int], use: Callable[[int, Pixels], None], least: int = 1) -> None:
        """See `CellDataset.originals`."""
        labelled, images = self._parted(indices)
        if self.labelled is not None and labelled:
            self.labelled.originals(labelled, use, least)
        decode_every(
            [(image, None) for image in images],
            lambda place, image: use(len(labelled) + place, np.array(image)),
            bits=self.bits,
        )

    def with_previews(self, indices: Sequence[int]) -> list[int]:
        """See `CellDataset.with_previews`."""
        labelled, _ = self._parted(indices)
        found = [] if self.labelled is None else self.labelled.with_previews(labelled)
        own = (row for row in indices if row >= self.count)
        return [*found, *(row for row in own if previews(self.images[row - self.count]))]

    def _parted(self, indices: Sequence[int]) -> tuple[list[int], list[Path]]:
        """The rows of labelled cells, and the files of unlabelled images, among ascending rows."""
        rows = list(indices)
        return (
            [row for row in rows if row < self.count],
            [self.images[row - self.count] for row in rows if row >= self.count],
        )


def image_files(given: str | Path | Sequence[str | Path], tally: Tally | None = None) -> list[Path]:
    """The image files that are given, and all image files in and below the folders that are given; each once.

    Args:
        given: Files, folders, and patterns such as `"cells/*.png"` of both.
        tally: Where it is entered what lies in the folders and is not an image, and what is given more than once.

    Raises:
        DataError: If a folder holds no image, a pattern matches nothing, or a path does not exist or is an archive; the
            message lists them all.
    """
    tally = Tally() if tally is None else tally
    found: list[Path] = []
    problems = []
    for one in [given] if isinstance(given, str | Path) else given:
        places = matching(one)
        if not places:
            problems.append(f"{one}: no file or folder matches this pattern")
        for path in places:
            if path.is_dir():
                names = images_below(path)
                left = Tally()
                survey(left, path, [""], names)
                if not names:
                    held = "".join(f"; {line.strip()}" for line in left.close(str(path), 0).details())
                    problems.append(f"{path}: holds no image{held}")
                tally.take(left, path)
                found += [path / name for name in names]
            elif is_archive(path.name) or not path.exists():
                problems.append(f"{path}: {why_not_folder(path)}")
            else:
                found.append(path)
    if problems:
        raise DataError("Some of the images cannot be found.", problems)
    times = Counter(found)
    again = [str(path) for path, number in times.items() for _ in range(number - 1)]
    if again:
        tally.leave("repeat(s) of images that are given more than once", "", again)
    return list(times)


def matching(given: str | Path) -> list[Path]:
    """What a path or a pattern names, in the order of names; a path that does not exist names itself."""
    path = path_of(given)
    if os.path.lexists(path) or not glob.has_magic(str(path)):
        return [path]
    return [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207 (an absolute pattern)


def grouped(files: Sequence[Path], given: Sequence[str | Path]) -> list[tuple[Path, str]]:
    """Image files with the group that the folders below the given ones say: slide, or patient and slide (`"anna/slide 2"`).

    Args:
        files: What `image_files` found.
        given: What it was given; an image that lies directly in a folder, or is given itself, has no group (`""`).
    """
    folders = [place for one in given for place in matching(one) if place.is_dir()]

    def group(file: Path) -> str:
        above = next((folder for folder in folders if file.is_relative_to(folder)), file.parent)
        return file.parent.relative_to(above).as_posix().removeprefix(".")

    return [(file, group(file)) for file in files]
