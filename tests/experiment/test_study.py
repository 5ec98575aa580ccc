"""Many runs at once: each made once, all impossible ones named together, all predictions in one table."""

import numpy as np
import pandas as pd
import pytest

from cellda.errors import CelldaError, ConfigurationError, UnknownNameError
from cellda.evaluation.predictions import probabilities, validate
from cellda.experiment.study import Study
from cellda.experiment.workspace import Workspace
from cellda.presets import CONDITIONS
from cellda.training.loop import Trainer
from tiny import SOURCE, adapting, quiet, recipe, target

QUICK = {
    "ours": recipe(adapter={"name": "full", "epochs": 1}),
    "head": recipe(adapter={"name": "head_only", "epochs": 1}),
    "as_it_is": recipe(adapter="none"),
}


def test_every_condition_runs_on_every_target_draw_and_seed(tmp_path, trainings) -> None:
    conditions = {"head": QUICK["head"], "as_it_is": QUICK["as_it_is"]}
    study = Study(conditions, [target(2), target(1)], draws=(0, 1), seeds=(0, 1), workspace=quiet(tmp_path))
    table = study.run()
    pd.testing.assert_frame_equal(table, validate(table))
    runs = table.groupby(["condition", "target", "draw", "seed"]).size()
    assert runs.to_dict() == {
        (condition, f"synthetic/{variant}", draw, seed): 24
        for condition in conditions
        for variant in (1, 2)
        for draw in (0, 1)
        for seed in (0, 1)
    }
    assert trainings == {SOURCE: 2, adapting("head_only"): 8}  # one source a seed
    # All conditions were measured on the same images.
    for _, part in table.groupby(["target", "draw"]):
        seen = {tuple(one["path"]) for _, one in part.groupby(["condition", "seed"])}
        assert len(seen) == 1

    trainings.clear()
    pd.testing.assert_frame_equal(study.run(), table)
    assert not trainings


def test_it_gives_what_single_runs_give(tmp_path) -> None:
    table = Study({"mine": QUICK["ours"]}, [target()], draws=(1,), workspace=quiet(tmp_path / "a")).run()
    single = QUICK["ours"].with_(few_shot={"draw": 1}).run(target(), store=tmp_path / "b", progress=False)
    assert set(table["condition"]) == {"mine"}
    assert single.record.condition == "our_workflow"
    assert np.array_equal(probabilities(table), probabilities(single.predictions))


def test_an_interrupted_ablation_goes_on_where_it_stopped(tmp_path, trainings, monkeypatch) -> None:
    study = Study(QUICK, [target()], workspace=quiet(tmp_path))
    fit = Trainer.fit

    def impatient(self, *given, **options):
        if options["work"] == adapting("head_only"):
            raise KeyboardInterrupt
        return fit(self, *given, **options)

    monkeypatch.setattr(Trainer, "fit", impatient)
    with pytest.raises(KeyboardInterrupt):
        study.run()
    assert trainings == {SOURCE: 1, adapting("full"): 1}
    monkeypatch.setattr(Trainer, "fit", fit)
    table = study.run()
    assert trainings == {SOURCE: 1, adapting("full"): 1, adapting("head_only"): 1}
    assert table["condition"].unique().tolist() == list(QUICK)


def test_runs_that_diverge_are_named_once_all_others_are_made(tmp_path, trainings) -> None:
    wild = {"wild": recipe(adapter={"name": "full", "epochs": 2, "lr": 1e30})}
    study = Study(wild | QUICK, [target()], draws=(0, 1), workspace=quiet(tmp_path))
    with pytest.raises(
        CelldaError, match=r"(?s)2 of 8 runs failed.*'wild' on .*, draw 0, seed 0: .*finite.*draw 1"
    ):
        study.run()
    trainings.clear()
    table = Study(QUICK, [target()], draws=(0, 1), workspace=quiet(tmp_path)).run()
    assert not trainings
    assert table["condition"].unique().tolist() == list(QUICK)


def test_an_adapter_that_raises_is_named_with_its_line_once_all_others_are_made(
    tmp_path, trainings, monkeypatch
) -> None:
    def crash(self, model, view, context):
        raise ValueError("boom")

    monkeypatch.setattr(type(recipe(adapter="ncm").adapter), "adapt", crash)
    study = Study({"mine": recipe(adapter="ncm")} | QUICK, [target()], workspace=quiet(tmp_path))
    said = r"(?s)1 of 4 runs failed.*'mine' on .*, draw 0, seed 0: ValueError: boom \(.*test_study\.py, line \d+\)"
    with pytest.raises(CelldaError, match=said) as caught:
        study.run()
    assert isinstance(caught.value.__cause__, ValueError)
    trainings.clear()
    Study(QUICK, [target()], workspace=quiet(tmp_path)).run()
    assert not trainings


