"""The base class of taxonomies: which types of cells are told apart."""

from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar

from cellda.taxonomies.cell_types import CELL_TYPES
from cellda.taxonomies.published_names import cell_type


class Taxonomy:
    """Classes of cells, and how published names fold into them.

    A member states its classes as names of `cell_types.CELL_TYPES`. A cell belongs to the class that its type is, or is a kind of:
    a band neutrophil to `neutrophil` where there is no class `band neutrophil`. Cells of other types, and cells whose type is
    coarser than the classes ("neutrophil" where bands and segmented ones are told apart), are left out.

    Attributes:
        name: Its name in the registry.
        colours: Class -> colour in figures, `#RRGGBB`, in the order of the class index.
    """

    name: ClassVar[str]
    colours: ClassVar[Mapping[str, str]]

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the class index."""
        return tuple(self.colours)

    @cached_property
    def parents(self) -> dict[str, str | None]:
        """Class -> the type of cell that it is a kind of, None if there is none."""
        return {name: CELL_TYPES[name].parent for name in self.classes}

    @cached_property
    def _class_of(self) -> dict[str, str | None]:
        return {kind: next((one for one in lineage(kind) if one in self.colours), None) for kind in CELL_TYPES}

    def fold(self, raw_label: str) -> str | None:
        """The class that a published name belongs to.

        Args:
            raw_label: A folder, column or glossary name: `"NGB"`, `"Band_Neutrophils"`, `"seg"`, `"normoblast"`.

        Returns:
            One of `classes`, or None for cells that are known and belong to none of them.

        Raises:
            UnknownNameError: If the name is unknown; the message suggests the nearest known ones.
        """
        return self._class_of[cell_type(raw_label)]


def lineage(kind: str) -> list[str]:
    """A type of cell, the type that it is a kind of, and so on.

    >>> lineage("band neutrophil")
    ['band neutrophil', 'neutrophil']
    """
    found = [kind]
    while (parent := CELL_TYPES[found[-1]].parent) is not None:
        found.append(parent)
    return found
