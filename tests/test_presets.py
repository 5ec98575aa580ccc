"""Presets: the paper's six conditions and the laptop, as edits that combine."""

import pytest

import tiny
from cellda import CellClassifier, Recipe, presets
from cellda.adapters import Need
from cellda.errors import UnknownNameError
from cellda.reporting.paper import published

SIX = ["no_source_train", "no_fine_tune", "head_only", "mixed_train", "no_transform", "our_workflow"]


def changed(recipe: Recipe, base: Recipe) -> dict[str, object]:
    """The fields in which two recipes differ."""
    after, before = recipe.model_dump(mode="json"), base.model_dump(mode="json")
    return {name: value for name, value in after.items() if value != before[name]}


def test_there_are_the_six_conditions_of_the_paper_its_training_and_the_laptop():
    assert presets.names() == ["laptop", "published_training", "best", "best_without_labels", *SIX]
    assert list(presets.CONDITIONS) == SIX


def test_our_workflow_is_the_recipe_itself():
    assert Recipe.preset("our_workflow") == Recipe.preset() == Recipe()


@pytest.mark.parametrize(
    ("condition", "adapter"),
    [
        ("no_source_train", "from_scratch"),
        ("no_fine_tune", "none"),
        ("head_only", "head_only"),
        ("mixed_train", "mixed_source"),
    ],
)
def test_a_condition_changes_the_adapter_alone(condition: str, adapter: str):
    recipe = Recipe.preset(condition)
    assert set(changed(recipe, Recipe())) == {"adapter"}
    assert recipe == Recipe(adapter=adapter)


def test_no_transform_changes_the_targets_normalizer_alone():
    recipe = Recipe.preset("no_transform")
    assert set(changed(recipe, Recipe())) == {"target_normalizer"}
    assert recipe.used_target_normalizer.name == "identity"
    assert recipe.normalizer.name == "reinhard"


def test_the_laptop_is_small_packaged_and_without_a_search():
    recipe = Recipe.preset("laptop")
    assert set(changed(recipe, Recipe())) == {"backbone", "search"}
    assert (recipe.backbone.name, recipe.backbone.weights) == ("tf_efficientnet_lite0", "packaged")
    assert (recipe.backbone.image_size, recipe.backbone.embedding) == (128, 128)
    assert recipe.search is None


@pytest.mark.parametrize("condition", SIX)
def test_laptop_and_condition_combine_in_either_order(condition: str):
    one, other = Recipe.preset("laptop", condition), Recipe.preset(condition, "laptop")
    assert one == other
    assert one == Recipe.preset("laptop").with_preset(condition)
    assert set(changed(one, Recipe.preset(condition))) == {"backbone", "search"}


def test_the_last_of_two_presets_wins():
    assert Recipe.preset("head_only", "mixed_train") == Recipe.preset("mixed_train")
    assert Recipe.preset("mixed_train", "head_only") == Recipe.preset("head_only")


def test_a_preset_leaves_the_other_fields_of_a_recipe():
    base = Recipe(sources="raabin", seed=3, few_shot={"n": 48}, backbone={"embedding": 64}, protocol="paper")
    recipe = base.with_preset("laptop", "head_only")
    assert set(changed(recipe, base)) == {"backbone", "search", "adapter"}
    assert recipe.backbone.embedding == 64


def test_a_preset_keeps_the_options_of_the_adapter_it_names():
    base = Recipe(adapter={"name": "full", "epochs": 3, "lr": 1e-5})
    assert base.with_preset("our_workflow") == base
    assert base.with_preset("no_transform").adapter == base.adapter
    assert base.with_preset("head_only").adapter == Recipe(adapter="head_only").adapter
    row = Recipe(adapter=({"name": "full", "epochs": 3}, "second_view", "tta"))
    assert row.with_preset("best").adapter == row.adapter
    assert base.with_preset("best").adapter == Recipe(adapter="full+second_view+tta").adapter
    row = Recipe(adapter=({"name": "lame", "neighbours": 3}, "tta"))
    assert row.with_preset("best_without_labels").adapter == row.adapter
    assert base.with_preset("best_without_labels").adapter.steps[0].neighbours == 20


