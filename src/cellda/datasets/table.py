"""The user's own images, listed in a CSV file, an Excel workbook or a Parquet file."""

from pathlib import Path

import pandas as pd

from cellda.datasets import register
from cellda.datasets.base import CellDataset, cell_table
from cellda.datasets.reading.decode import Bits
from cellda.datasets.reading.listing import Listing, read_rows
from cellda.datasets.reading.survey import unnamed_images
from cellda.errors import DataError
from cellda.runtime.given import path_of
from cellda.text import counted

WAITING = "row(s) not labelled yet"
"""What is said of rows whose label is empty, such as those of `cellda suggest` that nobody has come to."""


@register("table")
class Table(CellDataset):
    """Your own images: a CSV, Excel or Parquet file with path, label and, if known, group and crop box.

    Columns: `path,label[,group][,x,y,w,h]`; `account` names the others. Labels may have any of the usual names (see
    `cellda.taxonomies`); `other` leaves a cell out. A row without a label is not labelled yet: it is counted and left out.
    Boxes are pixels from the top left of the upright image; give all four numbers or none. Several rows may crop cells from
    one image. CSV is separated by commas, semicolons, tabs or bars, in UTF-8, UTF-16 or cp1252; of an Excel workbook, the
    first sheet is read. Words such as `NA` are empty.

    Args:
        root: The CSV, Excel (.xlsx) or Parquet file.
        images: The folder that paths are relative to; by default, the folder of the file.
        group: The column that says which cells belong together (patient, slide, smear); by default `group`, if there is one.
        bits: Significant bits that the camera records (10, 12 or 14), if images of 16 bits do not state them; images of 8 bits
            are not touched.
        map: A file that says what labels mean that no taxonomy knows (`own name: class`; `cellda datasets check` drafts it).

    Raises:
        DataError: If columns are missing or occur twice, or rows name missing images, unknown labels, bad boxes or the same
            cell twice. The message lists all of them, with their line (CSV; the header is line 1) or row (Excel, also with
            the header as 1; Parquet: the first is row 1).
    """

    title = "own table"

    def __init__(
        self,
        root: Path | None = None,
        images: Path | None = None,
        group: str | None = None,
        bits: Bits | None = None,
        map: Path | None = None,
    ) -> None:
        self.bits = bits
        self.map = map
        self.file = None if root is None else path_of(root)
        self.images = images
        self.group = group
        super().__init__(root)

    @property
    def full_name(self) -> str:
        """`table/<name on disk>`, to distinguish the sets of several laboratories."""
        return f"{self.name}/{self.file.stem}" if self.file else self.name

    def _locate(self, root: Path) -> Path:
        if not root.is_file():
            what = "is a folder: give the CSV or Parquet file itself" if root.is_dir() else "does not exist"
            raise DataError(f"The table {root} {what}.")
        folder = root.parent if self.images is None else path_of(self.images)
        if not folder.is_dir():
            raise DataError(f"The folder of images {folder} does not exist.")
        return folder

    def _index(self) -> pd.DataFrame:
        listing = Listing(self.folder, self.naming)
        for where, row in read_rows(self.file or self.folder, self.tally, group=self.group):
            listing.add(where, row)
        problems = listing.problems()
        if problems:
            summary = f"{counted(len(problems), 'problem(s)')} in the table {self.file}, with images in {self.folder}."
            raise DataError(summary, problems, listing.unknown)
        if self.group is not None and not any(listing.groups):
            raise DataError(
                f"The column '{self.group}' of {self.file} has no entry. If formulas compute it, save the workbook with its "
                "values; or give another column."
            )
        self.tally.leave(WAITING, "", listing.unlabelled)
        self._waiting = listing.unlabelled
        if listing.rounded:
            self.tally.note(
                counted(
                    listing.rounded, "(box|boxes) with fractions of pixels (was|were) rounded to whole ones"
                )
            )
        if listing.commas:
            self.tally.note(
                f"commas in the numbers of {counted(listing.commas, '(box|boxes)')} were read as decimal commas"
            )
        return cell_table(listing.paths, listing.raw_labels, listing.groups, listing.boxes)

    def _survey(self, root: Path) -> None:
        """Images next to the table's own, which it does not name; they may be those of a neighbour's table."""
        others = unnamed_images(root, [*self.table["path"], *self.dropped["path"], *self._waiting])
        self.tally.leave_unnamed("image(s) in the folders of its cells that the table does not name", others)
