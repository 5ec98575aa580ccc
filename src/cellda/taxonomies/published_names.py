"""Which type of cell a published name means: a folder, a column, an abbreviation of the glossary."""

import difflib
import re
import unicodedata
from collections.abc import Iterable

from cellda.errors import UnknownNameError
from cellda.taxonomies.cell_types import CELL_TYPES, TRANSLATED
from cellda.text import shortened

SUGGESTED = 50
"""Number of unknown names in one list for which near names are looked up."""


def key_of(name: str) -> str:
    """A name without case, accents and separators: `"Band_Neutrophil"` -> `"bandneutrophil"`."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "", plain.lower())


_ENGLISH: dict[str, tuple[str, str]] = {
    key_of(name): (name, kind) for kind, known in CELL_TYPES.items() for name in known.names
}
"""Key -> (the name as written there, its type)."""

_KNOWN = {key_of(name): (name, kind) for kind, names in TRANSLATED.items() for name in names} | _ENGLISH
"""The same for all names."""


def cell_type(raw_label: str) -> str:
    """The type of cell that a published name means; case, separators and plural do not matter.

    Args:
        raw_label: A folder, column or glossary name: `"NGB"`, `"Band_Neutrophils"`, `"seg"`, `"normoblast"`.

    Raises:
        UnknownNameError: If the name is unknown; the message suggests the nearest known ones.

    >>> cell_type("Band_Neutrophils"), cell_type("PMO")
    ('band neutrophil', 'promyelocyte')
    """
    known = _known(raw_label)
    if known is None:
        raise UnknownNameError(_refusal(raw_label))
    return known


def is_known(name: str) -> bool:
    """Whether a name means a type of cell."""
    return _known(name) is not None


def unknown_names(raw_labels: Iterable[str]) -> dict[str, str]:
    """Those of `raw_labels` that `cell_type` refuses, each with its error message.

    Near names are suggested for the first `SUGGESTED` alone: comparing a name with all known ones takes a millisecond.
    """
    unknown = [name for name in dict.fromkeys(raw_labels) if _known(name) is None]
    return {name: _refusal(name, suggest=place < SUGGESTED) for place, name in enumerate(unknown)}


def _known(name: str) -> str | None:
    """The type of a name, also of a plural and with or without "cell"; None if it is unknown."""
    key = key_of(name)
    singular = key.removesuffix("s")
    candidates = (key, singular, f"{singular}cell", singular.removesuffix("cell"))
    return next((_KNOWN[candidate][1] for candidate in candidates if candidate in _KNOWN), None)


def _refusal(raw_label: str, *, suggest: bool = True) -> str:
    shown = shortened(raw_label, 80)
    return f"'{shown}' is not a known cell type" + (f"; {_near(key_of(shown))}" if suggest else ".")


def _near(key: str) -> str:
    close = difflib.get_close_matches(key, _ENGLISH, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(repr(_KNOWN[hit][0]) for hit in close)}?"
    return (
        "known names are those of white blood cells and their stages, the glossary's abbreviations, and 'other' for cells to "
        "leave out."
    )
