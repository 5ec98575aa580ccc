"""Cell types, finest first known, each with the type that it is a kind of; and their published names.

A taxonomy (`cellda.taxonomies`) chooses some of these types as classes. A cell belongs to the class that its own type is, or
is a kind of; cells of other types are left out.
"""

from typing import NamedTuple


class CellType(NamedTuple):
    """One type of cell.

    Attributes:
        parent: The type that it is a kind of; None if there is none here.
        names: Its published names and abbreviations in English; case, separators and plural do not matter.
    """

    parent: str | None
    names: tuple[str, ...]


CELL_TYPES: dict[str, CellType] = {
    "basophil": CellType(
        "granulocyte", ("BAS", "BA", "Baso", "basophil", "basophil granulocyte", "basophilic granulocyte")
    ),
    "segmented basophil": CellType("basophil", ("segmented basophil",)),
    "eosinophil": CellType(
        "granulocyte", ("EOS", "EO", "Eosi", "Eosin", "eosinophil", "eosinophil granulocyte", "eosinophilic granulocyte")
    ),
    "segmented eosinophil": CellType("eosinophil", ("segmented eosinophil",)),
    "band eosinophil": CellType("eosinophil", ("band eosinophil",)),
    "abnormal eosinophil": CellType("eosinophil", ("ABE", "abnormal eosinophil")),
    "erythroblast": CellType(
        None,
        (
            "EBO", "erythroblast", "normoblast", "NRBC", "nucleated red blood cell", "nucleated red cell",
            "nucleated erythrocyte",
        ),
    ),
    "basophilic erythroblast": CellType(
        "erythroblast",
        ("ERB", "basophilic erythroblast", "basophilic normoblast", "early normoblast", "prorubricyte"),
    ),
    "polychromatic erythroblast": CellType(
        "erythroblast",
        (
            "ERP", "polychromatic erythroblast", "polychromatic normoblast", "polychromatophilic erythroblast",
            "polychromatophilic normoblast", "intermediate normoblast", "rubricyte",
        ),
    ),
    "orthochromatic erythroblast": CellType(
        "erythroblast",
        (
            "ERO", "orthochromatic erythroblast", "orthochromatic normoblast", "orthochromic erythroblast",
            "orthochromic normoblast", "late normoblast", "metarubricyte",
        ),
    ),
    "acidophilic erythroblast": CellType(
        "erythroblast", ("ERA", "acidophilic erythroblast", "acidophilic normoblast")
    ),
    "lymphocyte": CellType("white blood cell", ("LY", "LYM", "Lymp", "lymph", "lympho", "lymphocyte")),
    "mature lymphocyte": CellType(
        "lymphocyte",
        (
            "LYT", "typical lymphocyte", "lymphocyte typical", "mature lymphocyte", "normal lymphocyte", "small lymphocyte",
            "large lymphocyte", "large granular lymphocyte",
        ),
    ),
    "immature lymphocyte": CellType("lymphocyte", ("LYI", "immature lymphocyte", "lymphocyte immature")),
    "monocyte": CellType("white blood cell", ("MON", "MO", "mono", "monocyte", "mature monocyte")),
    "neutrophil": CellType(
        "granulocyte",
        (
            "NEU", "NE", "neut", "neutro", "neutrophil", "neutrophil granulocyte", "neutrophilic granulocyte",
            "mature neutrophil",
        ),
    ),
    "band neutrophil": CellType(
        "neutrophil",
        (
            "NGB", "BNE", "band", "band neutrophil", "neutrophil band", "band cell", "band form", "stab", "stab cell",
            "stab neutrophil", "neutrophil stab", "unsegmented neutrophil", "banded neutrophil",
        ),
    ),
    "segmented neutrophil": CellType(
        "neutrophil",
        (
            "NGS", "SNE", "seg", "segmented", "segmented neutrophil", "neutrophil segmented",
            "seg neutrophil", "neutrophil seg", "hypersegmented neutrophil", "PMN", "polymorphonuclear neutrophil",
            "polymorphonuclear leukocyte",
        ),
    ),
    "blast": CellType("white blood cell", ("BLA", "blast", "blast cell")),
    "myeloblast": CellType("blast", ("MYO", "myeloblast")),
    "monoblast": CellType("blast", ("MOB", "monoblast")),
    "lymphoblast": CellType("blast", ("lymphoblast",)),
    "megakaryoblast": CellType("blast", ("megakaryoblast",)),
    "proerythroblast": CellType(None, ("PEB", "proerythroblast", "PBL", "pronormoblast", "rubriblast")),
    "immature granulocyte": CellType("granulocyte", ("IG", "immature granulocyte")),
    "promyelocyte": CellType("immature granulocyte", ("PMO", "PMY", "promyelocyte")),
    "bilobed promyelocyte": CellType("promyelocyte", ("PMB", "bilobed promyelocyte", "promyelocyte bilobed")),
    "faggot cell": CellType("promyelocyte", ("FGC", "faggot cell", "faggott cell")),
    "myelocyte": CellType("immature granulocyte", ("MYB", "MY", "myelocyte")),
    "metamyelocyte": CellType("immature granulocyte", ("MMZ", "MMY", "metamyelocyte")),
    "promonocyte": CellType("white blood cell", ("promonocyte",)),
    "prolymphocyte": CellType("white blood cell", ("prolymphocyte",)),
    "megakaryocyte": CellType(None, ("megakaryocyte",)),
    "atypical lymphocyte": CellType(
        "white blood cell", ("LYA", "atypical lymphocyte", "lymphocyte atypical", "variant lymphocyte", "reactive lymphocyte")
    ),
    "lymphoma cell": CellType("white blood cell", ("lymphoma", "lymphoma cell")),
    "hairy cell": CellType("white blood cell", ("HAC", "hairy cell")),
    "plasma cell": CellType("white blood cell", ("PLM", "plasma cell")),
    "mast cell": CellType(None, ("mast cell",)),
    "macrophage": CellType(None, ("macrophage",)),
    "platelet": CellType(None, ("PLA", "platelet", "giant platelet", "platelet clump", "THO", "thrombocyte")),
    "red blood cell": CellType(None, ("RBC", "red blood cell", "red cell", "erythrocyte", "reticulocyte")),
    "smudge cell": CellType(None, ("KSC", "smudge cell", "smudge", "basket cell", "Gumprecht", "Gumprecht shadow")),
    "artefact": CellType(None, ("ART", "artefact", "artifact", "background", "debris")),
    "other cell": CellType(None, ("OTH", "other", "other cell")),
    "unidentified cell": CellType(
        None,
        (
            "NIF", "not identifiable", "unidentified", "unknown", "mixt", "mixed", "unclear",
        ),
    ),
    "granulocyte": CellType("white blood cell", ("granulocyte",)),
    "white blood cell": CellType(
        None, ("WBC", "white blood cell", "white cell", "leukocyte", "leucocyte", "Leukozyten")
    ),
}  # fmt: skip
"""Every known type of cell by its name."""

