"""The six classes of the paper, and how published names map to them.

`fold` maps a published folder, column or file name to one of `CLASSES`, or to None where the name is known
but its cells are left out of the study (blasts, platelets, artefacts, ...). Unknown names raise an error that
suggests the nearest known ones.
"""

import difflib
import re
import unicodedata
from collections.abc import Iterable

from cellda.errors import ConfigurationError, UnknownNameError, nearest
from cellda.text import shortened

CLASSES: tuple[str, ...] = ("basophil", "eosinophil", "erythroblast", "lymphocyte", "monocyte", "neutrophil")
"""Class names in the order of the class index 0..5."""

UNLABELLED = -1
"""Class index of an image without a label."""

SUGGESTED = 50
"""Number of unknown names in one list for which near names are looked up."""

ABBREVIATIONS: dict[str, str] = {
    "ABE": "eosinophil of abnormal appearance",
    "ART": "artefact of staining or imaging",
    "BAS": "basophil granulocyte",
    "BLA": "blast of any lineage",
    "BMS": "smear of bone marrow",
    "EBO": "erythroblast, stage not stated",
    "EOS": "eosinophil granulocyte",
    "ERA": "acidophilic erythroblast (normoblast)",
    "ERB": "basophilic erythroblast (normoblast)",
    "ERO": "orthochromatic erythroblast (normoblast)",
    "ERP": "polychromatic erythroblast (normoblast)",
    "FGC": "faggot cell (promyelocyte with bundles of Auer rods)",
    "GAN": "generative adversarial network (a method, not a cell)",
    "HAC": "hairy cell",
    "KSC": "smudge cell",
    "LYA": "atypical lymphocyte; the paper's glossary also gives lymphoma cell",
    "LYI": "immature lymphocyte",
    "LYT": "typical, mature lymphocyte",
    "MGG": "May-Grünwald-Giemsa (a stain, not a cell)",
    "MMZ": "metamyelocyte",
    "MOB": "monoblast",
    "MON": "monocyte",
    "MYB": "myelocyte",
    "MYO": "myeloblast",
    "NEU": "neutrophil granulocyte, stage not stated",
    "NGB": "band neutrophil",
    "NGS": "segmented neutrophil",
    "NIF": "cell that could not be identified",
    "OTH": "other cell",
    "PBL": "pronormoblast",
    "PBS": "smear of peripheral blood",
    "PEB": "proerythroblast",
    "PLA": "platelet",
    "PLM": "plasma cell",
    "PMB": "promyelocyte with a bilobed nucleus",
    "PMO": "promyelocyte",
    "THO": "thrombocyte",
    "WBC": "white blood cell (any)",
}
"""The abbreviations of the paper's glossary (and `MOB`, which only Munich 2019 uses) with their meaning."""

_FOLDED: dict[str, tuple[str, ...]] = {
    "basophil": (
        "BAS", "BA", "Baso", "basophil", "basophil granulocyte", "basophilic granulocyte",
        "segmented basophil",
    ),
    "eosinophil": (
        "EOS", "EO", "Eosi", "Eosin", "eosinophil", "eosinophil granulocyte", "eosinophilic granulocyte",
        "segmented eosinophil", "band eosinophil", "ABE", "abnormal eosinophil",
    ),
    "erythroblast": (
        "EBO", "erythroblast", "normoblast", "NRBC", "nucleated red blood cell", "nucleated red cell",
        "nucleated erythrocyte",
        "ERB", "basophilic erythroblast", "basophilic normoblast", "early normoblast", "prorubricyte",
        "ERP", "polychromatic erythroblast", "polychromatic normoblast", "polychromatophilic erythroblast",
        "polychromatophilic normoblast", "intermediate normoblast", "rubricyte",
        "ERO", "orthochromatic erythroblast", "orthochromatic normoblast", "orthochromic erythroblast",
        "orthochromic normoblast", "late normoblast", "metarubricyte",
        "ERA", "acidophilic erythroblast", "acidophilic normoblast",
    ),
    "lymphocyte": (
        "LYT", "LY", "LYM", "Lymp", "lymph", "lympho", "lymphocyte", "typical lymphocyte",
        "lymphocyte typical", "mature lymphocyte", "normal lymphocyte", "small lymphocyte",
        "large lymphocyte", "large granular lymphocyte", "LYI", "immature lymphocyte", "lymphocyte immature",
    ),
    "monocyte": ("MON", "MO", "mono", "monocyte", "mature monocyte"),
    "neutrophil": (
        "NEU", "NE", "neut", "neutro", "neutrophil", "neutrophil granulocyte", "neutrophilic granulocyte",
        "mature neutrophil", "hypersegmented neutrophil", "PMN", "polymorphonuclear neutrophil",
        "polymorphonuclear leukocyte",
        "NGB", "BNE", "band", "band neutrophil", "neutrophil band", "band cell", "band form", "stab",
        "stab cell", "stab neutrophil", "neutrophil stab", "unsegmented neutrophil", "banded neutrophil",
        "NGS", "SNE", "seg", "segmented", "segmented neutrophil", "neutrophil segmented", "seg neutrophil",
        "neutrophil seg",
    ),
}  # fmt: skip

