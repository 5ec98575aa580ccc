"""The project of a folder of images: opened or begun, and read again when images are added."""

import json
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, event
from sqlmodel import Session, SQLModel, col, create_engine, select

from cellda import source_models
from cellda.app.project.tables import Cell, Setting
from cellda.data.own_cells import grouped, image_files
from cellda.datasets.reading.account import Tally
from cellda.errors import ConfigurationError, DataError
from cellda.runtime.place import check_writable
from cellda.source_models.spec import SourceModel

SUFFIX = ".cellda"
"""Ending of a project's folder, which lies next to that of the images: nothing is ever written among them."""
DATABASE = "project.sqlite"


class Project:
    """Images, labels, models and jobs of one folder.

    Args:
        images: The folder of the images.
        place: The project's folder; None for the one next to `images`.
        classes: What cells may be called, in the order of the keys 1 to 9, where a project is begun; None for the classes of
            the default source model. A project that is there keeps its own.

    Attributes:
        classes: What cells may be called.
        id: Tells this project from others: pages name theirs in every call.

    Raises:
        DataError: If there is no such folder.
        ConfigurationError: If the project cannot be written.
    """

    def __init__(self, images: Path, place: Path | None = None, classes: Sequence[str] | None = None) -> None:
        self.images = images.expanduser().absolute()
        if not self.images.is_dir():
            raise DataError(f"There is no folder {self.images}.")
        if not self.images.name:
            raise DataError(f"{self.images} is the whole disk; choose a folder in it.")
        self.place = (place or self.images.with_name(f"{self.images.name}{SUFFIX}")).expanduser().absolute()
        if self.place == self.images or self.place.is_relative_to(self.images):
            raise ConfigurationError(
                f"The project {self.place} would lie among the images; give another folder with --project."
            )
        check_writable(self.place, folder=True, what="project")
        if not self.place.exists():
            image_files([self.images])  # a folder without any begins no project
            self.place.mkdir(parents=True, mode=0o700)  # it holds labels, and the key of the page
        for name in ("models", "jobs", "pictures"):
            (self.place / name).mkdir(parents=True, exist_ok=True)
        self.engine = _engine(self.place / DATABASE)
        self._check_owner()
        if not self.setting("classes"):
            begun = classes or SourceModel.model_validate(source_models.DEFAULT).description.classes
            self.set("classes", json.dumps(list(begun)))
        self.classes: tuple[str, ...] = tuple(json.loads(self.setting("classes")))
        if not self.setting("id"):
            self.set("id", secrets.token_hex(8))
        self.id = self.setting("id")

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A transaction: everything in it is stored at its end, or nothing if it fails."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    def setting(self, name: str, usual: str = "") -> str:
        """A choice of the project; `usual` where none was made."""
        with self.session() as session:
            found = session.get(Setting, name)
            return usual if found is None else found.value

    def set(self, name: str, value: str) -> None:
        """Store a choice of the project."""
        with self.session() as session:
            session.merge(Setting(name=name, value=value))

    def read_folder(self) -> list[str]:
        """Take in what the folder holds now.

        Returns:
            The account of the files, in lines. It is stored, too (setting `account`).

        Raises:
            DataError: If the folder holds no image.
        """
        self.check_there()
        tally = Tally()
        files = self._own(image_files([self.images], tally), tally)
        if not files:
            raise DataError(f"There is no image in {self.images}.")
        found = {
            file.absolute().relative_to(self.images).as_posix(): group
            for file, group in grouped(files, [self.images])
        }
        with self.session() as session:
            known = {cell.path: cell for cell in session.exec(select(Cell))}
            for path, cell in known.items():
                cell.gone = path not in found
            session.add_all(
                Cell(path=path, group=group) for path, group in found.items() if path not in known
            )
        lines = list(tally.close("images", len(found)).lines())
        self.set("account", "\n".join(lines))
        self.set("read", str(int(self.setting("read", "0")) + 1))
        return lines

    def check_there(self) -> None:
        """Refuse to go on if the images are gone.

        Raises:
            DataError: If their folder is.
        """
        if not self.images.is_dir():
            raise DataError(
                f"The folder {self.images} is gone: put it back, or choose another one. The labels are kept in {self.place}."
            )

    def _own(self, files: Sequence[Path], tally: Tally) -> list[Path]:
        """The images that a project can hold: none of another project inside the folder, none without a name in UTF-8."""
        own, others, unnamed = [], [], []
        for file in files:
            inside = file.absolute().relative_to(self.images).parents
            if any(one.name.endswith(SUFFIX) and (self.images / one / DATABASE).is_file() for one in inside):
                others.append(str(file))
            elif not _is_text(str(file)):
                unnamed.append(str(file))
            else:
                own.append(file)
        if others:
            tally.leave("picture(s) in the project of a folder inside this one", "", others)
        if unnamed:
            tally.leave("image(s) whose name is not UTF-8: rename (it|them)", "", unnamed)
        return own

    def cells(self) -> list[Cell]:
        """All cells whose file is there, by path."""
        with self.session() as session:
            return list(session.exec(select(Cell).where(col(Cell.gone).is_(False)).order_by(Cell.path)))

    def cell(self, number: int) -> Cell:
        """One cell.

        Raises:
            DataError: If there is none of that number.
        """
        with self.session() as session:
            found = session.get(Cell, number)
        if found is None:
            raise DataError(f"There is no cell {number} in this project.")
        return found

    def file(self, cell: Cell) -> Path:
        """The image file of a cell; one below the images' folder, always.

        Raises:
            DataError: If the path leads out of it.
        """
        file = self.images / cell.path
        if not file.resolve().is_relative_to(self.images.resolve()):
            raise DataError(f"{cell.path} leads out of the folder {self.images}; copy the file into it.")
        return file

    def _check_owner(self) -> None:
        owner = self.setting("images")
        if owner and Path(owner) != self.images and Path(owner).is_dir():
            raise ConfigurationError(
                f"The project {self.place} belongs to the images in {owner}; give another folder with --project."
            )
        self.set("images", str(self.images))


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _engine(file: Path) -> Engine:
    engine = create_engine(f"sqlite:///{file}", connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def _set_up(connection: sqlite3.Connection, _record: object) -> None:
        # Readers do not wait for the writer; a label that was acknowledged survives a crash of the machine.
        for line in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {line}")

    SQLModel.metadata.create_all(engine)
    return engine
