"""Runs that know which classes can occur: what is refused, what is recorded, and what is not trained again."""

import warnings
from pathlib import Path

import pytest
import torch

import cellda.datasets
from cellda import CellClassifier, Recipe, Study
from cellda.datasets.base import CellDataset
from cellda.errors import ConfigurationError
from cellda.evaluation.predictions import probabilities
from cellda.experiment.keys import source_key
from cellda.experiment.result import RunResult
from cellda.experiment.statement import check_statement
from cellda.experiment.workflow import adapt
from cellda.runtime.storage.store import digest
from tiny import CLASSES, SOURCE, model_folder, prepared, quiet, recipe, target
from trees import picture

KEPT = ("lymphocyte", "monocyte", "neutrophil")
GONE = [number for number, name in enumerate(CLASSES) if name not in KEPT]


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def ward(tmp_path_factory) -> CellDataset:
    """Labelled cells of three classes."""
    root = tmp_path_factory.mktemp("ward")
    for number in range(36):
        picture(root / KEPT[number % 3] / f"{number}.png", seed=number, size=(40, 40))
    return cellda.datasets.load("folder", root)


def run(chosen: Recipe, store: Path, aim: CellDataset | None = None) -> RunResult:
    return chosen.run(aim or target(), store=store, progress=False)


