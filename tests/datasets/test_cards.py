"""Data cards: complete, read without their loaders, and true to the paper's tables."""

import io

import pytest
from rich.console import Console

from cellda.data.cards import brief_cards, full_card
from cellda.data.few_shot import default_size
from cellda.datasets import get, load, names, summary
from cellda.datasets.card import NOT_STATED, DataCard, card
from cellda.errors import ConfigurationError, UnknownNameError
from cellda.plugins.registry import Registry
from tiny import CLASSES
from trees import jiangxi_tecom, picture

FIELDS = [field for field in vars(DataCard) if field in DataCard.__annotations__]
OF_THE_PAPER = [name for name in names() if get(name).published_images is not None]


def printed(renderable):
    console = Console(file=io.StringIO(), width=80)
    console.print(renderable)
    return console.file.getvalue()


# --- what cards hold


@pytest.mark.parametrize("name", names())
def test_a_card_is_read_from_the_source_as_it_is_in_the_class(name):
    fresh = Registry("dataset", "cellda.datasets", "cellda.datasets.base:CellDataset").literals(
        name
    )  # nothing is registered in it
    from_source = type(name, (DataCard,), fresh)
    for field in FIELDS:
        assert getattr(from_source, field) == getattr(get(name), field), field


@pytest.mark.parametrize("name", names())
def test_cards_are_filled_in(name):
    cls = get(name)
    assert summary(name).endswith(".")
    assert all(other in names() for other in cls.same_cells_as)
    if name not in ("folder", "table") and not cls.synthetic:
        stated = (cls.title, cls.licence, cls.citation, cls.url)
        assert all(text and text != NOT_STATED for text in stated)
        assert cls.published_counts is None or set(cls.published_counts) <= set(CLASSES)


def test_all_ten_of_table_1_are_there():
    assert OF_THE_PAPER == [
        "barcelona", "bccd", "jiangxi_tecom", "jin_woo_choi", "jslh", "lisc", "munich_2019", "munich_2021", "raabin",
        "tianjin",
    ]  # fmt: skip
    assert sum(get(name).published_images for name in OF_THE_PAPER) == 226_287
    assert all(get(name).published_counts for name in OF_THE_PAPER)
    sources = [name for name in OF_THE_PAPER if get(name).few_shot is None]
    assert sources == ["barcelona", "munich_2019"]


@pytest.mark.parametrize(
    ("name", "tuned", "left"),
    [
        ("raabin", 100, 16_533),
        ("munich_2021", 100, 103_366),
        ("lisc", 20, 222),
        ("jin_woo_choi", 20, 230),
        ("jiangxi_tecom", 25, 275),
    ],
)
def test_the_counts_of_tables_2_and_3_agree_where_the_papers_do(name, tuned, left):
    assert get(name).few_shot == tuned
    assert sum(get(name).published_counts.values()) == tuned + left


@pytest.mark.parametrize("name", ["raabin", "bccd", "tianjin", "jslh"])
def test_counts_that_disagree_in_the_paper_are_explained(name):
    of_tables = {
        "raabin": ("4,514", "16,633"),
        "bccd": ("3,500", "12,507", "8,611"),
        "tianjin": ("8,564", "2,471", "6,228"),
        "jslh": ("148", "80", "72"),
    }
    assert all(number in get(name).note for number in of_tables[name])


def test_cells_are_shared_whichever_way_it_is_asked():
    barcelona, blood, raabin = get("barcelona"), get("bloodmnist"), get("raabin")
    assert blood.shares_cells_with(barcelona)
    assert barcelona.shares_cells_with(blood)
    assert not raabin.shares_cells_with(barcelona)
    assert not barcelona.shares_cells_with(barcelona)


def test_jslh_gets_a_tenth_though_the_paper_drew_nothing(tmp_path):
    assert get("jslh").few_shot == 0
    for number in range(80):
        stage = "segmented neutrophil" if number < 24 else "basophilic erythroblast"
        picture(tmp_path / stage / f"{number}.png")
    assert default_size(load("jslh", tmp_path)) == 8


# --- how they are printed


def test_the_overview_has_every_dataset_in_80_columns():
    said = printed(
        brief_cards({name: card(name) for name in names()}, {name: summary(name) for name in names()})
    )
    assert max(map(len, said.splitlines())) <= 80
    words = " ".join(said.split())
    for name in names():
        assert f" {name} {summary(name).split(maxsplit=1)[0]}" in words
    for fact in (
        "Hospital Clinic, Barcelona",
        "bone marrow smear",
        "x1000",
        "Moticam",
        "CC BY 3.0",
        "Blood 138:1917",
    ):
        assert fact in words
    assert "munich_2021 441 5,891 27,395 26,307 4,040 39,392" in words
    assert NOT_STATED not in words.replace("not stated by its authors", "")


def test_a_full_card_says_what_is_not_stated():
    words = " ".join(printed(full_card(card("bccd"), summary("bccd"))).split())
    assert "imaging not stated" in words
    assert "3,500 in the paper's Table 1" in words
    assert "100 images in the paper's Table 3" in words
    assert "paper, Table 2" in words
    assert "found" not in words


def test_counts_found_stand_beside_the_papers_with_the_difference_and_its_reason(tmp_path):
    jiangxi_tecom(tmp_path)
    found = load("jiangxi_tecom", tmp_path).class_counts()
    said = printed(full_card(card("jiangxi_tecom"), summary("jiangxi_tecom"), found))
    rows = [line.replace("│", " ").split() for line in said.splitlines()]
    assert ["neutrophil", "2", "176", "-174"] in rows
    assert ["basophil", "1", "1", "0"] in rows
    assert "counts lymphocytes as monocytes" in " ".join(said.split())
    assert "a part of the dataset" not in said


def test_a_copy_with_fewer_cells_of_every_class_is_called_a_part():
    published = card("bccd").published_counts
    fewer = {name: cells - 1 for name, cells in published.items() if cells}
    said = " ".join(printed(full_card(card("bccd"), summary("bccd"), fewer)).split())
    total = sum(published.values())
    assert f"{sum(fewer.values()):,} of {total:,}: this copy is a part of the dataset." in said


# --- datasets that are not there


@pytest.mark.parametrize("name", ["ruijin", "Ruijing"])
def test_ruijin_has_no_layout(name):
    from cellda import Recipe

    for attempt in (lambda: load(name, "x"), lambda: card(name), lambda: summary(name)):
        with pytest.raises(UnknownNameError, match=r"no published layout known here.*'folder'.*'table'"):
            attempt()
    with pytest.raises(ConfigurationError, match="no published layout known here"):
        Recipe(sources=[name])
