"""The contract of every taxonomy, and what cannot be one."""

from io import StringIO
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from skimage.color import rgb2lab

import cellda.datasets
import cellda.taxonomies
from cellda.data.cards import taxonomies_table, under_taxonomies
from cellda.errors import ConfigurationError, UnknownNameError
from cellda.taxonomies import create
from cellda.taxonomies.base import OTHER, Taxonomy, lineage, sums
from cellda.taxonomies.cell_types import CELL_TYPES, CellType
from cellda.taxonomies.colours import palette
from cellda.taxonomies.colours_of_classes import colours_of
from cellda.taxonomies.maturation import MATURATION, stages_apart
from cellda.taxonomies.own import Own
from cellda.taxonomies.spec import PAPER, TaxonomySpec

NAMES = cellda.taxonomies.names()
CLOSED = [name for name in NAMES if not create(name).open]


def made(types: dict[str, CellType], **colours: str) -> type[Taxonomy]:
    """A taxonomy of these classes, which is not registered."""
    fields: dict[str, Any] = {"name": "made", "colours": colours, "types": types}
    return type("Made", (Taxonomy,), fields)


@pytest.mark.parametrize("name", NAMES)
def test_a_taxonomy_is_a_file_with_a_summary(name) -> None:
    cls = cellda.taxonomies.get(name)
    assert cls.__module__ == f"cellda.taxonomies.{name}"
    assert 20 < len(cellda.taxonomies.summary(name)) < 120
    assert TaxonomySpec.model_validate(name).build().classes == create(name).classes


@pytest.mark.parametrize("name", CLOSED)
def test_classes_have_colours_parents_and_fold_into_themselves(name) -> None:
    taxonomy = create(name)
    assert len(set(taxonomy.colours.values())) == len(taxonomy.classes) >= 2
    for kind in taxonomy.classes:
        assert taxonomy.fold(kind) == kind
        assert taxonomy.parents[kind] == CELL_TYPES[kind].parent
    assert taxonomy.statement(taxonomy.classes) is None
    assert taxonomy.statement(reversed(taxonomy.classes[:2])) == taxonomy.classes[:2]


@pytest.mark.parametrize("name", CLOSED)
@given(kind=st.sampled_from(sorted(CELL_TYPES)))
def test_a_cell_belongs_to_the_nearest_class_above_it(name, kind) -> None:
    taxonomy = create(name)
    above = [one for one in lineage(kind) if one in taxonomy.classes]
    assert taxonomy.fold(kind) == (above[0] if above else None)
    below = [one for one in taxonomy.classes if kind in lineage(one)[1:]]
    assert (taxonomy.coarse(kind) == kind) == (bool(below) and not above)
    if kind in taxonomy.members:
        assert [taxonomy.classes[number] for number in taxonomy.members[kind]] == below
    other = create(name, other=True)
    expected = OTHER if not above and not below and kind != "unidentified cell" else taxonomy.fold(kind)
    assert other.fold(kind) == expected
    assert other.classes == (*taxonomy.classes, OTHER)


def test_the_taxonomies_are_those_that_the_field_uses() -> None:
    assert PAPER.build().classes == (
        "basophil",
        "eosinophil",
        "erythroblast",
        "lymphocyte",
        "monocyte",
        "neutrophil",
    )
    assert len(create("wbc5").classes) == 5
    assert set(create("wbc8").classes) - set(create("paper6").classes) == {"immature granulocyte", "platelet"}
    assert len(create("wbc13").classes) == 13
    assert create("wbc13").members == {
        "neutrophil": (11, 12),
        "immature granulocyte": (8, 9, 10),
        "granulocyte": (0, 1, 8, 9, 10, 11, 12),
        "white blood cell": (0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12),
    }


def test_finer_classes_add_up_to_coarser_ones() -> None:
    fine = create("wbc13").classes
    for coarse in ("paper6", "wbc5"):
        parts = sums(create(coarse), fine)
        assert parts is not None
        for name, own in zip(create(coarse).classes, parts, strict=True):
            assert all(name in lineage(fine[number]) for number in own)
    assert sums(create("wbc8"), fine) is None  # no platelets
    assert sums(create("wbc13"), create("paper6").classes) is None


def test_own_classes_are_those_of_the_labels() -> None:
    taxonomy = create("own")
    assert taxonomy.open
    found = taxonomy.found_in(["weird cell", "Blob", "weird cell"])
    assert found.classes == ("Blob", "weird cell")
    assert not found.open
    assert found.fold("Blob") == "Blob"
    assert found.coarse("Blob") is None
    with pytest.raises(
        UnknownNameError, match="'blob' is not one of the taxonomy's own classes; did you mean 'Blob'"
    ):
        found.fold("blob")
    assert taxonomy.is_that_of(found)
    assert not create("own", classes=("a", "b")).is_that_of(found)
    assert Own(("a", "b")).found_in(["c"]).classes == ("a", "b")


