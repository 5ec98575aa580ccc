"""Scripts of studies: parts that are run apart are reported together, in files of prediction tables only."""

import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cellda.adapters
from benchmarks.common.results import RESULTS
from benchmarks.common.study import StudyScript, chosen_recipes, chosen_targets, main, options, report
from benchmarks.studies import (
    ablation,
    pooled,
    pooled_quarter,
    pooled_without_labels,
    sample_size,
    tuning,
    zoo,
    zoo_search,
)
from cellda import Recipe
from cellda.evaluation.costs import read_costs
from cellda.evaluation.predictions import probabilities, read_predictions
from cellda.experiment.study import Study
from cellda.presets import CONDITIONS
from cellda.reporting.tables.leaderboard import ranking
from tiny import quiet, recipe


def test_the_studies_are_those_of_the_protocol():
    study = ablation.STUDY
    assert tuple(study.recipes) == tuple(CONDITIONS)
    runs = (
        len(study.recipes) * len(study.targets) * len(study.draws) * len(study.seeds) * len(study.protocols)
    )
    assert runs == 480
    sizes = sample_size.STUDY
    assert [r.few_shot.n for r in sizes.recipes.values()] == [30, 45, 60, 75, 90, 100]
    assert {r.with_(few_shot={"n": 30}).digest for r in sizes.recipes.values()} == {
        sizes.recipes["our_workflow@n=30"].digest
    }
    assert (sizes.targets, len(sizes.draws), sizes.protocols) == (("raabin", "bccd"), 10, ("clean",))


def test_the_zoo_is_every_adapter_on_the_four_targets():
    study = zoo.STUDY
    alone = {name for name in study.recipes if "+" not in name and "@" not in name}
    assert alone == {*cellda.adapters.names(), "our_workflow", "target_only"} - {"full"}
    assert {recipe.search for recipe in study.recipes.values()} == {None}
    framed = {name: recipe for name, recipe in study.recipes.items() if name.endswith("@cell")}
    assert {(one.framing.name, one.training.stain_jitter) for one in framed.values()} == {("cell", 1.0)}
    assert framed["full+tta@cell"].adapter.name == "full+tta"
    chosen = Recipe.preset("laptop", "best").with_(sources=["barcelona"], backbone={"image_size": 96})
    assert framed[f"{chosen.adapter.name}@cell"] == chosen.with_(calibration="none")
    assert (study.cap, study.best, study.main, study.protocols) == (3000, True, "our_workflow", ("clean",))
    assert (len(study.targets), study.draws, study.seeds) == (4, (0, 1, 2, 3, 4), (0,))
    assert {name for one in study.recipes.values() for name in [s.name for s in one.sources]} == {"barcelona"}


def test_the_recommended_adaptations_are_measured_on_the_released_pool():
    assert pooled.STUDY.recipes["full+second_view+tta@cell"].adapter == Recipe.preset("best").adapter
    unlabelled = pooled_without_labels.STUDY.recipes
    assert unlabelled["lame_20+tta@cell"].adapter == Recipe.preset("best_without_labels").adapter
    quarter = pooled_quarter.STUDY
    assert quarter.recipes == pooled.STUDY.recipes
    assert quarter.n == {"jiangxi_tecom": 5, "jin_woo_choi": 5, "raabin": 25, "bccd": 25}


def test_the_search_of_the_zoo_is_of_its_first_three():
    recipes = zoo_search.STUDY.recipes
    stored = read_predictions(RESULTS / "zoo")
    assert set(zoo_search.TOP) == set(ranking(stored).mean_ranks.index[:3])
    chosen = {f"{name}+search": "support_cv" for name in zoo_search.TOP} | {
        f"{name}+oracle": "oracle" for name in zoo_search.BOUNDED
    }
    assert {name for name, recipe in recipes.items() if recipe.search is not None} == set(chosen)
    for name, selector in chosen.items():
        searched, alone = recipes[name], name.rpartition("+")[0]
        assert (searched.search.trials, searched.search.selector) == (8, selector)
        assert searched.with_(search=None) == recipes[alone] == zoo.STUDY.recipes[alone]


def test_a_study_with_a_choice_reports_it_with_its_costs(tmp_path: Path):
    adapters = {"a": "none", "b": {"name": "head_only", "epochs": 2}}
    small = StudyScript(
        "choice",
        {name: recipe(adapter=adapter) for name, adapter in adapters.items()},
        ("synthetic/1", "synthetic/2"),
        main="a",
        tables=("leaderboard", "comparison_balanced"),
        draws=(0,),
        best=True,
    )
    results = tmp_path / "results"
    main(small, given=["--store", str(tmp_path / "s"), "--results", str(results)])
    table = read_predictions(results)
    assert set(table["condition"]) == {"a", "b", "best"}
    stored = probabilities(table[table["condition"] == "a"])
    assert np.array_equal(stored * 8192, np.round(stored * 8192))
    exact = Study(small.recipes, small.targets, workspace=quiet(tmp_path / "s")).run()
    assert np.abs(stored - probabilities(exact[exact["condition"] == "a"])).max() <= 0.5 / 8192
    runs = read_costs(results)
    assert len(runs) == 6
    assert set(runs.loc[runs["condition"] == "a", "labels_used"]) == {0}
    assert set(runs.loc[runs["condition"] == "b", "labels_used"]) == {18}
    chosen = pd.read_csv(results / "best.csv")
    assert set(chosen["target"]) == {"synthetic/1", "synthetic/2"}
    assert "| best (chosen) |" in (results / "README.md").read_text()