def test_what_is_recommended_undoes_the_edits_of_the_conditions():
    for name in presets.RECOMMENDED:
        assert Recipe.preset("no_transform", name) == Recipe.preset(name)


@pytest.mark.parametrize("name", presets.names())
def test_every_preset_is_explained_by_what_it_sets(name: str):
    line = presets.summary(name)
    assert line.endswith(".")
    edits = presets.edits_of(name)
    values = [
        value for edit in edits.values() for value in (edit.values() if isinstance(edit, dict) else [edit])
    ]
    values = [
        part
        for value in values
        for step in (value if isinstance(value, list) else [value])
        for part in (step.values() if isinstance(step, dict) else [step])
    ]
    assert all(str(value) in line for value in values if value is not None)


@pytest.mark.parametrize("look", [presets.edits_of, presets.summary, Recipe.preset])
def test_an_unknown_preset_names_the_near_ones(look):
    with pytest.raises(
        UnknownNameError,
        match=r"no preset 'labtop'; did you mean 'laptop'\? Known: best, best_without_labels, ",
    ):
        look("labtop")


def test_published_numbers_are_complete():
    table = published.ablation()
    assert list(table.columns) == ["condition", "target", "accuracy", "precision", "recall"]
    assert len(table) == 6 * 8
    assert set(table["condition"]) == set(SIX)
    assert table[["accuracy", "precision", "recall"]].to_numpy().min() > 0
    ours = table.query("condition == 'our_workflow' and target == 'raabin'").iloc[0]
    assert tuple(ours[2:]) == (0.92, 0.85, 0.76)
    # The paper's Table 5 gives the means of Table C.1 over its eight targets.
    means = table.groupby("condition")["accuracy"].mean()
    assert means["our_workflow"] == pytest.approx(0.89, abs=0.01)


def test_published_classes_average_to_the_published_macro_recall():
    classes = published.per_class()
    assert len(classes) == 33
    macro = published.ablation().query("condition == 'our_workflow'").set_index("target")["recall"]
    means = classes.groupby("target")["recall"].mean()
    assert set(means.index) == set(macro.index)
    # Two independent tables of the paper; Jiangxi Tecom and Tianjin differ there by more than rounding.
    for target in ("raabin", "munich_2021", "lisc", "jslh", "jin_woo_choi", "bccd"):
        assert means[target] == pytest.approx(macro[target], abs=0.011)


def test_published_training_is_the_papers_and_combines_with_the_others() -> None:
    training = Recipe.preset("laptop", "published_training", "head_only").training
    # Section "Training strategy": batches of 16, Adam at 1e-4, 15 epochs, label smoothing, 80/20.
    assert (training.batch_size, training.optimizer, training.lr, training.epochs) == (16, "adam", 1e-4, 15)
    assert (training.weight_decay, training.one_cycle, training.bn) == (0, False, "train")
    assert (training.label_smoothing, training.holdout) == (0.1, 0.2)
    assert Recipe.preset("laptop", "published_training", "head_only").adapter.name == "head_only"


@pytest.mark.parametrize(
    ("name", "adapter", "labelled"),
    [("best", "full+second_view+tta", True), ("best_without_labels", "lame+tta", False)],
)
def test_what_is_recommended_frames_cells_and_combines_with_the_laptop(name, adapter, labelled) -> None:
    recipe = Recipe.preset(name)
    assert set(changed(recipe, Recipe())) == {"framing", "training", "adapter", "search", "calibration"}
    assert (recipe.framing.name, recipe.training.stain_jitter, recipe.adapter.name) == ("cell", 1.0, adapter)
    assert (Need.LABELS in recipe.adapter.needs) == labelled
    assert Recipe.preset("laptop", name) == Recipe.preset(name, "laptop")


@pytest.mark.parametrize("name", ["best", "best_without_labels"])
def test_what_is_recommended_runs_and_its_model_can_be_used_alone(tmp_path, name) -> None:
    result = tiny.recipe().with_preset(name).with_(training={"epochs": 1}).run(tiny.target(), store=tmp_path)
    model = CellClassifier.load(result.path / "model")
    assert (model.framing_spec.name, model.symmetric) == ("cell", True)
    assert result.labels_used == (0 if name == "best_without_labels" else 18)
