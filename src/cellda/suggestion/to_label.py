"""The list of cells to label: a table for a spreadsheet, which `cellda adapt --labelled table=FILE` then reads."""

import csv
import io
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cellda.datasets.base import CellDataset
from cellda.datasets.reading.account import Account, Tally
from cellda.datasets.reading.box import SIDES
from cellda.datasets.reading.listing import read_rows
from cellda.datasets.reading.sheet import read_sheet
from cellda.errors import ConfigurationError, DataError
from cellda.runtime.given import path_of
from cellda.runtime.place import check_writable, saving, written
from cellda.text import counted, csv_safe, plain

COLUMNS = ("path", "label", "group", *SIDES, "order", "guess")
"""Columns of a list, in order; groups, boxes and guesses are there only if there are any."""

_NOTHING_LOST = "Nothing else was written; the same command makes the same list."


@dataclass(frozen=True, eq=False)
class Suggestion:
    """Images to label, in the order in which they should be labelled.

    Attributes:
        paths: The images.
        guesses: The class that the current model gives each; not for those who label, whom it biases.
        classes: The names that it knows.
        account: What was found, chosen from and left out.
        labelled: The cells that are labelled already; None if none are.
        groups: Folder of each image below those that were given (slide, or patient/slide); empty where there is none.
        embeddings: `(n, D)` of the images, by the model.
    """

    paths: tuple[Path, ...]
    guesses: tuple[str, ...]
    classes: tuple[str, ...]
    account: Account
    labelled: CellDataset | None = None
    groups: tuple[str, ...] = ()
    embeddings: "np.ndarray | None" = None

    def write(self, file: str | Path, *, guess: bool = False) -> Path:
        """Write the list: `path`, an empty `label`, and `order`, from 1; below the cells that are labelled already.

        Paths are relative to the file's folder where they lie below it.

        Args:
            file: A CSV file. One that holds labels is never replaced.
            guess: Whether to add the column `guess`.

        Raises:
            ConfigurationError: If the file holds something else than a list without labels, or cannot be written.
        """
        place = path_of(file)
        check_list(place)
        folder = place.absolute().parent
        rows = [dict(zip(COLUMNS, row, strict=True)) for row in self._labelled(folder)]
        groups = self.groups or ("",) * len(self.paths)
        rows += [
            dict.fromkeys(COLUMNS, "")
            | {
                "path": _written(path, folder),
                "order": str(order),
                "guess": said if guess else "",
                "group": group,
            }
            for order, (path, said, group) in enumerate(
                zip(self.paths, self.guesses, groups, strict=True), start=1
            )
        ]
        always = ("path", "label", "order")
        names = [name for name in COLUMNS if name in always or any(row[name] for row in rows)]
        text = io.StringIO(newline="")
        table = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        with saving(place, _NOTHING_LOST), written(place) as part:
            part.write_bytes(text.getvalue().encode())
        return place

    def copy(self, folder: str | Path) -> Path:
        """Copy the images into a new folder, numbered in their order, to be looked at one after the other.

        Raises:
            ConfigurationError: If the folder holds something, or cannot be written.
        """
        place = path_of(folder)
        check_free(place)
        width = len(str(len(self.paths)))
        with saving(place, _NOTHING_LOST):
            place.mkdir(parents=True, exist_ok=True)
            for order, path in enumerate(self.paths, start=1):
                shutil.copyfile(path, place / f"{order:0{width}}_{path.name}")
        return place

    def _labelled(self, folder: Path) -> list[tuple[str, ...]]:
        """The rows of the cells that are labelled already, or left out by their label."""
        if self.labelled is None:
            return []
        return [
            (
                _written(self.labelled.folder / cell["path"], folder),
                cell["raw_label"],
                cell["group"] or "",
                *([""] * 4 if cell["box"] is None else map(str, cell["box"])),
                "",
                "",
            )
            for table in (self.labelled.table, self.labelled.dropped)
            for cell in table.to_dict("records")
        ]


def check_list(file: Path) -> None:
    """Refuse a place for a list that cannot be written, or that holds labels or anything else.

    Raises:
        ConfigurationError: If so; the message says what to do.
    """
    if file.suffix.lower() != ".csv":
        raise ConfigurationError(f"A list of cells to label is saved as CSV: end '{file}' in .csv.")
    check_writable(file)
    if not file.is_file() or not file.stat().st_size:
        return
    try:
        others = set(read_sheet(file, COLUMNS).header) - set(COLUMNS)
        rows = list(read_rows(file, Tally(), ("path", "label"), ("path", "label")))
    except DataError:
        others, rows = {"?"}, []
    if others or any(isinstance(row, str) for _, row in rows):
        raise ConfigurationError(f"{file} exists and is not a list of cells to label; save in another file.")
    labels = sum(bool(row["label"]) for _, row in rows if not isinstance(row, str))
    if labels:
        raise ConfigurationError(
            f"{file} holds {counted(labels, 'label(s)')} and is not replaced. To go on from there, give "
            f"--labelled table={file}, and save in another file."
        )


def check_free(folder: Path) -> None:
    """Refuse a folder for copies that cannot be written, or is not empty.

    Raises:
        ConfigurationError: If so.
    """
    check_writable(folder, folder=True)
    if folder.is_dir() and any(folder.iterdir()):
        raise ConfigurationError(f"The folder {folder} is not empty; give a new one for the copies.")


def unwritable(paths: Sequence[Path]) -> list[Path]:
    """Those of some images whose path a table cannot hold: control characters, no valid UTF-8, backslashes in names."""
    return [
        path
        for path in paths
        if plain(str(path)) != str(path)
        or (os.sep == "/" and "\\" in str(path))
        or path.name.strip() != path.name
    ]


def _written(path: Path, folder: Path) -> str:
    """A path as a table in a folder names it, without what a spreadsheet would take for a formula."""
    whole = path.absolute()
    name = whole.relative_to(folder).as_posix() if whole.is_relative_to(folder) else whole.as_posix()
    return name if csv_safe(name) == name else f"./{name}"
