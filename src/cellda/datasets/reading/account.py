"""The account of a dataset: what was used, what was left out and why, and what a reader of the results needs to know."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cellda.text import agreeing, counted, shown

OUTSIDE = "cell(s) of none of the classes"
COARSE = "cell(s) labelled more coarsely than the classes"
MAPPED = "cell(s) that the mapping leaves out"
BY_LABEL = (OUTSIDE, COARSE, MAPPED)
"""Why a cell with a known label is left out."""

COPIES = "copies of images under different classes (twins='drop')"
"""Why cells of known classes are left out."""

NO_GROUPS = "no groups: images of one patient may be on both sides"
"""What is said of a dataset that does not know which cells belong together."""

PREVIEWS = "image file(s) that also hold smaller pictures (previews, gain maps), which are passed over"
"""What is said of files of which only the first picture is read."""

EXAMPLES = 3
_KINDS = 6


@dataclass(frozen=True)
class LeftOut:
    """What was found and left out for one reason.

    Attributes:
        what: What it is and why, in words that follow a number (`cellda.text.counted`): `"hidden file(s)"`.
        kind: The label of cells, the suffix of files, "" if there is no finer kind.
        count: How many.
        names: Their names: all of them, or examples; empty if only their number is known.
    """

    what: str
    kind: str
    count: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class Account:
    """What was found, used and left out when a dataset was read.

    Attributes:
        name: Name of the dataset, or what else was read.
        used: Number of cells, or images, that are used.
        groups: Number of groups among them; None if no groups are known.
        left_out: What was left out, by reason and kind.
        notes: Sentences about what was assumed or repaired.
    """

    name: str
    used: int
    groups: int | None = None
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def cells_left_out(self) -> dict[str, int]:
        """Number of cells that are left out because of their class, by published name."""
        return {one.kind: one.count for one in self.left_out if one.what in BY_LABEL}

    @property
    def found(self) -> int:
        """Number of cells found: used, or left out because of their class or as copies under several."""
        return self.used + sum(one.count for one in self.left_out if one.what in (*BY_LABEL, COPIES))

    @property
    def silent(self) -> bool:
        """Whether there is nothing to say when it is read: nothing was left out or assumed.

        That there are no groups concerns results, which say it.
        """
        return not self.left_out and set(self.notes) <= {NO_GROUPS}

    @property
    def without_groups(self) -> bool:
        """Whether cells of one patient may be on both sides of a draw, because no groups are known."""
        return NO_GROUPS in self.notes

    def brief(self) -> "Account":
        """The account with a few examples instead of all names, for records."""
        return replace(
            self, left_out=tuple(replace(one, names=one.names[:EXAMPLES]) for one in self.left_out)
        )

    def also(self, what: str, names: Sequence[str]) -> "Account":
        """The account with further things that are left out, if there are any."""
        if not names:
            return self
        return replace(
            self, left_out=(*self.left_out, LeftOut(what, "", len(names), tuple(map(shown, names))))
        )

    def lines(self) -> list[str]:
        """A few lines for people: the cells, one line for each reason, one for each note; empty if there is nothing to say."""
        if self.silent:
            return []
        return [self._used(), *self.details()]

    def _used(self) -> str:
        if self.used == self.found:
            return f"{self.name}: {counted(self.used, '(is|are)')} used."
        return f"{self.name}: {self.used:,} of {counted(self.found, 'cell(s)')} {agreeing(self.used, '(is|are)')} used."

    def details(self) -> list[str]:
        """The lines below the first: one for each reason, one for each note."""
        reasons: dict[str, list[LeftOut]] = defaultdict(list)
        for one in self.left_out:
            reasons[one.what].append(one)
        return [
            *(f"  left out: {_summed(what, ones)}" for what, ones in reasons.items()),
            *(f"  {n}" for n in self.notes),
        ]

    def every(self) -> list[str]:
        """One line for each thing that was left out, with its reason."""
        return [
            f"{name}: {one.what}{f' ({one.kind})' if one.kind else ''}"
            for one in self.left_out
            for name in one.names or [f"{one.count:,}"]
        ]


class Tally:
    """What is left out and noted while a dataset is read; it becomes an `Account`."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._unnamed: dict[tuple[str, str], int] = defaultdict(int)
        self._notes: dict[str, None] = {}

    def leave(self, what: str, kind: str, names: Iterable[str]) -> None:
        """Enter things that are left out, by name."""
        self._names[what, kind].extend(map(shown, names))

    def leave_unnamed(self, what: str, count: int) -> None:
        """Enter a number of things that are left out."""
        self._unnamed[what, ""] += count

    def take(self, other: "Tally", folder: Path) -> None:
        """Enter what another tally holds, its names below a folder."""
        for key, names in other._names.items():
            self._names[key].extend(shown(f"{folder}/{name}") for name in names)
        for key, count in other._unnamed.items():
            self._unnamed[key] += count
        self._notes |= {f"{shown(folder)}: {note}": None for note in other._notes}

    def note(self, sentence: str) -> None:
        """Enter a sentence about what is assumed or repaired."""
        self._notes[sentence] = None

    def close(self, name: str, used: int, groups: int | None = None) -> Account:
        """The account."""
        entries = [LeftOut(*key, len(names), tuple(names)) for key, names in self._names.items() if names]
        entries += [LeftOut(*key, count, ()) for key, count in self._unnamed.items() if count]
        return Account(name, used, groups, tuple(entries), tuple(self._notes))


def _summed(what: str, ones: Sequence[LeftOut]) -> str:
    """`36 cells of none of the classes: 20 blast, 16 platelet (such as blast/1.png)`."""
    total = sum(one.count for one in ones)
    kinds = sorted((one for one in ones if one.kind), key=lambda one: -one.count)
    if kinds and len(kinds) == len(ones) == total and all(one.names == (one.kind,) for one in kinds):
        # Names alone: each is its own kind.
        more = f" and {total - _KINDS} more" if total > _KINDS else ""
        return f"{counted(total, what)}: {', '.join(one.kind for one in kinds[:_KINDS])}{more}"
    listed = ", ".join(f"{one.count:,} {one.kind}" for one in kinds[:_KINDS])
    if len(kinds) > _KINDS:
        listed += f" and {sum(one.count for one in kinds[_KINDS:]):,} of {counted(len(kinds) - _KINDS, 'more kind(s)')}"
    names = [name for one in ones for name in one.names[:EXAMPLES]][:EXAMPLES]
    if len(kinds) == 1 and names == [kinds[0].kind]:
        names = []
    example = f" ({', '.join(names)}{', ...' if total > len(names) else ''})" if names else ""
    return f"{counted(total, what)}{f': {listed}' if listed else ''}{example}"
