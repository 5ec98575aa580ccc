"""How published names fold into the six classes."""

import pytest

from cellda.errors import UnknownNameError
from cellda.taxonomies import create
from cellda.taxonomies.glossary import ABBREVIATIONS

PAPER = create("paper6")
fold, unknown_names, CLASSES = PAPER.fold, PAPER.unknown_names, PAPER.classes

# As the datasets publish them, and as laboratories write them.
EXPECTED = {
    "basophil": ["BAS", "Basophil", "Baso", "basophils", "Basophilic granulocyte"],
    "eosinophil": ["EOS", "ABE", "EOSINOPHIL", "eosi", "Eos."],
    "erythroblast": [
        "EBO", "ERB", "ERP", "ERO", "ERA", "erythroblast", "normoblast", "NRBC", "NRBCs", "basophilic erythroblast",
        "polychromatic_erythroblast", "Orthochromatic-Erythroblasts", "basophilic normoblast",
        "polychromatic normoblast", "orthochromatic normoblast", "nucleated red blood cells",
    ],
    "lymphocyte": ["LYT", "LYI", "lymp", "LYMPHOCYTE", "Lymphocytes", "lymphs"],
    "monocyte": ["MON", "mono", "MONOCYTE", "monos"],
    "neutrophil": [
        "NEU", "NGB", "NGS", "BNE", "SNE", "neut", "NEUTROPHIL", "seg", "Segs", "band", "bands", "band neutrophil",
        "segmented_neutrophil", "Neutrophil (band)", "PMN", "neutrophil cells",
    ],
}  # fmt: skip
LEFT_OUT = [
    "ig", "IG", "platelet", "Platelets", "KSC", "LYA", "atypical lymphocyte", "MMZ", "MOB", "MYB", "MYO", "PMB", "PMO", "ART",
    "BLA", "FGC", "HAC", "NIF", "OTH", "PEB", "PLM", "PBL", "PLA", "THO", "mixt", "proerythroblast", "myeloblast",
    "promyelocyte", "myelocyte", "metamyelocyte", "other", "blasts", "artefact", "artifact", "plasma cells", "RBC",
]  # fmt: skip


@pytest.mark.parametrize(("label", "raw"), [(label, raw) for label, raws in EXPECTED.items() for raw in raws])
def test_known_names_fold_into_their_class(label, raw):
    assert fold(raw) == label


IN_OTHER_LANGUAGES = {
    "basophil": ["Basophile", "Basophiler Granulozyt", "granulocytes basophiles", "basófilos"],
    "eosinophil": ["Eosinophiler", "polynucléaire éosinophile", "eosinófilo"],
    "erythroblast": ["Erythroblasten", "érythroblastes", "eritroblasto", "Normoblasten"],
    "lymphocyte": ["Lymphozyten", "Lymphozyt", "linfocitos"],
    "monocyte": ["Monozyt", "monocitos"],
    "neutrophil": ["neutrophile", "Segmentkernige", "Stabkerniger Neutrophiler", "neutrófilo segmentado"],
    None: [
        "Thrombozyten",
        "plaquettes",
        "eritrocitos",
        "unklar",
        "unclear",
        "Myelozyt",
        "sonstige",
        "autres",
    ],
}


@pytest.mark.parametrize(
    ("label", "raw"), [(label, raw) for label, raws in IN_OTHER_LANGUAGES.items() for raw in raws]
)
def test_german_french_and_spanish_names_are_known(label, raw):
    assert fold(raw) == label


@pytest.mark.parametrize("raw", LEFT_OUT)
def test_cells_outside_the_study_are_known_and_left_out(raw):
    assert fold(raw) is None


def test_classes_are_in_the_order_of_the_class_index():
    assert CLASSES == ("basophil", "eosinophil", "erythroblast", "lymphocyte", "monocyte", "neutrophil")
    assert [fold(name) for name in CLASSES] == list(CLASSES)


def test_every_cell_of_the_glossary_has_a_meaning_and_folds():
    no_cells = {"BMS", "GAN", "MGG", "PBS"}
    assert len(ABBREVIATIONS) == 38
    assert all(meaning for meaning in ABBREVIATIONS.values())
    for code in ABBREVIATIONS.keys() - no_cells:
        assert fold(code) in {None, *CLASSES}
    for code in no_cells:
        with pytest.raises(UnknownNameError):
            fold(code)


@pytest.mark.parametrize("raw", ["", "cells", "s", "phil", "train", "patient 3"])
def test_names_that_say_nothing_are_refused(raw):
    with pytest.raises(UnknownNameError):
        fold(raw)


def test_the_refusal_names_near_ones():
    with pytest.raises(
        UnknownNameError, match="'neutrofil' is not a known cell type; did you mean 'neutrophil'"
    ):
        fold("neutrofil")
    assert list(unknown_names(["neutrofil", "BAS", "xyzzy", "neutrofil"])) == ["neutrofil", "xyzzy"]