def test_the_papers_conditions_are_edits_of_one_recipe() -> None:
    base = recipe(seed=4)
    study = Study.of_paper(base, ["synthetic/1"])
    assert list(study.recipes) == list(CONDITIONS)
    for name, chosen in study.recipes.items():
        assert chosen == base.with_preset(name)
    part = Study.of_paper(base, ["synthetic/1"], conditions=["head_only"])
    assert list(part.recipes) == ["head_only"]
    with pytest.raises(UnknownNameError, match="did you mean 'head_only'"):
        Study.of_paper(base, ["synthetic/1"], conditions=["head_onl"])


def test_all_impossible_runs_are_named_together_before_any_training(tmp_path, trainings) -> None:
    recipes = {
        **QUICK,
        "mixture": recipe(adapter={"name": "mixed_source", "source_images": 99}),
        "greedy": recipe(few_shot={"n": 500}),
    }
    study = Study(
        recipes,
        [target(), "synthetic/0", "raabin", "synthetic/77", "rabin"],
        draws=(0, 1),
        workspace=quiet(tmp_path / "store"),
    )
    with pytest.raises(ConfigurationError) as caught:
        study.run()
    said = str(caught.value)
    for problem in (
        "set adapter.source_images to at most 36",
        "cannot give 500 support cells in draw 0",
        "cannot give 500 support cells in draw 1",
        "'synthetic/0' is both the target and a source",
        "'raabin' is read from a folder",
        "There is no dataset 'synthetic/77'",
        "There is no dataset 'rabin'; did you mean 'raabin'?",
    ):
        assert said.count(problem) == 1, problem
    assert not trainings
    assert not (tmp_path / "store").exists()


def test_data_that_are_not_as_published_are_named_with_the_rest(tmp_path) -> None:
    (tmp_path / "raabin").mkdir()
    study = Study(
        {"greedy": recipe(few_shot={"n": 500})},
        [target(), "raabin"],
        workspace=Workspace(tmp_path, tmp_path / "store"),
    )
    with pytest.raises(ConfigurationError, match=r"(?s)cannot give 500.*raabin"):
        study.runs()


def test_a_source_that_is_not_there_is_named_beside_the_targets(tmp_path) -> None:
    study = Study(
        {"one": recipe(sources=["barcelona"])},
        ["raabin", "bccd"],
        workspace=Workspace(tmp_path, tmp_path / "store"),
    )
    with pytest.raises(ConfigurationError) as caught:
        study.runs()
    for name in ("barcelona", "raabin", "bccd"):
        assert str(caught.value).count(f"no folder '{name}'") == 1


@pytest.mark.parametrize("missing", ["recipes", "targets", "draws", "seeds"])
def test_nothing_to_run_is_said(tmp_path, missing) -> None:
    parts = {"recipes": QUICK, "targets": [target()], "draws": (0,), "seeds": (0,), missing: ()}
    parts["recipes"] = dict(parts["recipes"])
    with pytest.raises(CelldaError, match="nothing to run"):
        Study(**parts, workspace=quiet(tmp_path)).run()


@pytest.mark.parametrize(
    ("name", "edits"),
    [
        ("none", {"adapter": "ncm"}),
        ("no_fine_tune", {"adapter": "ncm"}),
        ("target_only", {"adapter": "ncm"}),
        ("target_only", {"adapter": "from_scratch"}),
        ("target_only", {"adapter": "full", "few_shot": {"n": None, "kind": "all"}}),
    ],
)
def test_a_bounds_name_is_refused_where_the_recipe_is_not_a_bound(tmp_path, name, edits) -> None:
    chosen = recipe(**edits)
    with pytest.raises(
        ConfigurationError, match=rf"'{name}' is the name of a bound.*'{chosen.adapter.name}'"
    ):
        Study({name: chosen}, [target()], workspace=quiet(tmp_path)).runs()
    assert len(Study({"mine": chosen}, [target()], workspace=quiet(tmp_path)).runs()) == 1


@pytest.mark.parametrize(
    ("name", "edits"),
    [
        ("none", {"adapter": "none"}),
        ("no_fine_tune", {"adapter": "none"}),
        ("target_only", {"adapter": "from_scratch", "few_shot": {"n": None, "kind": "all"}}),
    ],
)
def test_a_bounds_name_is_taken_for_a_bound(tmp_path, name, edits) -> None:
    runs = Study({name: recipe(**edits)}, [target()], workspace=quiet(tmp_path)).runs()
    assert [condition for condition, _ in runs] == [name]
