"""Two people who label the same cells: how far they agree, and where they do not."""

from dataclasses import dataclass

from sklearn.metrics import cohen_kappa_score

from cellda.app.project.labels import DECIDED, said_by
from cellda.app.project.project import Project


@dataclass(frozen=True)
class Pair:
    """Two people.

    Attributes:
        people: Their names.
        cells: Number of cells that both have labelled.
        agreed: Number of these of which they say the same.
        kappa: Cohen's kappa; None where it is not defined (fewer than two cells, or both say one thing only).
    """

    people: tuple[str, str]
    cells: int
    agreed: int
    kappa: float | None


@dataclass(frozen=True)
class Disagreement:
    """A cell of which people say different things: person -> what; and what was decided, empty if nothing was."""

    cell: int
    said: dict[str, str]
    decided: str


def pairs(project: Project) -> list[Pair]:
    """All pairs of people who have labelled some cell both."""
    said = said_by(project)
    people = sorted(name for name in said if name != DECIDED)
    found = []
    for place, one in enumerate(people):
        for other in people[place + 1 :]:
            both = sorted(said[one].keys() & said[other].keys())
            if both:
                left, right = ([said[who][cell] for cell in both] for who in (one, other))
                same = sum(a == b for a, b in zip(left, right, strict=True))
                defined = len(both) > 1 and len({*left, *right}) > 1
                kappa = float(cohen_kappa_score(left, right)) if defined else None
                found.append(Pair((one, other), len(both), same, kappa))
    return found


def disagreements(project: Project) -> list[Disagreement]:
    """The cells of which people say different things, the undecided ones first."""
    said = said_by(project)
    decided = said.pop(DECIDED, {})
    cells = {cell for own in said.values() for cell in own}
    found = []
    for cell in sorted(cells):
        of_cell = {who: own[cell] for who, own in said.items() if cell in own}
        if len(set(of_cell.values())) > 1:
            found.append(Disagreement(cell, of_cell, decided.get(cell, "")))
    return sorted(found, key=lambda one: bool(one.decided))