def test_names_are_put_in_class_order_and_all_of_them_say_nothing() -> None:
    chosen = recipe(present=("neutrophil", "monocyte", "lymphocyte", "monocyte"))
    assert chosen.present == KEPT
    assert recipe(present="neutrophil, monocyte,lymphocyte") == chosen
    assert Recipe.from_yaml(chosen.to_yaml()) == chosen
    assert chosen.with_(present=None) == recipe() == recipe(present=CLASSES[::-1])
    assert chosen.digest != recipe().digest


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            ("neutrophil", "lymphocite"),
            "field 'present': 'lymphocite' is not one of the classes; did you mean 'lymphocyte'",
        ),
        (("neutrophil",), "at least two different ones of basophil, .*; got neutrophil"),
        (("neutrophil", "neutrophil"), "at least two different ones of basophil, .*; got neutrophil"),
        ((), "at least two different ones of basophil, .*; got none"),
        ("", "'' is not one of the classes"),
        (3, "field 'present'"),
    ],
)
def test_other_statements_are_refused(given, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        recipe(present=given)


def test_the_source_model_does_not_depend_on_the_statement(tmp_path, trainings) -> None:
    with pytest.warns(UserWarning, match="present was wrong"):
        runs = [prepared(recipe(adapter="none", present=present), tmp_path) for present in (None, KEPT)]
    assert runs[0].source_key == runs[1].source_key
    assert runs[0].digest != runs[1].digest
    assert digest(source_key(runs[0].recipe, runs[0].sources)) == digest(runs[1].source_key)
    before = run(recipe(adapter="none"), tmp_path)
    with pytest.warns(UserWarning, match="present was wrong"):
        after = run(recipe(adapter="none", present=KEPT), tmp_path)
    assert trainings[SOURCE] == 1
    # Only the statement differs, so the probabilities are those of the source model, renormalised.
    whole, found = (torch.from_numpy(probabilities(one.predictions)) for one in (before, after))
    wanted = whole.clone()
    wanted[:, GONE] = 0
    torch.testing.assert_close(found, wanted / wanted.sum(1, keepdim=True), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("adapter", ["full", "coral", "tent", "shot"])
def test_a_run_predicts_the_stated_classes_and_records_that(store, ward, adapter) -> None:
    fields = {"source_images": 9} if adapter == "coral" else {}
    chosen = recipe(adapter={"name": adapter, "epochs": 1, **fields}, present=KEPT)
    result = run(chosen, store, ward)
    found = probabilities(result.predictions)
    assert (found[:, GONE] == 0).all()
    assert found.sum(1) == pytest.approx(1, abs=1e-6)
    assert result.record.present == KEPT
    assert result.record.contradicting == {}
    assert set(result.predictions["present"]) == {"lymphocyte+monocyte+neutrophil"}
    assert result.record.condition.endswith("@present")
    assert "it was known that only lymphocyte, monocyte, neutrophil can occur (present)" in str(result)
    assert result.model.present == KEPT


@pytest.mark.parametrize("selector", ["support_cv", "entropy", "info_max", "snd", "source_val"])
def test_a_search_is_made_under_the_statement(store, ward, selector) -> None:
    search = {"trials": 2, "folds": 2, "selector": selector}
    chosen = recipe(adapter={"name": "head_only", "epochs": 1}, search=search, present=KEPT)
    result = run(chosen.with_(training={"holdout": 0.2}), store, ward)
    assert all(trial.score is not None and abs(trial.score) < 10 for trial in result.trials)
    assert (probabilities(result.predictions)[:, GONE] == 0).all()


def test_labelled_cells_of_other_classes_are_refused_before_the_work(tmp_path, ward, trainings) -> None:
    chosen = recipe(present=("monocyte", "neutrophil"))
    message = (
        r"only monocyte, neutrophil can occur \(present\), but 6 labelled cells are of other classes in folder/.*: "
        r"lymphocyte 6. Add this class to present"
    )
    with pytest.raises(ConfigurationError, match=message):
        run(chosen, tmp_path, ward)
    with pytest.raises(
        ConfigurationError, match=r"12 labelled cells are of other classes in .*lymphocyte 12"
    ):
        adapt(chosen, ward, store=tmp_path, progress=False)
    # They are a statement too, even if the adapter does not use them.
    picture(tmp_path / "new" / "1.png")
    with pytest.raises(ConfigurationError, match="12 labelled cells are of other classes"):
        adapt(chosen.with_(adapter="lame"), ward, tmp_path / "new", store=tmp_path, progress=False)
    assert not trainings


def test_measured_cells_of_other_classes_are_counted_as_wrong_and_told(store) -> None:
    chosen = recipe(adapter={"name": "prior_correction"}, present=KEPT)
    with pytest.warns(
        UserWarning, match=r"present was wrong for synthetic/1: \d+ of \d+ query cells are of .*basophil \d"
    ):
        result = run(chosen, store)
    labels = result.predictions["label"]
    wrong = {name: int((labels == name).sum()) for name in CLASSES if name not in KEPT}
    assert result.record.contradicting == wrong
    assert "present was wrong for synthetic/1" in str(result)
    rows = ~labels.isin(KEPT)
    assert (result.predictions["predicted"][rows] != labels[rows]).all()
    assert result.metrics.accuracy.value <= 1 - rows.mean()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(recipe(adapter="none"), store)


def test_sources_without_any_stated_class_are_refused(tmp_path, ward) -> None:
    for number in range(12):
        picture(
            tmp_path / "a" / ("basophil", "eosinophil")[number % 2] / f"{number}.png",
            seed=number,
            size=(40, 40),
        )
    others = [cellda.datasets.load("folder", tmp_path / "a")]
    message = "The adapter 'coral' takes source images, but the sources show none of lymphocyte, monocyte, neutrophil"
    with pytest.raises(ConfigurationError, match=message):
        check_statement(recipe(adapter="coral", present=KEPT), others, ward, [0], [1], used=True)
    check_statement(recipe(adapter="coral", present=KEPT), [*others, ward], ward, [0], [1], used=True)
    check_statement(recipe(adapter="full", present=KEPT), others, ward, [0], [1], used=True)


def test_a_study_keeps_both_apart(tmp_path, ward) -> None:
    quick = {"name": "head_only", "epochs": 1}
    recipes = {"all": recipe(adapter=quick), "stated": recipe(adapter=quick, present=KEPT)}
    study = Study(recipes, [ward], workspace=quiet(tmp_path))
    table = study.run()
    known = table[["condition", "present"]].drop_duplicates().set_index("condition")["present"].to_dict()
    assert known == {"all": "all", "stated": "lymphocyte+monocyte+neutrophil"}
    assert [record.present for record in study.records()] == [None, KEPT]


def test_an_adapted_model_remembers_and_old_ones_load(tmp_path, ward) -> None:
    quick = {"name": "full", "epochs": 1}
    model = adapt(recipe(adapter=quick, present=KEPT), ward, store=tmp_path, progress=False)
    kept = CellClassifier.load(model.save(tmp_path / "m"))
    assert kept.present == KEPT
    pixels = target().read(range(6), 32)
    assert (kept.predict(pixels).probabilities[:, GONE] == 0).all()
    assert set(kept.predict(pixels).labels) <= {*KEPT, None}


# --- a source model that rules out classes


def test_a_source_model_that_was_narrowed_can_be_narrowed_further(tmp_path, ward) -> None:
    folder = model_folder(tmp_path / "mine")
    narrow = CellClassifier.load(folder).with_present(KEPT).save(tmp_path / "narrow")
    assert Recipe(source_model=folder).present is None
    assert Recipe(source_model=narrow).present == KEPT
    assert Recipe(source_model=narrow, present=("monocyte", "neutrophil")).present == (
        "monocyte",
        "neutrophil",
    )
    for wider in (("basophil", *KEPT), None):
        with pytest.raises(
            ConfigurationError, match=r"was made for images that show only lymphocyte.*narrowed, not widened"
        ):
            Recipe(source_model=narrow, present=wider)
    fields = {
        "adapter": {"name": "full", "epochs": 1},
        "search": None,
        "few_shot": {"n": 18},
        "device": "cpu",
    }
    with pytest.warns(UserWarning, match="has no card"):
        result = run(Recipe(source_model=narrow, **fields), tmp_path, ward)
    assert result.record.present == result.model.present == KEPT