TRANSLATED: dict[str, tuple[str, ...]] = {
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
        "granulocito neutrófilo",
    ),
    "band neutrophil": (
        "Stabkerniger", "Stabkernige", "stabkerniger Neutrophiler", "stabkerniger neutrophiler Granulozyt",
        "neutrófilo en banda",
    ),
    "segmented neutrophil": (
        "Segmentkerniger", "Segmentkernige", "segmentkerniger Neutrophiler", "segmentkerniger neutrophiler Granulozyt",
        "neutrophile segmenté", "neutrófilo segmentado",
    ),
    "blast": ("Blasten", "blaste", "blasto"),
    "promyelocyte": ("Promyelozyt", "Promyelozyten", "promielocito"),
    "myelocyte": ("Myelozyt", "Myelozyten", "mielocito"),
    "metamyelocyte": ("Metamyelozyt", "Metamyelozyten", "metamielocito"),
    "platelet": ("Thrombozyt", "Thrombozyten", "plaquette", "plaqueta"),
    "red blood cell": ("Erythrozyt", "Erythrozyten", "eritrocito"),
    "other cell": ("sonstige", "autre", "otro"),
    "unidentified cell": ("unklar", "unbekannt", "inconnu", "desconocido"),
}  # fmt: skip
"""Names in German, French and Spanish by the type."""