_DROPPED: tuple[str, ...] = (
    "BLA", "blast", "blast cell", "MYO", "myeloblast", "MOB", "monoblast", "lymphoblast", "megakaryoblast",
    "PEB", "proerythroblast", "PBL", "pronormoblast", "rubriblast",
    "PMO", "PMY", "promyelocyte", "PMB", "bilobed promyelocyte", "promyelocyte bilobed", "FGC", "faggot cell",
    "faggott cell",
    "MYB", "MY", "myelocyte", "MMZ", "MMY", "metamyelocyte", "IG", "immature granulocyte",
    "promonocyte", "prolymphocyte", "megakaryocyte",
    "LYA", "atypical lymphocyte", "lymphocyte atypical", "variant lymphocyte", "reactive lymphocyte",
    "lymphoma", "lymphoma cell", "HAC", "hairy cell", "PLM", "plasma cell", "mast cell", "macrophage",
    "PLA", "platelet", "giant platelet", "platelet clump", "THO", "thrombocyte",
    "RBC", "red blood cell", "red cell", "erythrocyte", "reticulocyte",
    "KSC", "smudge cell", "smudge", "basket cell", "ART", "artefact", "artifact", "NIF", "not identifiable",
    "unidentified", "unknown", "OTH", "other", "other cell", "mixt", "mixed", "background", "debris", "unclear",
)  # fmt: skip

_TRANSLATED: dict[str | None, tuple[str, ...]] = {
    "basophil": (
        "Basophiler", "Basophiler Granulozyt", "Basophile Granulozyten", "basophile", "granulocyte basophile",
        "granulocytes basophiles", "polynucléaire basophile", "polynucléaires basophiles", "basófilo", "granulocito basófilo",
    ),
    "eosinophil": (
        "Eosinophiler", "Eosinophiler Granulozyt", "Eosinophile Granulozyten", "éosinophile", "granulocyte éosinophile",
        "granulocytes éosinophiles", "polynucléaire éosinophile", "polynucléaires éosinophiles", "eosinófilo",
        "granulocito eosinófilo",
    ),
    "erythroblast": ("Erythroblasten", "Normoblasten", "érythroblaste", "normoblaste", "eritroblasto", "normoblasto"),
    "lymphocyte": ("Lymphozyt", "Lymphozyten", "linfocito"),
    "monocyte": ("Monozyt", "Monozyten", "monocito"),
    "neutrophil": (
        "Neutrophiler", "Neutrophiler Granulozyt", "Neutrophile Granulozyten", "neutrophile", "granulocyte neutrophile",
        "granulocytes neutrophiles", "polynucléaire neutrophile", "polynucléaires neutrophiles", "neutrófilo",
        "granulocito neutrófilo", "Stabkerniger", "Stabkernige", "stabkerniger Neutrophiler",
        "stabkerniger neutrophiler Granulozyt", "Segmentkerniger", "Segmentkernige", "segmentkerniger Neutrophiler",
        "segmentkerniger neutrophiler Granulozyt", "neutrophile segmenté", "neutrófilo segmentado", "neutrófilo en banda",
    ),
    None: (
        "unklar", "unbekannt", "inconnu", "desconocido", "sonstige", "autre", "otro", "Blasten", "blaste", "blasto",
        "Thrombozyt", "Thrombozyten", "plaquette", "plaqueta", "Erythrozyt", "Erythrozyten", "eritrocito", "Myelozyt",
        "Myelozyten", "mielocito", "Metamyelozyt", "Metamyelozyten", "metamielocito", "Promyelozyt", "Promyelozyten",
        "promielocito",
    ),
}  # fmt: skip
"""Names in German, French and Spanish by their class."""


