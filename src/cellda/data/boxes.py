"""Boxes of cells in images, without labels: a table with `path,x,y,w,h[,group]`, one row for each cell."""

from pathlib import Path

from cellda.datasets.reading.account import Tally
from cellda.datasets.reading.box import SIDES, box_of, side_of
from cellda.datasets.reading.decode import Box, frame_size, outside
from cellda.datasets.reading.listing import Row, read_rows
from cellda.errors import DataError
from cellda.text import counted, original

REQUIRED = ("path", *SIDES)
COLUMNS = (*REQUIRED, "group")


def read_boxes(file: Path, tally: Tally, folder: Path | None = None) -> list[tuple[Path, Box, str]]:
    """The image, box and group of each row; the group is empty where the table says none.

    Args:
        file: CSV, Excel or Parquet, read like a `table`; boxes are whole pixels from the top left of the upright image.
        tally: Where it is entered what is not read, and what is assumed.
        folder: What paths are relative to; by default the folder of the file.

    Raises:
        DataError: If the file cannot be read, columns are missing or occur twice, or rows name no image, hold no box, or the
            same one as another row; the message lists all of them. Whether there is the image, and the box lies in it, is
            known when it is decoded.
    """
    boxes = _Boxes(folder or file.parent)
    rows = 0
    for where, row in read_rows(file, tally, COLUMNS, REQUIRED):
        rows += 1
        try:
            boxes.add(where, row)
        except ValueError as error:
            boxes.problems.append(f"{where}: {error}")
    if not rows:
        raise DataError(f"The boxes in {file} have no rows.")
    if boxes.problems:
        raise DataError(
            f"{len(boxes.problems)} of {counted(rows, 'row(s)')} of the boxes in {file} cannot be used.",
            boxes.problems,
        )
    if boxes.cut:
        tally.note(
            f"{counted(boxes.cut, '(box|boxes) (reaches|reach)')} beyond the image: the part inside is used"
        )
    return [(*place, boxes.groups[place]) for place in boxes.found]


class _Boxes:
    """The boxes of rows.

    Args:
        folder: What paths are relative to.

    Attributes:
        found: Image and box -> where it was found.
        groups: Image and box -> the group it belongs to.
        problems: What is wrong with rows.
        cut: Number of boxes that reach beyond their image.
    """

    def __init__(self, folder: Path) -> None:
        self.found: dict[tuple[Path, Box], str] = {}
        self.groups: dict[tuple[Path, Box], str] = {}
        self.problems: list[str] = []
        self.cut = 0
        self._folder = folder
        self._sizes: dict[Path, tuple[int, int] | None] = {}

    def add(self, where: str, row: Row | str) -> None:
        """Add one row.

        Raises:
            ValueError: If it cannot be used; the message says why.
        """
        if isinstance(row, str):
            raise ValueError(row)
        path, box = row["path"], _box(row)
        if not path:
            raise ValueError("the path is empty")
        image = self._image(path)
        first = self.found.setdefault((image, box), where)
        if first != where:
            raise ValueError(f"repeats the box of {first}, {path}")
        self.groups[image, box] = row["group"]
        size = self._size(image)
        if size is not None and not outside(box, size):
            self.cut += box[0] + box[2] > size[0] or box[1] + box[3] > size[1]

    def _image(self, path: str) -> Path:
        """The image that a row names, as it is, as a table of predictions writes it, or as Windows does."""
        names = (path, original(path, csv=True), path.replace("\\", "/"))
        places = [self._folder / name for name in names]
        return next((place for place in places if place.exists()), places[0])

    def _size(self, image: Path) -> tuple[int, int] | None:
        """The size of an image; None if it cannot be read."""
        if image not in self._sizes:
            try:
                self._sizes[image] = frame_size(image)
            except DataError:
                self._sizes[image] = None
        return self._sizes[image]


def _box(row: Row) -> Box:
    """The box of a row; a cell without one, or with parts of pixels, is a mistake here."""
    box, complaint = box_of(row)
    given = ", ".join(row[side] for side in SIDES)
    if box is None:
        raise ValueError(complaint or "the box is empty")
    if any(side_of(row[side]) != value for side, value in zip(SIDES, box, strict=True)):
        raise ValueError(f"the box ({given}) is not made of whole numbers of pixels")
    if min(box[:2]) < 0:
        raise ValueError(
            f"the box ({given}) begins at a negative pixel; they are counted from 0, from the top left"
        )
    return box
