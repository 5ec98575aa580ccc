"""Which type of cell a published name means: a folder, a column, an abbreviation of the glossary."""

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import cache, cached_property, lru_cache
from typing import Self

from cellda.errors import UnknownNameError
from cellda.taxonomies.cell_types import CELL_TYPES, TRANSLATED, CellType
from cellda.text import shortened

SUGGESTED = 50
"""Number of unknown names in one list for which near names are looked up."""


@lru_cache(maxsize=2**16)
def key_of(name: str) -> str:
    """A name without case, accents and separators: `"Band_Neutrophil"` -> `"bandneutrophil"`."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "", plain.lower())


class Names:
    """The published names of types of cells; case, separators and plural do not matter.

    Args:
        types: The types by name, each with its published names in English.
    """

    def __init__(self, types: Mapping[str, CellType]) -> None:
        self.types = types
        self._english = {
            key_of(name): (name, kind) for kind, known in types.items() for name in (*known.names, kind)
        }
        other = {
            key_of(name): (name, kind)
            for kind, names in TRANSLATED.items()
            if kind in types
            for name in names
        }
        self._known = other | self._english

    @cached_property
    def shared(self) -> list[tuple[str, str, str]]:
        """Published names that several types claim in English: the name, and two of these types."""
        first: dict[str, tuple[str, str]] = {}
        claims = [(name, kind) for kind, known in self.types.items() for name in (*known.names, kind)]
        return [
            (name, first[key_of(name)][1], kind)
            for name, kind in claims
            if key_of(name) and first.setdefault(key_of(name), (name, kind))[1] != kind
        ]

    @classmethod
    @cache
    def usual(cls) -> Self:
        """The names of `CELL_TYPES`."""
        return cls(CELL_TYPES)

    def type_of(self, raw_label: str) -> str:
        """The type of cell that a published name means.

        Args:
            raw_label: A folder, column or glossary name: `"NGB"`, `"Band_Neutrophils"`, `"seg"`, `"normoblast"`.

        Raises:
            UnknownNameError: If the name is unknown; the message suggests the nearest known ones.

        >>> Names.usual().type_of("Band_Neutrophils"), Names.usual().type_of("PMO")
        ('band neutrophil', 'promyelocyte')
        """
        known = self._find(raw_label)
        if known is None:
            raise UnknownNameError(self._refusal(raw_label))
        return known

    def knows(self, name: str) -> bool:
        """Whether a name means a type of cell."""
        return self._find(name) is not None

    def unknown(self, raw_labels: Iterable[str]) -> dict[str, str]:
        """Those of some names that `type_of` refuses, each with its error message.

        Near names are suggested for the first `SUGGESTED` alone: comparing a name with all known ones takes a millisecond.
        """
        unknown = [name for name in dict.fromkeys(raw_labels) if self._find(name) is None]
        return {name: self._refusal(name, suggest=place < SUGGESTED) for place, name in enumerate(unknown)}

    def near(self, name: str) -> list[str]:
        """The known names nearest to one, at most three; none if nothing is near."""
        close = difflib.get_close_matches(key_of(name), self._english, n=3, cutoff=0.6)
        return [self._english[hit][0] for hit in close]

    def _find(self, name: str) -> str | None:
        """The type of a name, also of a plural and with or without "cell"; None if it is unknown."""
        key = key_of(name)
        singular = key.removesuffix("s")
        candidates = (key, singular, f"{singular}cell", singular.removesuffix("cell"))
        return next((self._known[one][1] for one in candidates if one in self._known), None)

    def _refusal(self, raw_label: str, *, suggest: bool = True) -> str:
        shown = shortened(raw_label, 80)
        said = f"'{shown}' is not a known cell type"
        if not suggest:
            return f"{said}."
        near = self.near(shown)
        if near:
            return f"{said}; did you mean {' or '.join(map(repr, near))}?"
        return (
            f"{said}; known names are those of white blood cells and their stages, the glossary's abbreviations, and 'other' "
            "for cells to leave out."
        )