def statement(names: Iterable[str]) -> tuple[str, ...] | None:
    """Which classes can occur, from their names in any order: in class order, and None for all of them.

    >>> statement(["neutrophil", "lymphocyte"])
    ('lymphocyte', 'neutrophil')

    Raises:
        UnknownNameError: If a name is not one of `CLASSES`; the message suggests the nearest ones.
        ConfigurationError: If there are fewer than two different names.
    """
    given = list(dict.fromkeys(names))
    for name in given:
        if name not in CLASSES:
            raise UnknownNameError(
                f"'{shortened(name, 80)}' is not one of the classes; {nearest(name, CLASSES)}"
            )
    if len(given) < 2:
        raise ConfigurationError(
            f"present names the classes that can occur, at least two different ones of {', '.join(CLASSES)}; got "
            f"{', '.join(given) or 'none'}."
        )
    return None if len(given) == len(CLASSES) else tuple(name for name in CLASSES if name in given)


def _key(name: str) -> str:
    """A name without case, accents and separators: `"Band_Neutrophil"` -> `"bandneutrophil"`."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "", plain.lower())


_ENGLISH: dict[str, tuple[str, str | None]] = {
    **{_key(name): (name, None) for name in _DROPPED},
    **{_key(name): (name, label) for label, names in _FOLDED.items() for name in names},
}
"""Key -> (the name as written above, its class or None)."""

_KNOWN = {_key(name): (name, label) for label, names in _TRANSLATED.items() for name in names} | _ENGLISH
"""The same for all names."""


def fold(raw_label: str) -> str | None:
    """The class a published name belongs to; case, separators and plural do not matter.

    Args:
        raw_label: A folder, column or glossary name: `"NGB"`, `"Band_Neutrophils"`, `"seg"`, `"normoblast"`.

    Returns:
        One of `CLASSES`, or None for cells that are known but left out: blasts, immature granulocytes,
        proerythroblasts, atypical lymphocytes (`LYA` is not among the labels that the paper's authors merge),
        platelets, smudge cells, artefacts and the like.

    Raises:
        UnknownNameError: If the name is unknown; the message suggests the nearest known ones.

    >>> fold("Band_Neutrophils"), fold("PMO")
    ('neutrophil', None)
    """
    known = _known(_key(raw_label))
    if known is None:
        raise UnknownNameError(_refusal(raw_label))
    return known[1]


def _known(key: str) -> tuple[str, str | None] | None:
    """The entry of a key, also of a plural and with or without "cell"; None if it is unknown."""
    singular = key.removesuffix("s")
    candidates = (key, singular, f"{singular}cell", singular.removesuffix("cell"))
    return next((_KNOWN[candidate] for candidate in candidates if candidate in _KNOWN), None)


def is_known(name: str) -> bool:
    """Whether `fold` knows a name, as one of the six classes or as cells that are left out."""
    return _known(_key(name)) is not None


def names_a_class(name: str) -> bool:
    """Whether `fold` knows a name as one of the six classes."""
    known = _known(_key(name))
    return known is not None and known[1] is not None


def unknown_names(raw_labels: Iterable[str]) -> dict[str, str]:
    """Those of `raw_labels` that `fold` refuses, each with its error message.

    Near names are suggested for the first `SUGGESTED` alone: comparing a name with all known ones takes a millisecond.
    """
    unknown = [name for name in dict.fromkeys(raw_labels) if _known(_key(name)) is None]
    return {name: _refusal(name, suggest=place < SUGGESTED) for place, name in enumerate(unknown)}


def _refusal(raw_label: str, *, suggest: bool = True) -> str:
    shown = shortened(raw_label, 80)
    return f"'{shown}' is not a known cell type" + (f"; {_near(_key(shown))}" if suggest else ".")


def _near(key: str) -> str:
    close = difflib.get_close_matches(key, _ENGLISH, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(repr(_KNOWN[hit][0]) for hit in close)}?"
    return (
        f"known names are {', '.join(CLASSES)}, their finer stages, the glossary's abbreviations, "
        "and 'other' for cells to leave out."
    )
