"""The registry of source models: built-in ones and those of other packages keep one contract."""

import json
from pathlib import Path

import pytest
import torch

import cellda
from cellda import CellClassifier, Recipe, source_models
from cellda.errors import ConfigurationError, DataError, UnknownNameError
from cellda.models.description import read_description
from cellda.source_models.cards import Card
from cellda.source_models.folders import CARD, SourceModels
from cellda.source_models.spec import SourceModel
from interpreter import install, python
from source_models.installed import NAME, installed
from tiny import CLASSES, SIDE, model_folder

MEBIBYTE = 2**20
BUILT_IN = SourceModels("cellda.source_models").names()


@pytest.fixture(scope="module")
def ward(tmp_path_factory) -> Path:
    with installed(tmp_path_factory.mktemp("site")) as folder:
        yield folder


# --- every member


@pytest.mark.parametrize("name", [*BUILT_IN, NAME])
def test_every_model_loads_and_its_card_is_true(ward: Path, name: str):
    folder = source_models.folder(name)
    model, card = source_models.load(name), source_models.card(name)
    assert not model.training
    assert model.classes == CLASSES
    assert {value.dtype for value in model.parameters()} == {torch.float32}
    side = model.backbone.image_size
    assert model.predict(torch.rand(2, 3, side, side)).probabilities.shape == (2, 6)
    weights = read_description(folder).weights
    assert weights is not None
    assert card.weights == weights.sha256
    assert source_models.summary(name) == card.summary
    assert card.summary.endswith(".")
    recipe = Recipe(source_model=name)
    assert (recipe.backbone, recipe.framing) == (model.backbone, model.framing_spec)
    assert Recipe(**card.recipe).backbone == model.backbone
    assert {source.name for source in card.sources} == {one["name"] for one in card.recipe["sources"]}


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_model_of_cellda_is_small_and_says_what_it_is(name: str):
    folder, card = source_models.folder(name), source_models.card(name)
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 8 * MEBIBYTE
    assert {file.name for file in folder.iterdir()} == {
        "README.md",
        CARD,
        "classifier.json",
        "model.safetensors",
    }
    for source in card.sources:
        assert source.licence != "not stated", source.name
        assert source.citation != "not stated", source.name
        assert source.title in (folder / "README.md").read_text(encoding="utf-8")
    assert set(card.held_out) == {source.name for source in card.sources}
    assert set(card.classes) | set(card.never_seen) == set(CLASSES)


def test_all_models_of_cellda_together_fit_into_the_wheel():
    files = [file for name in BUILT_IN for file in source_models.folder(name).iterdir()]
    assert sum(file.stat().st_size for file in files) <= 25 * MEBIBYTE


# --- names


def test_a_model_of_another_package_is_listed_and_loaded_by_name(ward: Path):
    assert NAME in source_models.names()
    assert source_models.folder(NAME) == ward
    assert source_models.summary(NAME) == "Untrained, for tests."
    state = CellClassifier.load(ward).state_dict()
    for name, value in source_models.load(NAME).state_dict().items():
        assert torch.equal(value, state[name]), name
    assert cellda.source_models is source_models


def test_listing_imports_no_torch(ward: Path):
    code = f"""
        import sys
        from cellda import source_models
        assert "{NAME}" in source_models.names()
        print([source_models.summary(name) for name in source_models.names()])
        assert not {{"torch", "pydantic", "pandas"}} & set(sys.modules)
    """
    assert "Untrained, for tests." in python(code, ward.parents[2])


def test_an_unknown_name_is_answered_with_the_near_ones(ward: Path):
    with pytest.raises(UnknownNameError, match="no source model 'wrad'; did you mean 'ward'"):
        source_models.load("wrad")
    with pytest.raises(
        ConfigurationError, match="'wrad' is neither a source model nor a folder; did you mean 'ward'"
    ):
        Recipe(source_model="wrad")


def test_a_name_that_is_also_a_saved_model_here_is_refused(ward: Path, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / NAME).mkdir()
    assert source_models.registry.place(NAME) == ward  # some other folder of this name does not matter
    model_folder(tmp_path / NAME, backbone={"embedding": 64})
    with pytest.raises(
        ConfigurationError, match=r"and here also a folder with a saved classifier: write \./ward"
    ):
        source_models.registry.place(NAME)
    assert Recipe(source_model=f"./{NAME}").backbone.embedding == 64


def test_a_run_of_that_name_here_is_refused_too(ward: Path, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model_folder(tmp_path / NAME / "model", backbone={"embedding": 64})
    with pytest.raises(ConfigurationError, match=r"also a folder with a saved classifier: write \./ward"):
        source_models.registry.place(NAME)
    assert Recipe(source_model=f"./{NAME}").backbone.embedding == 64


def test_a_recipe_with_a_registered_model_is_the_same_wherever_it_lies(
    ward: Path, tmp_path: Path, monkeypatch
):
    chosen = Recipe(source_model=NAME)
    assert chosen.source_model == SourceModel.model_validate({"name": NAME})
    assert str(ward) not in chosen.to_yaml()
    monkeypatch.chdir(tmp_path)
    assert Recipe.from_yaml(chosen.to_yaml()) == chosen


def test_two_packages_cannot_offer_one_name(ward: Path, tmp_path: Path, monkeypatch):
    install(tmp_path, "otherlab", {}, f"[cellda.source_models]\n{NAME} = otherlab.models\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigurationError, match="registers 'ward' as source model, but that name is taken"):
        SourceModels("cellda.source_models").names()


def test_a_package_without_the_files_is_named(tmp_path: Path, monkeypatch):
    install(tmp_path, "emptylab", {}, "[cellda.source_models]\nhollow = emptylab.hollow\nbare = emptylab\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry = SourceModels("cellda.source_models")
    for name in ("hollow", "bare"):
        with pytest.raises(
            ConfigurationError, match=f"registers the source model '{name}' does not hold its card.json"
        ):
            registry.folder(name)
        assert "its card cannot be read" in registry.summary(name)


# --- cards


def test_a_card_is_read_as_it_was_written(ward: Path, tmp_path: Path):
    card = Card.read(ward)
    card.write(tmp_path)
    assert Card.read(tmp_path) == card
    assert (tmp_path / CARD).read_bytes() == (ward / CARD).read_bytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ("[]", "card.json are not valid"),
        ('{"format": 2}', "field 'format'"),
        ({"weights": "abc"}, "field 'weights'"),
        ({"sumary": "x"}, "unknown field 'sumary': did you mean 'summary'"),
    ],
)
def test_a_damaged_card_is_refused_in_a_sentence(ward: Path, tmp_path: Path, content, message: str):
    if isinstance(content, dict):
        content = json.dumps({**json.loads((ward / CARD).read_text(encoding="utf-8")), **content})
    (tmp_path / CARD).write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        Card.read(tmp_path)


def test_the_side_of_the_test_model_is_small(ward: Path):
    assert source_models.load(NAME).backbone.image_size == SIDE
