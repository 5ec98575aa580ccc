"""Scripts of studies: parts that are run apart are reported together, in files of prediction tables only."""

import sys
from pathlib import Path

import pandas as pd
import pytest

import cellda.adapters
from cellda.evaluation.costs import read_costs
from cellda.evaluation.predictions import read_predictions
from cellda.presets import CONDITIONS
from tiny import recipe

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def scripts(monkeypatch):
    """The modules of `benchmarks/`, as they import each other."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    for name in ("study", "first_light", "ablation", "sample_size", "zoo"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import ablation
    import sample_size
    import study

    return study, ablation, sample_size


def test_the_studies_are_those_of_the_protocol(scripts):
    _, ablation, sample_size = scripts
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


def test_the_zoo_is_every_adapter_on_the_four_targets(scripts):
    import zoo

    study = zoo.STUDY
    assert set(study.recipes) == {*cellda.adapters.names(), "our_workflow", "target_only"} - {"full"}
    assert (study.cap, study.best, study.main, study.protocols) == (3000, True, "our_workflow", ("clean",))
    assert (len(study.targets), study.draws, study.seeds) == (4, (0, 1, 2, 3, 4), (0,))
    assert {name for one in study.recipes.values() for name in [s.name for s in one.sources]} == {"barcelona"}


def test_a_study_with_a_choice_reports_it_with_its_costs(scripts, monkeypatch, tmp_path: Path):
    study, _, _ = scripts
    adapters = {"a": "none", "b": {"name": "head_only", "epochs": 2}}
    small = study.Study(
        "choice",
        {name: recipe(adapter=adapter) for name, adapter in adapters.items()},
        ("synthetic/1", "synthetic/2"),
        main="a",
        tables=("leaderboard", "comparison_balanced"),
        draws=(0,),
        best=True,
    )
    results = tmp_path / "results"
    monkeypatch.setattr(sys, "argv", ["study", "--store", str(tmp_path / "s"), "--results", str(results)])
    study.main(small)
    table = read_predictions(results)
    assert set(table["condition"]) == {"a", "b", "best"}
    runs = read_costs(results)
    assert len(runs) == 6
    assert set(runs.loc[runs["condition"] == "a", "labels_used"]) == {0}
    assert set(runs.loc[runs["condition"] == "b", "labels_used"]) == {18}
    chosen = pd.read_csv(results / "best.csv")
    assert set(chosen["target"]) == {"synthetic/1", "synthetic/2"}
    assert "| best (chosen) |" in (results / "tables.md").read_text()


def test_a_study_of_sizes_runs_in_parts_and_is_reported(scripts, monkeypatch, tmp_path: Path, capsys):
    study, _, sample_size = scripts
    small = study.Study(
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
    always = ["study", "--store", str(tmp_path / "store"), "--results", str(results)]
    monkeypatch.setattr(sys, "argv", [*always, "--protocol", "paper", "--draws", "0", "--only-run"])
    study.main(small)
    assert not results.exists()
    monkeypatch.setattr(sys, "argv", always)
    study.main(small)
    assert sorted(file.name for file in results.glob("*.parquet")) == [
        "predictions_clean.parquet",
        "predictions_paper.parquet",
    ]
    table = read_predictions(results)
    assert set(table["condition"]) == {"our_workflow@n=6", "our_workflow@n=12"}
    assert set(table["draw"]) == {0, 1}
    assert len(list(results.glob("*.png"))) == 6
    assert "our_workflow@n=12" in (results / "tables.md").read_text()
    assert "protocol 'paper'" in capsys.readouterr().out
