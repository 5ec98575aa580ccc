"""What a project stores (SQLite)."""

from enum import StrEnum

from sqlmodel import Field, SQLModel


class Cell(SQLModel, table=True):
    """One image file, which shows one cell.

    Attributes:
        path: Below the images' folder, with `/`.
        group: Patient, slide or both (`anna/slide 2`); empty if none is known.
        rank: When it is to be labelled, from 1; None if it was not suggested.
        similar: Its place among the suggested cells when similar ones stand together.
        guess: What the model took it for when it was suggested; shown only on demand.
        gone: Whether the file was missing when the folder was read last.
    """

    id: int | None = Field(default=None, primary_key=True)
    path: str = Field(unique=True)
    group: str = ""
    rank: int | None = Field(default=None, index=True)
    similar: int | None = None
    guess: str = ""
    gone: bool = False


class State(StrEnum):
    """What became of an entry: it holds, it was undone (and can be redone), or was undone and replaced."""

    HOLDS = "holds"
    UNDONE = "undone"
    REPLACED = "replaced"


class Entry(SQLModel, table=True):
    """What a person said of a cell; entries are never changed but for their state, so nothing is lost.

    Attributes:
        cell: The cell.
        person: Who said it; `DECIDED` for what several people agreed upon.
        name: A class, `NO_CELL` or `UNSURE`; None takes back what was said.
        action: Entries that were made together have the same number.
        at: When, in seconds since 1970.
        state: Whether it holds.
    """

    id: int | None = Field(default=None, primary_key=True)
    cell: int = Field(foreign_key="cell.id", index=True)
    person: str = Field(index=True)
    name: str | None = None
    action: int = Field(index=True)
    at: float
    state: State = State.HOLDS


class Note(SQLModel, table=True):
    """What a person wrote about a cell."""

    cell: int = Field(foreign_key="cell.id", primary_key=True)
    person: str = Field(primary_key=True)
    text: str


class Setting(SQLModel, table=True):
    """A choice that belongs to the project, by name."""

    name: str = Field(primary_key=True)
    value: str


class Stage(StrEnum):
    """Where a job stands."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


class Job(SQLModel, table=True):
    """Long work, done by a process of its own.

    Attributes:
        kind: Name of what is done (`cellda.app.work.KINDS`).
        arguments: JSON.
        stage: Where it stands.
        doing: The piece of work that is going on.
        done: Its steps.
        total: Its steps in all; None if they are unknown.
        said: What the user has to know, in lines.
        started: In seconds since 1970.
        ended: The same; None while it is running.
    """

    id: int | None = Field(default=None, primary_key=True)
    kind: str
    arguments: str = "{}"
    stage: Stage = Stage.RUNNING
    doing: str = ""
    done: int = 0
    total: int | None = None
    said: str = ""
    started: float = 0.0
    ended: float | None = None


class Model(SQLModel, table=True):
    """An adapted model.

    Attributes:
        folder: Below the project's folder.
        made: In seconds since 1970.
        labels: Number of labelled cells.
        accuracy: By cross-validation, with its interval `low` to `high`; None if it could not be measured.
        balanced: Balanced accuracy, over `classes` classes.
        chosen: Whether it is the one that predicts.
    """

    id: int | None = Field(default=None, primary_key=True)
    folder: str
    made: float
    labels: int
    accuracy: float | None = None
    low: float | None = None
    high: float | None = None
    balanced: float | None = None
    classes: int = 0
    chosen: bool = False