@pytest.mark.parametrize("classes", [("a", "a", "b"), ("a", " ", "b")])
def test_own_classes_have_names_of_their_own(classes) -> None:
    with pytest.raises(ConfigurationError, match="Own classes are a list of different names"):
        create("own", classes=classes)


@pytest.mark.parametrize(
    ("types", "colours", "said"),
    [
        ({}, {"basophil": "#000000"}, "at least two classes"),
        ({}, {"basophil": "#000000", "Basophil": "#000001"}, "'Basophil' is 'basophil' written differently"),
        (
            {},
            {"basophil": "#000000", "bazophil": "#000001"},
            "'bazophil' is not a known type of cell: did you mean .*'basophil'.*state it in `types`",
        ),
        ({}, {"basophil": "#000000", "monocyte": "red"}, "colour of 'monocyte' is 'red'"),
        (
            {},
            {"basophil": "#000000", "monocyte": "#000000"},
            "'basophil' and 'monocyte' have the colour #000000",
        ),
        (
            {"x": CellType("y", ())},
            {"basophil": "#000000", "x": "#000001"},
            "'x' is a kind of 'y', which is not a type",
        ),
        (
            {"x": CellType("y", ()), "y": CellType("x", ())},
            {"x": "#000000", "y": "#000001"},
            "circle: (x -> y -> x|y -> x -> y)",
        ),
    ],
)
def test_what_cannot_be_a_taxonomy_is_refused(types, colours, said) -> None:
    with pytest.raises(ConfigurationError, match=said):
        made(types, **colours)()


def test_types_of_its_own_are_known_to_a_taxonomy_alone() -> None:
    kinds = {"young cell": CellType("monocyte", ("YC", "jung"))}
    taxonomy = made(kinds, **{"young cell": "#000000", "lymphocyte": "#000001"})()
    assert taxonomy.fold("yc") == "young cell"
    assert taxonomy.fold("MONO") is None
    assert taxonomy.coarse("MONO") == "monocyte"
    assert not create("paper6").is_known("jung")


def test_colours_are_distinct_as_long_as_there_are_any() -> None:
    names = [f"class {number}" for number in range(16)]
    assert len(set(palette(names).values())) == 16
    assert palette(["neutrophil", "own"])["own"] != palette(["neutrophil"])["neutrophil"]
    assert list(palette(names)) == names


def test_stages_are_apart_by_maturation() -> None:
    for line in MATURATION:
        assert all(kind in CELL_TYPES for kind in line)
        assert [stages_apart(line[0], kind) for kind in line] == list(range(len(line)))
    assert stages_apart("blast", "proerythroblast") is None
    assert stages_apart("lymphocyte", "lymphocyte") is None


class _Subclass(Taxonomy):
    """A taxonomy whose name is not registered."""

    name: ClassVar[str] = "subclass"
    colours: ClassVar[dict[str, str]] = palette(("basophil", "monocyte"))


def test_present_names_classes_of_the_taxonomy() -> None:
    with pytest.raises(UnknownNameError, match="'neutrophil' is not one of the classes"):
        _Subclass().statement(["neutrophil", "basophil"])
    with pytest.raises(ConfigurationError, match="at least two different ones of basophil, monocyte"):
        _Subclass().statement(["basophil", "basophil"])


def test_any_number_of_own_classes_have_colours_of_their_own() -> None:
    names = [f"class {number}" for number in range(60)]
    assert len(set(palette(names).values())) == 60
    assert len(set(Own(tuple(names)).colours.values())) == 60


def test_names_that_are_coarser_than_any_class_are_known_as_such() -> None:
    six = create("paper6", other=True)
    assert six.coarse("granulocytes") == "granulocyte"
    assert six.coarse("WBC") == six.coarse("leukocyte") == "white blood cell"
    assert six.fold("WBC") is None  # it may be of any class: never `other`
    assert [six.classes[number] for number in six.members["granulocyte"]] == [
        "basophil",
        "eosinophil",
        "neutrophil",
    ]


