"""The stored results: files of prediction tables with true facts, from which the published tables are made again."""

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import benchmarks.studies
from benchmarks.common.study import StudyScript
from benchmarks.studies import ablation
from cellda.evaluation.condition import FACTS
from cellda.evaluation.costs import read_costs, with_costs
from cellda.evaluation.predictions import RUN, read_predictions
from cellda.reporting.catalogue import TABLES
from cellda.reporting.tables.conditions import scores
from cellda.reporting.tables.leaderboard import bounds, ranked

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
STUDIES: dict[str, StudyScript] = {
    study.name: study
    for module in pkgutil.iter_modules(benchmarks.studies.__path__)
    for study in [importlib.import_module(f"benchmarks.studies.{module.name}").STUDY]
} | {"conditions": ablation.STUDY}
"""Study by the folder of its results."""
FILES = sorted(RESULTS.rglob("*.parquet"))


def test_every_stored_prediction_belongs_to_a_study() -> None:
    without_a_study = {"source_accuracy", "source_pools", "speed", "suggest", "taxonomies", "trust"}
    assert {file.relative_to(RESULTS).parts[0] for file in FILES} == STUDIES.keys() | without_a_study


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_stored_predictions_are_prediction_tables(file: Path) -> None:
    table = read_predictions(file)
    one_a_run = table.drop_duplicates(list(RUN))
    assert (one_a_run.loc[one_a_run["adapter"] == "none", "labels_used"] == 0).all()
    plain = one_a_run[~one_a_run["oracle"]]
    assert (plain["labels_used"] <= plain["n"]).all()
    pretrained = one_a_run["adapter"].isin(["from_scratch", "probe"]).to_numpy(dtype=bool)
    assert ((one_a_run["source"] == "none").to_numpy(dtype=bool) == pretrained).all()
    runs = read_costs(file)
    if len(runs):
        both = one_a_run.merge(runs, on=list(RUN), how="left", validate="one_to_one", suffixes=("", "_run"))
        assert (both["labels_used"] == both["labels_used_run"]).all()
        assert (both["oracle"] == both["oracle_run"].astype(bool)).all()


def kinds() -> Iterator[Any]:
    """Every table of every study that is stored; those that take a bootstrap, and those of the zoo, are slow."""
    for folder, study in STUDIES.items():
        for kind in study.tables:
            slow = folder == "zoo" or kind in ("summary", "per_class", "leaderboard")
            yield pytest.param(folder, kind, id=f"{folder}-{kind}", marks=[pytest.mark.slow] * slow)


def stored(folder: str) -> list[pd.DataFrame]:
    """The rows of a study that its tables are made of, for each protocol."""
    files = [file for file in FILES if file.parent.name == folder]
    assert files, f"no predictions in {folder}"
    return [with_costs(read_predictions(file), read_costs(file)) for file in files]


def published(folder: str) -> str:
    return (RESULTS / folder / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("folder", "kind"), list(kinds()))
def test_the_tables_of_a_study_are_made_of_its_predictions(folder: str, kind: str) -> None:
    for rows in stored(folder):
        made = TABLES[kind](rows, STUDIES[folder].main).to_markdown()
        assert sum(line.startswith("|") for line in made.splitlines()) > 2
        assert made in published(folder)


@pytest.mark.parametrize("folder", [folder for folder, study in STUDIES.items() if study.families])
def test_the_comparisons_of_families_are_made_of_its_predictions(folder: str) -> None:
    (rows,) = stored(folder)
    for family in STUDIES[folder].families:
        made = TABLES["comparison"](rows[rows["condition"].isin(family)], family[0]).to_markdown()
        assert made in published(folder)


@pytest.mark.parametrize("folder", STUDIES)
def test_no_other_table_is_published(folder: str) -> None:
    study = STUDIES[folder]
    files = [file for file in FILES if file.parent.name == folder]
    tables = [line for line in published(folder).splitlines() if line.startswith("|:--")]
    assert len(tables) == len(files) * (len(study.tables) + len(study.families))


def test_stored_scores_are_those_of_the_stored_predictions() -> None:
    for study in ("first_light", "zoo_search", "sample_size"):
        stored = pd.read_csv(RESULTS / study / "scores.csv").set_index(list(RUN))
        found = scores(read_predictions(RESULTS / study), resamples=0).set_index(list(RUN)).loc[stored.index]
        for measure in ("accuracy", "balanced_accuracy", "macro_precision", "macro_f1", "ece", "n"):
            assert np.abs(found[measure] - stored[measure]).max() < 5.1e-5, (study, measure)


def test_what_competes_is_told_by_columns() -> None:
    table = read_predictions(RESULTS / "zoo")
    assert bounds(table) == ["none", "target_only"]
    assert "none@cell" in ranked(table)
    assert not {"none", "target_only", "best", "best_without_labels"} & set(ranked(table))
    chosen = table.loc[table["condition"] == "best", ["target", *FACTS]].drop_duplicates()
    names = pd.read_csv(RESULTS / "zoo" / "best.csv").query("condition == 'best'")
    for one in names.itertuples():
        same = table[(table["condition"] == one.chosen) & (table["target"] == one.target)]
        pd.testing.assert_frame_equal(
            chosen[chosen["target"] == one.target].reset_index(drop=True),
            same[["target", *FACTS]].drop_duplicates().reset_index(drop=True),
        )
    searched = read_predictions(RESULTS / "zoo_search")
    assert {name for name in ranked(searched) if "oracle" in name} == set()
    assert set(searched.loc[searched["oracle"], "adapter"]) == {"label_propagation", "lame"}


def test_sizes_are_what_draws_asked_for_and_labels_what_they_could_give() -> None:
    table = read_predictions(RESULTS / "sample_size")
    pairs = table[["target", "n", "labels_used"]].drop_duplicates()
    assert set(pairs.loc[pairs["target"] == "raabin", "n"]) == {30, 45, 60, 75, 90, 100}
    # Four classes share 30 cells out as 28, and five as 30.
    asked = pairs[pairs["n"] == 30].set_index("target")["labels_used"].to_dict()
    assert asked == {"raabin": 30, "bccd": 28}
