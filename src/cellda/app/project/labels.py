"""What people say of cells: entries that are added, undone and redone, and the labels that follow from them."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from sqlmodel import Session, col, func, select

from cellda.app.project.project import Project
from cellda.app.project.tables import Cell, Entry, Note, State
from cellda.errors import ConfigurationError, nearest

NO_CELL, UNSURE = "not a cell", "unsure"
"""What may be said of an image that has no class."""
DECIDED = "decision"
"""The person of what several people agreed upon."""
LONGEST = 2000
"""Most characters of a note."""


def check_name(project: Project, name: str | None) -> None:
    """Refuse what is neither a class, nor `NO_CELL` or `UNSURE`; None takes a label back.

    Raises:
        ConfigurationError: If so.
    """
    known = (*project.classes, NO_CELL, UNSURE)
    if name is not None and name not in known:
        raise ConfigurationError(f"'{name}' is no class; {nearest(name, known)}")


def check_person(person: str) -> str:
    """A person's name without spaces around it.

    Raises:
        ConfigurationError: If it is empty, long, or the name of decisions.
    """
    name = person.strip()
    if not name or len(name) > 40 or not name.isprintable():
        raise ConfigurationError("A name has 1 to 40 printable characters.")
    if name == DECIDED:
        raise ConfigurationError(f"'{DECIDED}' is what agreed labels are called; take another name.")
    return name


def give(project: Project, actions: Sequence[Mapping[int, str | None]], person: str) -> None:
    """Enter what a person says of cells; what was undone before can no longer be redone.

    Args:
        project: The project.
        actions: In their order; each, which is undone as a whole, says cell -> class, `NO_CELL`, `UNSURE`, or None to take
            back what was said.
        person: Who says it.

    Raises:
        ConfigurationError: If a name or a cell is unknown. Nothing is entered then.
    """
    for name in {name for said in actions for name in said.values()}:
        check_name(project, name)
    with project.session() as session:
        for entry in session.exec(select(Entry).where(Entry.person == person, Entry.state == State.UNDONE)):
            entry.state = State.REPLACED
        cells = {cell for said in actions for cell in said}
        known = set(session.exec(select(Cell.id).where(col(Cell.id).in_(cells))))
        if cells - known:
            raise ConfigurationError(f"There is no cell {min(cells - known)} in this project.")
        last = session.exec(select(func.max(Entry.action))).one() or 0
        now = time.time()
        session.add_all(
            Entry(cell=cell, person=person, name=name, action=last + place, at=now)
            for place, said in enumerate(actions, start=1)
            for cell, name in said.items()
        )


def undo(project: Project, person: str) -> list[int]:
    """Undo the last action of a person: the cells that it changed; empty if there is none left."""
    with project.session() as session:
        last = session.exec(
            select(func.max(Entry.action)).where(Entry.person == person, Entry.state == State.HOLDS)
        ).one()
        return _turn(session, last, State.UNDONE)


def redo(project: Project, person: str) -> list[int]:
    """Do again what was undone last: the cells that it changed; empty if there is nothing."""
    with project.session() as session:
        first = session.exec(
            select(func.min(Entry.action)).where(Entry.person == person, Entry.state == State.UNDONE)
        ).one()
        return _turn(session, first, State.HOLDS)


def _turn(session: Session, action: int | None, state: State) -> list[int]:
    if action is None:
        return []
    entries = list(session.exec(select(Entry).where(Entry.action == action)))
    for entry in entries:
        entry.state = state
    return [entry.cell for entry in entries]


def said_by(project: Project) -> dict[str, dict[int, str]]:
    """Person -> cell -> what holds of what the person said."""
    with project.session() as session:
        rows = session.exec(
            select(Entry.person, Entry.cell, Entry.name)
            .where(Entry.state == State.HOLDS)
            .order_by(col(Entry.id))
        ).all()
    found: dict[str, dict[int, str]] = {}
    for person, cell, name in rows:
        own = found.setdefault(person, {})
        if name is None:
            own.pop(cell, None)
        else:
            own[cell] = name
    return found


def labels(project: Project) -> dict[int, str]:
    """Cell -> what holds: a decision, or what all who labelled it say; cells of which people disagree have none."""
    said = said_by(project)
    decided = said.pop(DECIDED, {})
    found: dict[int, str] = {}
    open_: set[int] = set()
    for own in said.values():
        for cell, name in own.items():
            if found.setdefault(cell, name) != name:
                open_.add(cell)
    return {cell: name for cell, name in found.items() if cell not in open_} | decided


def usable(project: Project) -> dict[int, str]:
    """Cell -> class, of the labels from which a model can learn."""
    return {cell: name for cell, name in labels(project).items() if name in project.classes}


def class_counts(project: Project, found: Iterable[str]) -> dict[str, int]:
    """Class -> number of labels, all classes."""
    number = Counter(found)
    return {name: number[name] for name in project.classes}


def write_note(project: Project, cell: int, person: str, text: str) -> None:
    """Keep what a person writes about a cell; an empty text removes it.

    Raises:
        ConfigurationError: If it is too long.
        DataError: If there is no such cell.
    """
    if len(text) > LONGEST:
        raise ConfigurationError(f"A note has at most {LONGEST:,} characters; this one has {len(text):,}.")
    project.cell(cell)
    with project.session() as session:
        known = session.get(Note, (cell, person))
        if text.strip():
            session.merge(Note(cell=cell, person=person, text=text.strip()))
        elif known is not None:
            session.delete(known)


def notes(project: Project) -> dict[int, dict[str, str]]:
    """Cell -> person -> note."""
    found: dict[int, dict[str, str]] = {}
    with project.session() as session:
        for note in session.exec(select(Note)):
            found.setdefault(note.cell, {})[note.person] = note.text
    return found


def to_label(project: Project) -> Sequence[Cell]:
    """The suggested cells, in the order in which they are to be labelled."""
    with project.session() as session:
        return list(
            session.exec(
                select(Cell)
                .where(col(Cell.rank).is_not(None), col(Cell.gone).is_(False))
                .order_by(col(Cell.rank))
            )
        )


def last_said(project: Project) -> float:
    """When somebody said something last, in seconds since 1970; 0 if nobody has."""
    with project.session() as session:
        return session.exec(select(func.max(Entry.at))).one() or 0.0
