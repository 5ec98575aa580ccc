"""A recipe that starts from a trained source model: what it takes from it, what it refuses, and how it runs."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

import cellda.datasets
from cellda import CellClassifier, Recipe
from cellda.errors import CelldaError, ConfigurationError, DataError
from cellda.experiment.result import RunResult
from cellda.experiment.run import Run
from cellda.framing.spec import FramingSpec
from cellda.imaging.measurements import NAMES
from cellda.models import saved
from cellda.models.second_view import SecondView
from cellda.source_models.cards import Card
from tiny import SIDE, model_folder, quiet, target
from tiny import recipe as tiny
from trees import picture

DECIDED = {
    "backbone": {"name": "test_efficientnet", "weights": "none", "image_size": SIDE},
    "framing": "cell",
    "normalizer": "modified_reinhard",
}
QUICK = {"adapter": {"name": "full", "epochs": 1}, "search": None, "few_shot": {"n": 18}, "device": "cpu"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return model_folder(tmp_path_factory.mktemp("models") / "mine", **DECIDED)


def run(recipe: Recipe, store: Path, aim: str | Any = None) -> RunResult:
    return recipe.run(aim or target(), store=store, keep_model=False, progress=False)


# --- what a recipe takes from its model


def test_the_model_decides_backbone_normalizer_and_framing(folder: Path):
    chosen = Recipe(source_model=folder)
    assert chosen.sources == ()
    assert (chosen.backbone, chosen.normalizer, chosen.framing) == tuple(
        getattr(tiny(**DECIDED), field) for field in ("backbone", "normalizer", "framing")
    )
    paper = Recipe()
    for field in Recipe.model_fields.keys() - {"source_model", "sources", *DECIDED}:
        assert getattr(chosen, field) == getattr(paper, field), field
    assert Recipe(source_model=str(folder), **DECIDED) == chosen


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"framing": "none"}, "framing.name is 'none', but the source model '.*' has 'cell'"),
        ({"normalizer": "identity"}, "normalizer.name is 'identity', .* has 'modified_reinhard'"),
        ({"backbone": {**DECIDED["backbone"], "image_size": 64}}, "backbone.image_size is 64, .* has 32"),
        (
            {"backbone": {**DECIDED["backbone"], "image_size": 64}, "framing": "none"},
            "(?s)image_size is 64.*framing.name is 'none'",
        ),
        ({"training": {"epochs": 7}}, r"training is given, but the source model '.*' is trained already"),
        ({"sources": "raabin"}, r"sources \(raabin\) and source_model \('.*'\) are both given"),
    ],
)
def test_contradictions_are_refused_by_field(folder: Path, fields: dict[str, Any], message: str):
    with pytest.raises(ConfigurationError, match=message):
        Recipe(source_model=folder, **fields)
    with pytest.raises(ConfigurationError, match=message):
        Recipe(source_model=folder).with_(source_model=folder, **fields)


def test_what_was_said_before_the_model_must_agree_too(folder: Path):
    with pytest.raises(ConfigurationError, match=r"backbone.name is 'tf_efficientnet_lite0'"):
        Recipe.preset("laptop").with_(source_model=folder)
    assert Recipe.preset("best").with_(source_model=folder).framing.name == "cell"


def test_presets_say_how_a_model_is_adapted_and_nothing_of_what_it_is(folder: Path):
    with_model = Recipe(source_model=folder)
    assert with_model.with_preset("laptop") == with_model.with_(search=None)
    best = with_model.with_preset("best")
    assert (best.framing, best.backbone) == (with_model.framing, with_model.backbone)
    assert [step.name for step in best.adapter.parts()] == ["full", "second_view", "tta"]
    with pytest.raises(
        ConfigurationError, match=r"'published_training' says how a source model is trained, .* leave it out"
    ):
        with_model.with_preset("published_training")


@pytest.mark.parametrize("given", [3, 2.5, ["pooled"], True])
def test_what_is_no_model_is_answered_with_what_is(given):
    with pytest.raises(
        ConfigurationError, match="field 'source_model': give the name of a model or the path of its folder"
    ):
        Recipe(source_model=given)


def test_a_recipe_is_the_same_wherever_its_model_lies(folder: Path, tmp_path: Path, monkeypatch):
    (tmp_path / "copy").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    assert {Recipe(source_model=one).digest for one in ("copy", "./copy", tmp_path / "copy")} == {
        Recipe(source_model=folder).digest
    }
    assert Recipe(source_model=folder, seed=1).digest != Recipe(source_model=folder).digest


def test_a_model_takes_the_place_of_sources_and_the_reverse(folder: Path):
    there = Recipe(sources="raabin", seed=3).with_(source_model=folder)
    assert there.sources == ()
    assert there == Recipe(source_model=folder, seed=3)
    assert there.with_(sources="raabin") == Recipe(sources="raabin", seed=3)
    assert there.with_(source_model=None) == Recipe(seed=3)
    assert Recipe(sources="raabin").with_(source_model=None) == Recipe(sources="raabin")


def test_a_recipe_with_a_model_is_written_and_read(folder: Path, tmp_path: Path):
    chosen = Recipe(source_model=folder, seed=3)
    text = chosen.to_yaml()
    assert Recipe.from_yaml(text) == chosen
    assert Recipe.from_yaml(text).digest == chosen.digest
    file = tmp_path / "recipe.yaml"
    file.write_text(f"source_model: {folder.name}\n", encoding="utf-8")
    (tmp_path / folder.name).symlink_to(folder)
    assert Recipe.from_yaml(file).source_model.name == str(tmp_path / folder.name)


# --- which model it is


def test_other_weights_are_another_recipe(folder: Path, tmp_path: Path):
    copy = model_folder(tmp_path / "model", **DECIDED)
    before = Recipe(source_model=copy)
    model = CellClassifier.load(copy)
    with torch.no_grad():
        model.embedding.bias += 1
    model.save(copy, half=True)
    after = Recipe(source_model=copy)
    assert after != before
    assert after.digest != before.digest
    with pytest.raises(ConfigurationError, match=r"not the stated one: its digest is .*leave out the digest"):
        before.with_(seed=1)
    with pytest.raises(ConfigurationError, match="not the stated one"):
        before.source_model.check_unchanged()


def test_the_key_of_a_run_holds_what_the_model_holds(folder: Path, tmp_path: Path):
    copy = model_folder(tmp_path / "mine", **DECIDED)

    def digest() -> str:
        return Run.prepare(Recipe(source_model=copy, **QUICK), target(), quiet(tmp_path)).digest

    before = digest()
    assert digest() == before
    model = CellClassifier.load(copy)
    with torch.no_grad():
        model.head[0].bias += 1
    model.save(copy, half=True)
    Card.read(copy).model_copy(update={"weights": saved.described(copy)[1].weights.sha256}).write(copy)
    assert digest() != before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: setattr(model, "symmetric", True), "was adapted already .* averages over flips"),
    ],
)
def test_a_model_that_cannot_be_a_source_is_refused(folder: Path, tmp_path: Path, change: Any, message: str):
    model = CellClassifier.load(folder)
    change(model)
    with pytest.raises(ConfigurationError, match=message):
        Recipe(source_model=model.save(tmp_path))


def test_a_folder_without_a_model_and_an_unknown_name_are_refused(tmp_path: Path):
    with pytest.raises(DataError, match="does not hold a saved classifier"):
        Recipe(source_model=tmp_path)
    with pytest.raises(ConfigurationError, match="'pooledd' is neither a source model nor a folder"):
        Recipe(source_model="pooledd")


def test_damaged_weights_are_refused_before_any_work(folder: Path, tmp_path: Path):
    copy = model_folder(tmp_path / "mine", **DECIDED)
    file = copy / saved.WEIGHTS
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"is not the file that classifier\.json was written for"):
        run(Recipe(source_model=copy, **QUICK), tmp_path / "store")
    assert not list((tmp_path / "store").glob("*/*"))


# --- how it runs


def test_the_unchanged_model_predicts_what_it_predicts_alone(folder: Path, tmp_path: Path):
    aim = target()
    result = run(Recipe(source_model=folder, **{**QUICK, "adapter": "none"}), tmp_path, aim)
    model = CellClassifier.load(folder)
    rows = [list(aim.table["path"]).index(path) for path in result.predictions["path"]]
    framing = FramingSpec.model_validate(result.record.framed[aim.full_name].framing)
    pixels, _ = aim.framed(range(len(aim)), SIDE, framing.build())
    with torch.no_grad():
        alone = model.for_inference().probabilities(pixels[rows])
    columns = [name for name in result.predictions if name.startswith("p_")]
    assert torch.allclose(torch.tensor(result.predictions[columns].to_numpy()).float(), alone, atol=1e-5)
    assert set(result.predictions["source"]) == {f"mine:{saved.folder_digest(folder)}"}


def test_adapting_starts_from_the_model_and_trains_no_source(folder: Path, tmp_path: Path):
    trained = run(Recipe(source_model=folder, **QUICK), tmp_path)
    again = run(Recipe(source_model=folder, **QUICK), tmp_path / "other")
    unchanged = run(Recipe(source_model=folder, **{**QUICK, "adapter": "none"}), tmp_path)
    pd.testing.assert_frame_equal(trained.predictions, again.predictions)
    assert not trained.predictions["p_monocyte"].equals(unchanged.predictions["p_monocyte"])
    assert not (tmp_path / "source").exists()
    assert trained.recipe.source_model.digest == saved.folder_digest(folder)


def test_own_cells_are_adapted_to_without_any_source(folder: Path, tmp_path: Path):
    recipe = Recipe(source_model=folder, **QUICK)
    model = recipe.adapt(target(), store=tmp_path, progress=False)
    assert isinstance(model, CellClassifier)
    assert model.framing_spec.name == "cell"
    assert model.seen is not None
    assert not (tmp_path / "source").exists()


@pytest.mark.parametrize("normalizer", ["histogram", "vahadane"])
def test_a_fitted_normalizer_comes_with_the_model(tmp_path: Path, normalizer: str):
    made = model_folder(tmp_path / "mine", normalizer=normalizer)
    state = CellClassifier.load(made).normalizer.state_dict()
    recipe = Recipe(source_model=made, **{**QUICK, "adapter": "none"})
    result = recipe.run(target(), store=tmp_path / "store", progress=False)
    for name, value in result.model.normalizer.state_dict().items():
        assert torch.equal(value, state[name]), name
    assert not (tmp_path / "store" / "normalizer").exists()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"adapter": "mixed_source"}, "The adapter 'mixed_source' needs labelled source images"),
        ({"adapter": "coral+tta"}, "The adapter 'coral' needs labelled source images"),
        (
            {"target_normalizer": "histogram"},
            "The target_normalizer 'histogram' needs labelled source images",
        ),
        (
            {"search": {"selector": "source_val", "trials": 2}},
            "The selector 'source_val' needs labelled source images",
        ),
    ],
)
def test_what_takes_source_images_is_refused_with_the_sources_of_the_model(
    folder: Path, tmp_path: Path, fields: dict[str, Any], message: str
):
    with pytest.raises(
        ConfigurationError, match=f"{message}.*trained on synthetic/0.*name datasets as sources"
    ):
        run(Recipe(source_model=folder, **{**QUICK, **fields}), tmp_path)


# --- cells that the model has seen


def test_a_target_that_the_model_was_trained_on_is_said_and_recorded(folder: Path, tmp_path: Path):
    recipe = Recipe(source_model=folder, **{**QUICK, "adapter": "none"})
    with pytest.warns(UserWarning, match=r"was trained on cells \(synthetic/0\) of the target 'synthetic/0'"):
        seen = run(recipe, tmp_path, target(0))
    assert seen.record.known_to_model == ("synthetic/0",)
    assert "optimistic: the source model has seen cells of synthetic/0" in str(seen)
    unseen = run(recipe, tmp_path, target(1))
    assert unseen.record.known_to_model == ()
    assert "optimistic" not in str(unseen)


def test_copies_of_its_images_in_any_folder_are_recognised(tmp_path: Path):
    theirs, own, others = (tmp_path / name for name in ("theirs", "own", "others"))
    for number in range(12):
        label = ("monocyte", "lymphocyte")[number % 2]
        picture(theirs / label / f"{number}.png", seed=number)
        picture(others / label / f"{number}.png", seed=100 + number)
        if number % 3 == 0:
            picture(own / label / "smear" / f"copy {number}.png", seed=number)
    picture(tmp_path / "namesake" / "theirs" / "monocyte" / "1.png", seed=200)
    card = Card.read(model_folder(tmp_path / "model", cellda.datasets.load("folder", theirs)))
    assert card.sharing(cellda.datasets.load("folder", own)) == ("folder/theirs",)
    assert card.sharing(cellda.datasets.load("folder", others)) == ()
    assert card.sharing(cellda.datasets.load("folder", tmp_path / "namesake" / "theirs")) == ()
    assert card.sharing(target()) == ()


def test_a_model_without_a_card_is_used_with_a_warning(folder: Path, tmp_path: Path):
    bare = CellClassifier.load(folder).save(tmp_path / "bare")
    with pytest.warns(UserWarning, match="has no card, so it is not known"):
        result = run(Recipe(source_model=bare, **{**QUICK, "adapter": "none"}), tmp_path)
    assert result.record.known_to_model is None
    record = json.loads((result.path / "record.json").read_text(encoding="utf-8"))
    assert record["known_to_model"] is None


def test_a_card_of_other_weights_is_refused(folder: Path, tmp_path: Path):
    copy = model_folder(tmp_path / "mine", **DECIDED)
    CellClassifier.load(copy).save(copy)
    with pytest.raises(CelldaError, match="belongs to other weights"):
        run(Recipe(source_model=copy, **QUICK), tmp_path)


def test_a_model_with_a_second_view_is_no_source(folder: Path, tmp_path: Path):
    model = CellClassifier.load(folder)
    measures, labels = torch.rand(8, len(NAMES)), torch.arange(8) % 2
    model.second_view = SecondView.fitted(measures, labels, 6, trees=2, weight=1.0, seed=0)
    with pytest.raises(ConfigurationError, match=r"was adapted already .* it has a second view"):
        Recipe(source_model=model.save(tmp_path))
