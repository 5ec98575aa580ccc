"""How the source models that ship are made: what is measured, what is written, and that it is the same every time."""

from pathlib import Path

import pytest
import torch
import yaml

from benchmarks import release as script
from benchmarks.common import releasing
from benchmarks.common.left_out import without
from benchmarks.common.releases import RELEASES, Release
from benchmarks.common.releasing import make
from cellda import CellClassifier, Recipe
from cellda.datasets.card import NOT_STATED
from cellda.datasets.card import card as data_card
from cellda.errors import ConfigurationError
from cellda.source_models.cards import Card
from tiny import CLASSES, SIDE, quiet, target
from tiny import recipe as tiny

SOURCES = [{"name": f"synthetic/{number}", "options": {"per_class": 24}} for number in (0, 2)]
TINY = Release(
    name="tiny",
    summary="Two drawn sources.",
    recipe=tiny(sources=SOURCES, adapter="none", training={"epochs": 2, "holdout": 0.25}),
    left_out=("synthetic/2", "synthetic/3"),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Where stores and models of this module are."""
    return tmp_path_factory.mktemp("release")


@pytest.fixture(scope="module")
def folder(place: Path) -> Path:
    (place / "home").mkdir()
    return make(TINY, quiet(place / "store"), place / "home")


def test_a_release_is_a_saved_model_with_a_card_and_a_page(folder: Path, place: Path):
    assert folder == place / "home" / "tiny"
    names = {"README.md", "card.json", "classifier.json", "model.safetensors"}
    assert {file.name for file in folder.iterdir()} == names
    assert [file.name for file in folder.parent.iterdir()] == ["tiny"]
    recipe = Recipe(source_model=folder, adapter="none", search=None)
    assert recipe.source_model.card == Card.read(folder)
    assert recipe.backbone == TINY.recipe.backbone
    result = recipe.run("synthetic/1", store=place / "runs", progress=False)
    assert result.record.known_to_model == ()


def test_the_same_release_is_the_same_bytes(folder: Path, place: Path):
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    (place / "again").mkdir()
    again = make(TINY, quiet(place / "other store"), place / "again")
    assert {file.name: file.read_bytes() for file in again.iterdir()} == before
    assert make(TINY, quiet(place / "store"), folder.parent) == folder  # an earlier version is replaced
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_the_card_is_measured_with_the_stored_weights(folder: Path, place: Path):
    """Held-out accuracy, means and spread, computed again from the folder alone."""
    card, model = Card.read(folder), CellClassifier.load(folder)
    run, halved = releasing.trained(TINY.recipe, quiet(place / "store"), releasing.Trainer("cpu"))
    for name, value in halved.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name
    held = releasing.parts_of(run, model).held
    embeddings, labels = [], []
    for part in held:
        pixels, truth = part.images.raw(range(len(part.images))), part.images.labels
        # Not `predict`, which gives no class to what is not a cell.
        right = (model.probabilities(pixels).argmax(1) == truth).tolist()
        assert card.held_out[part.dataset.full_name].accuracy == pytest.approx(
            sum(right) / len(right), abs=1e-4
        )
        assert card.held_out[part.dataset.full_name].cells == len(part.images)
        with torch.no_grad():
            embeddings.append(model.embedded(pixels))
        labels.append(truth)
    both, classes = torch.cat(embeddings), torch.cat(labels)
    for number, name in enumerate(CLASSES):
        own = both[classes == number]
        assert card.classes[name].cells == len(own)
        assert card.classes[name].mean == pytest.approx(own.mean(0).tolist(), abs=1e-3)
        assert card.classes[name].std == pytest.approx(own.std(0, correction=0).tolist(), abs=1e-3)
        assert card.classes[name].side is None  # drawn cells are no files
    assert card.never_seen == ()
    assert model.seen is not None  # for flags


def test_a_dataset_is_left_out_with_all_that_shows_its_cells(folder: Path, place: Path):
    both = Recipe(sources=["barcelona", "raabin"])
    assert without(both, "raabin") == Recipe(sources="barcelona")
    assert without(both, "bloodmnist") == Recipe(sources="raabin")
    assert without(both, "bccd") == both
    assert without(Recipe(sources="barcelona"), "barcelona") is None
    card = Card.read(folder)
    assert set(card.left_out) == {"synthetic/2", "synthetic/3"}
    one = without(TINY.recipe, "synthetic/2")
    assert [source.name for source in one.sources] == ["synthetic/0"]
    _, model = releasing.trained(one, quiet(place / "store"), releasing.Trainer("cpu"))
    aim = target(2, per_class=30)
    scores = releasing.scores(
        releasing.left_out_predictions(one, "synthetic/2", quiet(place / "store"), releasing.Trainer("cpu"))
    )
    assert scores == card.left_out["synthetic/2"]
    assert scores.cells >= len(aim)
    assert model.classes == CLASSES


def test_the_page_has_the_form_of_hugging_face(folder: Path):
    text = (folder / "README.md").read_text(encoding="utf-8")
    _, front, body = text.split("---\n", 2)
    fields, card = yaml.safe_load(front), Card.read(folder)
    assert fields["license"] == "apache-2.0"
    assert fields["datasets"] == ["synthetic/0", "synthetic/2"]
    [index] = fields["model-index"]
    assert index["name"] == "tiny"
    splits = [result["dataset"]["split"] for result in index["results"]]
    assert splits == ["held out", "held out", "left out", "left out"]
    value = index["results"][0]["metrics"][0]
    assert value == {"type": "accuracy", "value": card.held_out["synthetic/0"].accuracy, "name": "accuracy"}
    assert f"| synthetic/3 | {card.left_out['synthetic/3'].cells:,} |" in body
    assert card.weights in body
    assert "cells of all six classes" in body


def test_what_is_too_large_for_a_wheel_is_refused(place: Path, monkeypatch):
    home = place / "small"
    home.mkdir()
    monkeypatch.setattr(releasing, "EACH", 1000)
    with pytest.raises(ConfigurationError, match=r"The model 'tiny' has .* a wheel holds at most"):
        make(TINY, quiet(place / "store"), home)
    assert list(home.iterdir()) == []


def test_nothing_held_out_is_refused(place: Path):
    recipe = TINY.recipe.with_(training={"holdout": 0})
    with pytest.raises(ConfigurationError, match="holds out no cells"):
        make(TINY.model_copy(update={"recipe": recipe}), quiet(place / "store"), place)


def test_parts_are_trained_alone(place: Path, monkeypatch, capsys):
    monkeypatch.setattr(script, "RELEASES", (TINY,))
    words = ["tiny", "--store", str(place / "parts"), "--home", str(place / "nowhere")]
    script.main([*words, "--only-run", "synthetic/2"])
    assert len(list((place / "parts" / "source").iterdir())) == 1
    script.main([*words, "--only-run"])
    assert len(list((place / "parts" / "source").iterdir())) == 2
    assert not (place / "nowhere").exists()
    with pytest.raises(SystemExit):
        script.main(["tny", *words[1:]])
    assert "no release 'tny'" in capsys.readouterr().err


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)
def test_every_release_says_its_terms_and_is_measured_on_others(release: Release):
    for source in release.recipe.sources:
        card = data_card(source.name.partition("/")[0])
        assert NOT_STATED not in (card.licence, card.citation), source.name
    assert release.left_out
    assert all(without(release.recipe, name) is not None for name in release.left_out)
    assert release.recipe.training.holdout > 0
    assert release.recipe.backbone.image_size >= SIDE