def test_a_study_of_sizes_runs_in_parts_and_is_reported(tmp_path: Path, capsys):
    small = StudyScript(
        "sizes",
        {f"our_workflow@n={n}": recipe(few_shot={"n": n}) for n in (6, 12)},
        ("synthetic/1",),
        main="our_workflow",
        draws=(0, 1),
        protocols=("clean", "paper"),
        tables=sample_size.STUDY.tables,
        figures=sample_size.STUDY.figures,
    )
    results = tmp_path / "results"
    always = ["--store", str(tmp_path / "store"), "--results", str(results)]
    main(small, given=[*always, "--protocol", "paper", "--draws", "0", "--only-run"])
    assert not results.exists()
    main(small, given=always)
    assert sorted(file.name for file in results.glob("*.parquet")) == [
        "predictions_clean.parquet",
        "predictions_paper.parquet",
    ]
    table = read_predictions(results)
    assert set(table["condition"]) == {"our_workflow@n=6", "our_workflow@n=12"}
    assert set(table["draw"]) == {0, 1}
    assert len(list((results.parent / "figures").glob(f"{results.name}_*.png"))) == 6
    assert "our_workflow@n=12" in (results / "README.md").read_text()
    assert "protocol 'paper'" in capsys.readouterr().out


def test_a_users_mistake_is_a_sentence_and_a_status(tmp_path: Path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(ablation.STUDY, given=["--data", str(tmp_path)])
    assert caught.value.code == 2
    assert "no folder 'jiangxi_tecom'" in capsys.readouterr().err


def chosen(*given: str) -> tuple[dict[str, Recipe], list[str]]:
    """Recipes and targets of the ablation with these words on the command line."""
    parsed = options(ablation.STUDY, given=given)
    recipes = chosen_recipes(ablation.STUDY, parsed)
    return recipes, chosen_targets(recipes, parsed)


def test_a_study_runs_on_all_targets_from_other_sources(tmp_path: Path):
    for name in ("barcelona", "bloodmnist", "bccd", "lisc", "munich_2019", "notes"):
        (tmp_path / name).mkdir()
    assert chosen() == (dict(ablation.STUDY.recipes), list(ablation.STUDY.targets))
    everywhere = ["--data", str(tmp_path), "--targets", "all"]
    recipes, targets = chosen(*everywhere)
    assert recipes == ablation.STUDY.recipes
    assert targets == ["bccd", "lisc", "munich_2019"]  # BloodMNIST shows the cells of the source
    recipes, targets = chosen(*everywhere, "--sources", "barcelona", "munich_2019", "--backbone", "paper")
    assert targets == ["bccd", "lisc"]
    for name, one in recipes.items():
        assert [source.name for source in one.sources] == ["barcelona", "munich_2019"]
        assert one.backbone == Recipe().backbone
        assert one.adapter == ablation.STUDY.recipes[name].adapter


def test_a_search_is_compared_with_its_own_method(tmp_path: Path):
    conditions = ("our_workflow", "head_only", "our_workflow+search", "head_only+search")
    assert tuple(tuning.STUDY.recipes) == conditions
    stored = read_predictions(RESULTS / "conditions")
    names = dict(zip(conditions, ("our_workflow", "head_only", "mixed_train", "no_transform"), strict=True))
    made = [stored[stored["condition"] == name].assign(condition=new) for new, name in names.items()]
    report(tuning.STUDY, {"clean": pd.concat(made)}, tmp_path)
    tests = (tmp_path / "README.md").read_text().split("**Accuracy against ")[1:]
    assert [test.partition(",")[0] for test in tests] == ["our_workflow", "head_only"]
    for test, searched in zip(tests, ("our_workflow+search", "head_only+search"), strict=True):
        rows = [line for line in test.splitlines() if line.startswith("| ") and "pairs" not in line]
        assert [row.split(" | ")[0] for row in rows] == [f"| {searched}"]


def test_targets_and_conditions_that_the_paper_lacks_are_reported_too(tmp_path: Path, capsys):
    stored = read_predictions(RESULTS / "conditions")
    mine = stored[stored["target"] == "bccd"].assign(target="my_lab")
    report(ablation.STUDY, {"clean": mine[mine["condition"] == "head_only"]}, tmp_path)
    said = capsys.readouterr().err
    assert "No table paper_means, protocol 'clean': No condition and target are in both" in said
    assert "No table comparison, protocol 'clean': There is no condition 'our_workflow'" in said
    assert "No figure pr, protocol 'clean'" in said
    assert (tmp_path / "README.md").read_text().count("my lab") >= 2
    assert (tmp_path.parent / "figures" / f"{tmp_path.name}_bars_clean.png").exists()
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 4


def test_no_study_counts_cells_twice():
    for name in (
        "ablation",
        "published_protocol",
        "tuning",
        "sample_size",
        "colour_space",
        "defaults",
        "zoo",
        "zoo_search",
        "beyond",
    ):
        targets = importlib.import_module(f"benchmarks.studies.{name}").STUDY.targets
        assert len({target.partition("/")[0] for target in targets}) == len(targets)


def test_a_study_that_leaves_each_target_out_trains_without_it_and_with_its_number_of_labels(tmp_path: Path):
    names = ("synthetic/1", "synthetic/2")
    small = StudyScript(
        "left_out",
        {"head_only": recipe(sources=["synthetic/0", *names], adapter={"name": "head_only", "epochs": 1})},
        names,
        main="head_only",
        tables=(),
        draws=(0,),
        n={"synthetic/2": 6},
        leave_out=True,
    )
    results = tmp_path / "results"
    main(small, given=["--store", str(tmp_path / "s"), "--results", str(results)])
    found = read_predictions(results).groupby("target")[["source", "n"]].first()
    assert found["source"].to_dict() == {
        "synthetic/1": "synthetic/0+synthetic/2",
        "synthetic/2": "synthetic/0+synthetic/1",
    }
    assert found["n"]["synthetic/2"] == 6 < found["n"]["synthetic/1"]
