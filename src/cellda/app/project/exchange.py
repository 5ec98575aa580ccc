"""Labels that come and go: the table that `table=` reads, filled lists, and folders of classes."""

import csv
import io
from pathlib import Path

from cellda.app.project.labels import NO_CELL, UNSURE, give, labels, notes
from cellda.app.project.project import Project
from cellda.app.project.tables import Cell
from cellda.data.root import DataRoot
from cellda.datasets.base import CellDataset
from cellda.datasets.reading.account import Tally
from cellda.datasets.reading.listing import read_rows
from cellda.errors import DataError
from cellda.runtime.place import written
from cellda.text import counted, csv_safe

OTHER = "other"
"""What a table says of a cell to leave out."""
TABLE = "labels.csv"
_NEWS_OF_NO_USE = ("that the table does not name", "no groups", "unused column")
"""Of a table of labels in a project that knows its images and groups itself."""


def table_text(project: Project) -> str:
    """All cells with what holds of them, as CSV: `path, label, group, note`.

    The label of an image without a cell is `other`, which leaves it out; one that is unsure is empty, as if not labelled yet.
    Paths are whole.
    """
    said, written_notes = labels(project), notes(project)
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("path", "label", "group", "note"))
    for cell in project.cells():
        assert cell.id is not None
        name = {NO_CELL: OTHER, UNSURE: ""}.get(said.get(cell.id, ""), said.get(cell.id, ""))
        note = "; ".join(f"{who}: {what}" for who, what in written_notes.get(cell.id, {}).items())
        if name or note:
            rows.writerow(tuple(map(csv_safe, (str(project.images / cell.path), name, cell.group, note))))
    return text.getvalue()


def write_table(project: Project) -> Path:
    """Write the labels into the project, for `table=`."""
    file = project.place / TABLE
    with written(file) as part:
        part.write_text(table_text(project), encoding="utf-8")
    return file


def take_table(project: Project, file: Path, person: str) -> tuple[int, list[str]]:
    """Enter the labels of a table (`path, label`) as those of a person.

    Args:
        project: The project.
        file: A table as `table=` reads it. Paths may be whole, below the images' folder, or only names that are unique there.
        person: Whose labels they are.

    Returns:
        Number of labels, and the account of the table, in lines.

    Raises:
        DataError: If the table cannot be read, or names images that are not in the project.
    """
    known = _Names(project)
    converted = file.with_name(f"{file.stem} .csv")
    with converted.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(("path", "label"))
        for where, row in read_rows(file, Tally(), ("path", "label")):
            if isinstance(row, str):
                raise DataError(f"{file.name}, {where}: {row}")
            found = known.file(project.images / row["path"])
            rows.writerow((str(found or project.images / row["path"]), row["label"]))
    return _take(project, DataRoot(None).load(f"table={converted}", images=project.images), person)


def take_folder(project: Project, folder: Path, person: str) -> tuple[int, list[str]]:
    """Enter the labels of a folder that holds one folder for each class, whose images have the names of the project's."""
    return _take(project, DataRoot(None).load(f"folder={folder}"), person)


def take_groups(project: Project, file: Path) -> int:
    """Take the patients or slides of images from a table with the columns `path` and `group`.

    Args:
        project: The project.
        file: CSV, Excel or Parquet. Paths may be whole, below the images' folder, or only names that are unique there.

    Returns:
        Number of images whose group is in the table.

    Raises:
        DataError: If the table cannot be read, or names images that are not in the project. Nothing is taken then.
    """
    known, found = _Names(project), dict[int, str]()
    problems = []
    for where, row in read_rows(file, Tally(), ("path", "group"), ("path", "group")):
        cell = None if isinstance(row, str) else known.find(project.images / row["path"])
        if isinstance(row, str):
            problems.append(f"{where}: {row}")
        elif cell is None:
            problems.append(f"{where}: {row['path']} is not among the images")
        else:
            found[cell] = row["group"]
    if problems:
        raise DataError(f"The groups of {file.name} were not taken.", problems)
    with project.session() as session:
        for cell, group in found.items():
            one = session.get(Cell, cell)
            assert one is not None
            one.group = group
    return len(found)


def _take(project: Project, found: CellDataset, person: str) -> tuple[int, list[str]]:
    known = _Names(project)
    said: dict[int, str | None] = {}
    missing, others = [], 0
    for table, left in ((found.table, False), (found.dropped, True)):
        for path, label in zip(table["path"], table["label"], strict=True):
            cell = known.find(found.folder / path)
            if cell is None:
                missing.append(str(path))
            else:
                said[cell] = NO_CELL if left else str(label)
                others += left
    if missing:
        raise DataError(
            f"{counted(len(missing), 'labelled image(s) (is|are)')} not among those of this project, so nothing was taken:",
            missing,
        )
    give(project, [said], person)
    lines = [
        line.strip()
        for line in found.account.lines()[1:]
        if not any(word in line for word in _NEWS_OF_NO_USE)
    ]
    if others:
        lines.append(f"{counted(others, 'image(s)')} of none of the classes: entered as '{NO_CELL}'.")
    return len(said), lines


class _Names:
    """The cells of a project by their whole path, and by their name where that is unique."""

    def __init__(self, project: Project) -> None:
        self._numbers = {project.images / cell.path: cell.id for cell in project.cells()}
        self._files: dict[str, Path | None] = {}
        for file in self._numbers:
            self._files[file.name] = None if file.name in self._files else file

    def find(self, file: Path) -> int | None:
        """The number of a cell; None if it is not in the project."""
        found = self.file(file)
        return None if found is None else self._numbers[found]

    def file(self, file: Path) -> Path | None:
        """The file of a cell; None if it is not in the project.

        A file that lies elsewhere is the one of the same name, if that is unique and, where both are there, holds the same.
        """
        if file.absolute() in self._numbers:
            return file.absolute()
        alike = self._files.get(file.name)
        if alike is None or (file.is_file() and file.read_bytes() != alike.read_bytes()):
            return None
        return alike
