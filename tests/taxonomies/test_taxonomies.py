"""The contract of every taxonomy, and what cannot be one."""

from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cellda.taxonomies
from cellda.errors import ConfigurationError, UnknownNameError
from cellda.taxonomies import create
from cellda.taxonomies.base import OTHER, Taxonomy, lineage, sums
from cellda.taxonomies.cell_types import CELL_TYPES, CellType
from cellda.taxonomies.colours import palette
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
    with pytest.raises(ConfigurationError, match="Own classes have different names"):
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
