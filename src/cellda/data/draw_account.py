"""What a draw took of each class, next to what was wanted, and why it took less."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from cellda.text import agreeing, counted

FEW = 5
"""Labelled cells of a class below which its result depends on the very cells."""


class Why(Enum):
    """Why a draw took less of a class than it wanted, in words that follow the number."""

    NONE = ""
    FEW = "at most half of its cells are taken"
    ONE_GROUP = "all its cells lie in one group, which is measured"
    SIDE = "the groups that are not measured hold no more"


@dataclass(frozen=True)
class Taken:
    """What a draw took of one class.

    Attributes:
        name: The class.
        wanted: Number of cells that the draw asked of it.
        taken: Number of cells that it took.
        cells: Number of cells that the target has of it.
        why: Why fewer were taken than wanted.
    """

    name: str
    wanted: int
    taken: int
    cells: int
    why: Why = Why.NONE

    def __str__(self) -> str:
        why = f" ({self.why.value})" if self.why is not Why.NONE else ""
        return f"{self.taken} of the {self.cells} {self.name}{why}"


def shortfall(taken: Sequence[Taken], n: int, measured: int) -> list[str]:
    """One line that says why a draw holds fewer cells than were asked for; none if it holds as many.

    Args:
        taken: What was taken of each class.
        n: Number of cells that were asked for.
        measured: Number of cells that are left to measure.
    """
    total, wanted = sum(one.taken for one in taken), {one.wanted for one in taken}
    if not taken or total >= n:
        return []
    why = [str(one) for one in taken if one.why is not Why.NONE]
    if len(wanted) == 1:
        why.insert(0, f"{wanted.pop()} of each of {counted(len(taken), '(class|classes)')} were wanted")
    if rest := n - sum(one.wanted for one in taken):
        why.append(f"the remainder of {rest} {agreeing(rest, '(is|are)')} not drawn")
    return [
        f"{total} of {counted(n, 'label(s)')} {agreeing(total, '(was|were)')} taken: {'; '.join(why)}. "
        f"{counted(measured, 'cell(s) (is|are)')} left to measure"
    ]


def few_labels(labels: Mapping[str, int]) -> list[str]:
    """One line that names the classes with few labelled cells; none if there are none.

    Args:
        labels: Number of labelled cells of each class.
    """
    scarce = [f"{name} {count}" for name, count in labels.items() if 0 < count < FEW]
    if not scarce:
        return []
    return [
        f"fewer than {FEW} labels, so that the result depends on which cells they are: {', '.join(scarce)}"
    ]
