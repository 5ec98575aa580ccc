"""The base class of taxonomies: which types of cells are told apart."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import combinations
from typing import ClassVar

from cellda.errors import ConfigurationError, UnknownNameError, nearest
from cellda.taxonomies.cell_types import CELL_TYPES, CellType
from cellda.taxonomies.colours import COLOURS
from cellda.taxonomies.published_names import Names
from cellda.text import shortened

UNLABELLED = -1
"""Class index of an image without a label."""

OTHER = "other"
"""The class of cells that belong to no class of a taxonomy, where it keeps them."""

UNKNOWN = "unidentified cell"
"""The type of cells that nobody could name: they may be of any class, and are always left out."""

_COLOUR = re.compile("#[0-9A-Fa-f]{6}")


class Taxonomy:
    """Classes of cells, and how published names fold into them.

    A member states its classes as types of cells (`cell_types.CELL_TYPES`, and its own). A cell belongs to the class that
    its type is, or is a kind of: a band neutrophil to `neutrophil` where there is no class `band neutrophil`. Cells of other
    types are left out, or form the class `other`. A cell whose type is coarser than the classes ("neutrophil" where bands
    and segmented ones are told apart) is never `other`: it is left out of what is measured, and can still teach (`members`).

    Args:
        other: Whether cells of no class are kept as the class `other`, which is the last one.

    Attributes:
        name: Its name in the registry.
        open: Whether the classes are still to be found in the labels of a dataset (`found_in`).
        colours: Class -> colour in figures, `#RRGGBB`, in the order of the class index.
        types: Types of cells that are not in `CELL_TYPES`, or have other names there, with their parents.

    Raises:
        ConfigurationError: If there are fewer than two classes or two of one name or colour, a class is not a type of cell, a
            colour is not written as `#RRGGBB`, or types are kinds of each other in a circle.
    """

    name: ClassVar[str]
    open: bool = False
    colours: Mapping[str, str]
    types: Mapping[str, CellType] = {}

    def __init__(self, other: bool = False) -> None:
        self.other = other
        self._check_form()
        self.names = Names({**CELL_TYPES, **self.types}) if self.types else Names.usual()
        if other:
            known = {name: colour for name, colour in self.colours.items() if name != OTHER}
            self.colours = {**known, OTHER: COLOURS[OTHER]}
        self._check()

    def _check_form(self) -> None:
        """Refuse colours and types that are no mappings of what they should hold.

        Raises:
            ConfigurationError: If they are not.
        """
        colours, types = getattr(self, "colours", None), self.types
        if not isinstance(colours, Mapping):
            raise ConfigurationError(
                f"The taxonomy '{self.name}' cannot be used: `colours` is no mapping of class names to colours."
            )
        wrong = [kind for kind, entry in types.items() if not isinstance(entry, CellType)]
        if wrong:
            raise ConfigurationError(
                f"The taxonomy '{self.name}' cannot be used: `types` holds something else than a CellType for "
                f"{', '.join(map(repr, wrong))}."
            )

    def _check(self) -> None:
        """Refuse what cannot be a taxonomy."""
        problems = [
            f"class '{one}' is '{two}' written differently; give one of them another name"
            for one, two in _twice(self.classes)
        ]
        problems += [
            f"types '{one}' and '{two}' both have the name '{name}'" for name, one, two in self.names.shared
        ]
        if len(self.classes) < 2:
            problems.append(
                f"a taxonomy tells at least two classes apart; it has {', '.join(self.classes) or 'none'}"
            )
        problems += [
            "cells of no class are kept with other=True, not as a class of the taxonomy"
            if name == OTHER
            else f"class '{name}' is not a known type of cell{self._meant(name)}; state it in `types` if it is a new one"
            for name in self.classes
            if name not in self.tree and not (name == OTHER and self.other)
        ]
        problems += [
            f"the colour of '{name}' is {colour!r}, not written as #RRGGBB"
            for name, colour in self.colours.items()
            if not (isinstance(colour, str) and _COLOUR.fullmatch(colour))
        ]
        problems += [
            f"classes '{one}' and '{two}' have the colour {self.colours[two]}"
            for one, two in combinations(self.colours, 2)
            if str(self.colours[one]).lower() == str(self.colours[two]).lower()
        ]
        for kind, entry in self.tree.items():
            if entry.parent is not None and entry.parent not in self.tree:
                problems.append(f"'{kind}' is a kind of '{entry.parent}', which is not a type of cell")
        if not problems:
            problems = [
                f"types are kinds of each other in a circle: {' -> '.join(circle)}"
                for circle in self._circles()
            ]
        if problems:
            raise ConfigurationError(f"The taxonomy '{self.name}' cannot be used: {'; '.join(problems)}.")

    def _meant(self, name: str) -> str:
        near = self.nearest(name)
        return f": did you mean {' or '.join(map(repr, near))}?" if near else ""

    @property
    def tree(self) -> Mapping[str, CellType]:
        """All types of cells that it knows."""
        return self.names.types

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the class index."""
        return tuple(self.colours)

    @property
    def parents(self) -> dict[str, str | None]:
        """Class -> the type of cell that it is a kind of, None if there is none."""
        return {name: self.tree[name].parent if name in self.tree else None for name in self.classes}

    @cached_property
    def members(self) -> dict[str, tuple[int, ...]]:
        """Types that are coarser than the classes -> indices of the classes that are kinds of them.

        What a cell that is only known as such a type may be. In the order of `tree`.
        """
        kinds: dict[str, list[int]] = {}
        for number, name in enumerate(self.classes):
            for above in lineage(name, self.tree)[1:] if name in self.tree else ():
                kinds.setdefault(above, []).append(number)
        return {kind: tuple(kinds[kind]) for kind in self.tree if kind in kinds and kind not in self.classes}

    def fold(self, raw_label: str) -> str | None:
        """The class that a published name belongs to.

        Args:
            raw_label: A folder, column or glossary name: `"NGB"`, `"Band_Neutrophils"`, `"seg"`, `"normoblast"`.

        Returns:
            One of `classes`, or None for cells that are known and belong to none of them.

        Raises:
            UnknownNameError: If the name is unknown; the message suggests the nearest known ones.
        """
        return self._class_of[self.names.type_of(raw_label)]

    def coarse(self, raw_label: str) -> str | None:
        """The type in `members` that a published name means; None if it means a class, or neither.

        Raises:
            UnknownNameError: If the name is unknown.
        """
        kind = self.names.type_of(raw_label)
        return kind if kind in self.members else None

    def is_known(self, name: str) -> bool:
        """Whether `fold` knows a name, as one of the classes or as cells that are left out."""
        return self.names.knows(name)

    def names_a_class(self, name: str) -> bool:
        """Whether `fold` knows a name as one of the classes, or as a type that is coarser than they are."""
        return self.is_known(name) and (self.fold(name) or self.coarse(name)) is not None

    def unknown_names(self, raw_labels: Iterable[str]) -> dict[str, str]:
        """Those of some names that `fold` refuses, each with its error message."""
        return self.names.unknown(raw_labels)

    def nearest(self, name: str) -> list[str]:
        """The types of cells that a name is most like: at most three; none if nothing is near."""
        return list(dict.fromkeys(map(self.names.type_of, self.names.near(name))))

    def is_that_of(self, found: "Taxonomy") -> bool:
        """Whether a dataset in the classes of another taxonomy needs no change to be one of this."""
        return type(self) is type(found) and self.classes == found.classes

    def found_in(self, raw_labels: Iterable[str]) -> "Taxonomy":
        """This taxonomy, or the one that the labels of a dataset make of it (`own`)."""
        del raw_labels
        return self

    def statement(self, names: Iterable[str]) -> tuple[str, ...] | None:
        """Which classes can occur, from their names in any order: in class order, and None for all of them.

        Raises:
            UnknownNameError: If a name is not one of `classes`; the message suggests the nearest ones.
            ConfigurationError: If there are fewer than two different names.
        """
        given = list(dict.fromkeys(names))
        for name in given:
            if name not in self.classes:
                raise UnknownNameError(
                    f"'{shortened(name, 80)}' is not one of the classes; {nearest(name, self.classes)}"
                )
        if len(given) < 2:
            raise ConfigurationError(
                f"present names the classes that can occur, at least two different ones of {', '.join(self.classes)}; got "
                f"{', '.join(given) or 'none'}."
            )
        return (
            None if len(given) == len(self.classes) else tuple(name for name in self.classes if name in given)
        )

    @cached_property
    def _class_of(self) -> dict[str, str | None]:
        rest = OTHER if self.other else None
        found = {}
        for kind in self.tree:
            own = next((one for one in lineage(kind, self.tree) if one in self.colours), None)
            coarser = kind in self.members or kind == UNKNOWN
            found[kind] = own if own is not None or coarser else rest
        return found

    def _circles(self) -> list[list[str]]:
        """Each circle of types that are kinds of each other, once."""
        found: dict[frozenset[str], list[str]] = {}
        for kind in self.tree:
            seen: list[str] = []
            at: str | None = kind
            while at is not None and at not in seen:
                seen.append(at)
                at = self.tree[at].parent
            if at is not None:
                circle = seen[seen.index(at) :]
                found.setdefault(frozenset(circle), [*circle, circle[0]])
        return list(found.values())