# G. M. Machado, M. M. Oliveira, L. A. F. Fernandes: A physiologically-based model for simulation of color vision deficiency,
# IEEE TVCG 2009, severity 1: what people with a deficiency see, in linear RGB.
DEFICIENCIES = {
    "none": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
@pytest.mark.parametrize("name", CLOSED)
def test_colour_blind_people_can_tell_the_classes_apart(name, deficiency) -> None:
    colours = create(name, other=True).colours
    rgb = np.array([[int(value[at : at + 2], 16) / 255 for at in (1, 3, 5)] for value in colours.values()])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = (linear @ np.array(DEFICIENCIES[deficiency]).T).clip(0, 1)
    encoded = np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)
    lab = rgb2lab(encoded[None])[0]
    apart = {
        (one, two): np.linalg.norm(lab[i] - lab[j])
        for (i, one), (j, two) in combinations(enumerate(colours), 2)
    }
    assert min(apart.values()) > 14, min(apart, key=apart.__getitem__)


def test_a_class_and_its_kind_have_different_colours() -> None:
    assert len(set(palette(["neutrophil", "band neutrophil", "segmented neutrophil"]).values())) == 3
    assert Own(("band neutrophil", "neutrophil")).classes == ("band neutrophil", "neutrophil")


@pytest.mark.parametrize("classes", [("好中球", "単球"), ("Нейтрофил", "Моноцит"), ("CD3+", "CD3-")])
def test_own_classes_may_be_written_in_any_script(classes) -> None:
    assert create("own", classes=classes).classes == classes


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (
            ("Lymphocyt", "lymphocyt"),
            "'lymphocyt' is 'Lymphocyt' written differently; give one of them another",
        ),
        ("ab", "a list of different names.*'ab'"),
        (
            tuple(f"cell {number}" for number in range(300)),
            "300 own classes.*Is the label of each cell a class",
        ),
    ],
)
def test_what_cannot_be_own_classes_is_said_in_a_sentence(classes, said) -> None:
    with pytest.raises(ConfigurationError, match=said) as error:
        Own(classes)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"colours": ["neutrophil", "monocyte"]}, "`colours` is no mapping"),
        ({}, "`colours` is no mapping"),
        (
            {"colours": {"a": "#000000", "b": "#000001"}, "types": {"a": None, "b": ("neutrophil", ())}},
            "something else than a CellType for 'a', 'b'",
        ),
        (
            {
                "colours": {"a": "#000000", "b": "#000001"},
                "types": {"a": CellType(None, ("foo",)), "b": CellType(None, ("Foo",))},
            },
            "types 'a' and 'b' both have the name 'Foo'",
        ),
        (
            {"colours": {"a": "#000000", "monocyte": "#000001"}, "types": {"a": CellType(None, ("seg",))}},
            "both have the name 'seg'",
        ),
        ({"colours": {"monocyte": "#00000A", "basophil": "#00000a"}}, "have the colour #00000"),
        ({"colours": {"monocyte": "#000000", "NGS": "#000001"}}, "did you mean 'segmented neutrophil'"),
        ({"colours": {"monocyte": "#000000", "other": "#000001"}}, "kept with other=True"),
    ],
)
def test_a_faulty_taxonomy_is_refused_in_a_sentence(fields, said) -> None:
    faulty = type("Faulty", (Taxonomy,), {"name": "faulty", **fields})
    with pytest.raises(ConfigurationError, match=f"taxonomy 'faulty' cannot be used.*{said}"):
        faulty()


def test_a_taxonomy_decides_the_colours_of_figures_of_its_classes() -> None:
    with cellda.taxonomies.registry.scratch():

        @cellda.taxonomies.register("coloured")
        class Coloured(Taxonomy):
            """Two classes with colours of their own, for tests."""

            colours: ClassVar[dict[str, str]] = {"monocyte": "#123456", "neutrophil": "#654321"}

        @cellda.taxonomies.register("broken")
        class Broken(Taxonomy):
            """A taxonomy that cannot be used, for tests."""

            colours: ClassVar[dict[str, str]] = {"monocyte": "#123456"}

        assert colours_of(("monocyte", "neutrophil")) == Coloured.colours
        assert colours_of(("monocyte", "neutrophil", "other"))["neutrophil"] == "#654321"
        shown = Console(record=True, width=200, file=StringIO())
        shown.print(taxonomies_table(under_taxonomies(cellda.datasets.load("synthetic/1", per_class=2))))
        text = shown.export_text()
        assert "coloured  monocyte 2, neutrophil 2" in text
        assert "'broken' cannot be used" in text
    assert colours_of(("monocyte", "my cell")) == palette(("monocyte", "my cell"))


def test_stages_are_known_by_any_of_their_names() -> None:
    assert stages_apart("myeloblast", "Promyelozyt") == 1
    assert stages_apart("NGB", "seg") == 1
    assert stages_apart("pronormoblast", "basophilic normoblast") == 1
    assert stages_apart("no such cell", "blast") is None