def lineage(kind: str, tree: Mapping[str, CellType] = CELL_TYPES) -> list[str]:
    """A type of cell, the type that it is a kind of, and so on.

    >>> lineage("band neutrophil")
    ['band neutrophil', 'neutrophil']
    """
    found = [kind]
    while (parent := tree[found[-1]].parent) is not None:
        found.append(parent)
    return found


def sums(taxonomy: Taxonomy, classes: Sequence[str]) -> tuple[tuple[int, ...], ...] | None:
    """Which of some finer classes each class of a taxonomy is the sum of; None if a class has no kinds among them.

    >>> from cellda.taxonomies import create
    >>> sums(create("wbc5"), ["basophil", "eosinophil", "lymphocyte", "monocyte", "band neutrophil", "segmented neutrophil"])
    ((0,), (1,), (2,), (3,), (4, 5))
    """
    folded = [taxonomy.fold(name) if taxonomy.is_known(name) else None for name in classes]
    parts = [tuple(place for place, own in enumerate(folded) if own == name) for name in taxonomy.classes]
    return tuple(parts) if all(parts) else None


def _twice(names: Iterable[str]) -> list[tuple[str, str]]:
    """Names that are the same but for case, width, spaces and underscores: each with the first that is written otherwise."""
    first: dict[str, str] = {}
    keys = ((name, re.sub(r"[\s_]", "", unicodedata.normalize("NFKC", name).casefold())) for name in names)
    return [(name, there) for name, key in keys if (there := first.setdefault(key, name)) != name]
