"""The leaderboard: ranks as published, equal budgets, bounds outside the ranks, and other people's adapters in it."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path
from textwrap import dedent

import numpy as np
import pandas as pd
import pytest
from scipy.stats import friedmanchisquare, rankdata

import cellda.adapters
from cellda import cli
from cellda.adapters import Need
from cellda.errors import ConfigurationError, UnknownNameError
from cellda.evaluation.costs import read_costs, with_costs
from cellda.evaluation.elsewhere import best_elsewhere, under_one_name
from cellda.evaluation.predictions import RUN, read_predictions
from cellda.evaluation.ranks import critical_difference, rank
from cellda.experiment import leaderboard
from cellda.experiment.leaderboard import conditions
from cellda.experiment.naming import BOUND_NAMES
from cellda.experiment.study import Study
from cellda.reporting.leaderboard_files import with_best, write_leaderboard
from cellda.reporting.rank_figures import critical_difference_diagram
from cellda.reporting.tables.conditions import condition_table, scores
from cellda.reporting.tables.leaderboard import bounds, leaderboard_table, ranked, without_labels
from predicted import run
from tiny import quiet, recipe, target

# ---------------------------------------------------------------------------------------------- ranks

VALUES = np.array([[0.9, 0.8, 0.7, 0.1], [0.6, 0.7, 0.6, 0.2], [0.9, 0.5, 0.7, 0.3], [0.8, 0.8, 0.4, 0.3]])
"""Balanced accuracy: a block a row, a condition a column."""


def scored(values: np.ndarray = VALUES) -> pd.DataFrame:
    """Two targets with two draws each, and two source seeds that lie 0.02 around the value."""
    rows = []
    for block, row in enumerate(values):
        for name, value in zip("abcd", row, strict=False):
            place = {"condition": name, "target": f"t{block // 2}", "draw": block % 2, "protocol": "clean"}
            rows += [{**place, "seed": s, "balanced_accuracy": value + d} for s, d in ((0, 0.02), (1, -0.02))]
    return pd.DataFrame(rows)


def test_ranks_are_means_over_blocks_and_ties_share_theirs() -> None:
    found = rank(scored(), list("abcd"))
    by_hand = {"a": (1 + 2.5 + 1 + 1.5) / 4, "b": (2 + 1 + 3 + 1.5) / 4, "c": (3 + 2.5 + 2 + 3) / 4, "d": 4.0}
    assert found.mean_ranks.to_dict() == by_hand
    assert list(found.mean_ranks.index) == ["a", "b", "c", "d"]
    assert found.wins.to_dict() == {"a": 3, "b": 2, "c": 0, "d": 0}
    assert found.blocks == 4
    assert np.allclose(found.mean_ranks, np.mean([rankdata(-row) for row in VALUES], axis=0))
    wanted = friedmanchisquare(*VALUES.T)
    assert (found.statistic, found.p_value) == pytest.approx((wanted.statistic, wanted.pvalue))


@pytest.mark.parametrize(
    ("conditions", "q"),
    # Demšar 2006, Table 5a: critical values of the two-tailed Nemenyi test at 0.05.
    [
        (2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (7, 2.949), (8, 3.031), (9, 3.102), (10, 3.164),
    ],
)  # fmt: skip
def test_critical_differences_are_those_of_demsars_table(conditions, q) -> None:
    assert critical_difference(conditions, 14) == pytest.approx(
        q * np.sqrt(conditions * (conditions + 1) / (6 * 14)), rel=1e-3
    )


def test_cliques_are_the_largest_groups_within_the_critical_difference() -> None:
    found = rank(scored(), list("abcd"))
    assert found.critical_difference == pytest.approx(2.569 * np.sqrt(20 / 24), rel=1e-3)  # 2.35
    assert found.cliques() == [("a", "b", "c"), ("b", "c", "d")]
    apart = rank(scored(np.tile([[0.9, 0.1]], (8, 1))), ["a", "b"])
    assert apart.cliques() == []


def test_a_condition_without_a_block_is_not_ranked() -> None:
    table = scored()
    gap = (table["condition"] == "c") & (table["target"] == "t1") & (table["draw"] == 0)
    with pytest.raises(ConfigurationError, match="'c' cannot be ranked: it was not run on t1, draw 0"):
        rank(table[~gap], list("abcd"))
    with pytest.raises(ConfigurationError, match="no condition to rank"):
        rank(table, [])


def test_equal_conditions_have_no_difference_to_test() -> None:
    found = rank(scored(np.full((4, 3), 0.5)), list("abc"))
    assert (found.statistic, found.p_value) == (0.0, 1.0)
    assert set(found.mean_ranks) == {2.0}


# ---------------------------------------------------------------------------------------------- best elsewhere


def test_best_is_chosen_on_the_other_targets_alone() -> None:
    rows = [
        ("a", "x", 0.9), ("a", "y", 0.2), ("a", "z", 0.5),
        ("b", "x", 0.1), ("b", "y", 0.8), ("b", "z", 0.5),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["condition", "target", "balanced_accuracy"])
    choice = best_elsewhere(table, ["a", "b"])
    assert choice == {"x": "b", "y": "a", "z": "a"}  # z: .55 against .45
    assert under_one_name(table, choice)[
        ["condition", "target", "balanced_accuracy"]
    ].to_numpy().tolist() == [
        ["best", "y", 0.2],
        ["best", "z", 0.5],
        ["best", "x", 0.1],
    ]
    # What is scored on a target does not move its own choice.
    moved = table.assign(balanced_accuracy=table["balanced_accuracy"].where(table["target"] != "z", 0.0))
    assert best_elsewhere(moved, ["a", "b"])["z"] == "a"
    with pytest.raises(ConfigurationError, match="at least two"):
        best_elsewhere(table[table["target"] == "x"], ["a", "b"])
    with pytest.raises(ConfigurationError, match="'b' cannot be chosen: it was not run on z"):
        best_elsewhere(table[:5], ["a", "b"])


# ---------------------------------------------------------------------------------------------- table and files

SKILLS = {
    "our_workflow": (2.0, {"adapter": "full", "labels_used": 24}),
    "adabn": (1.5, {"labels_used": 0}),
    "tent": (1.2, {"labels_used": 0}),
    "none": (0.5, {"labels_used": 0}),
    "target_only": (3.0, {"adapter": "from_scratch", "labels_used": 70}),
    # What it is stands in its columns; the name says nothing.
    "adabn, the best values": (2.5, {"adapter": "adabn", "labels_used": 70, "oracle": True}),
}
"""Logit of the true class and facts, by condition."""


@pytest.fixture(scope="module")
def predictions() -> pd.DataFrame:
    parts = [
        run(c, t, d, s, **facts)
        for c, (s, facts) in SKILLS.items()
        for t in ("bccd", "raabin")
        for d in range(2)
    ]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def runs(predictions) -> pd.DataFrame:
    table = predictions.drop_duplicates(list(RUN))[[*RUN, "oracle", "labels_used"]]
    pool = table["condition"].isin(["adabn", "tent"]).map({True: "query", False: None})
    return table.assign(image_passes=100, pool=pool, seconds=4.0 + table["draw"])


def test_the_table_ranks_what_competes_and_sets_bounds_and_oracle_beside_it(predictions, runs) -> None:
    more, costs, choices = with_best(predictions, runs)
    table = leaderboard_table(with_costs(more, costs), resamples=50)
    rows = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert list(rows)[:3] == ["our_workflow", "adabn", "tent"]
    assert list(rows)[3:] == [
        "best (chosen)",
        "best_without_labels (chosen)",
        "none (bound)",
        "target_only (bound)",
    ]
    assert [row["mean rank"] for row in rows.values()][3:] == ["–"] * 4
    assert (rows["our_workflow"]["mean rank"], rows["our_workflow"]["wins"]) == ("1.00", "4")
    assert (rows["our_workflow"]["labels"], rows["our_workflow"]["seconds"]) == ("24", "4.5")
    assert rows["target_only (bound)"]["labels"] == "70"
    assert rows["best_without_labels (chosen)"]["labels"] == "0"
    upper = scores(predictions[predictions["oracle"]], resamples=0)
    shown = rows["adabn"]["oracle (query labels)"]
    assert shown.startswith(f"{upper.groupby('target')['balanced_accuracy'].mean().mean():.2f} [")
    assert rows["our_workflow"]["oracle (query labels)"] == "–"
    assert set(choices[choices["condition"] == "best"]["chosen"]) == {"our_workflow"}
    assert set(choices[choices["condition"] == "best_without_labels"]["chosen"]) == {"adabn"}
    assert any(
        "none is the source model without adaptation; target_only has all labels" in note
        for note in table.notes
    )
    assert (
        "Unlabelled images, where a condition uses any, are the predicted images themselves (transductive)."
        in table.notes
    )
    held_out = with_costs(predictions, runs.assign(pool="disjoint"))
    assert any(
        note.endswith("other images than the predicted ones (inductive).")
        for note in leaderboard_table(held_out, 50).notes
    )
    apart = with_costs(
        predictions, runs.assign(pool=runs["pool"].where(runs["condition"] != "tent", "disjoint"))
    )
    with pytest.raises(ConfigurationError, match=r"tent ran with pool='disjoint'.*half of the query"):
        leaderboard_table(apart, 50)
    assert "Balanced accuracy: mean recall of a target's classes with at least 5 query cells." in table.notes
    part = leaderboard_table(predictions[predictions["condition"] != "target_only"], resamples=50)
    assert not any("Unlabelled" in note for note in part.notes)
    assert "Bounds are not ranked: none is the source model without adaptation." in part.notes


def test_without_labels_keeps_what_used_none_and_the_bounds(predictions, runs) -> None:
    kept = without_labels(with_costs(predictions, runs))
    assert set(kept["condition"]) == {"adabn", "tent", "none", "target_only", "adabn, the best values"}
    assert set(without_labels(predictions)["condition"]) == set(kept["condition"])
    paid = predictions["labels_used"].mask(predictions["condition"] == "adabn", 1)
    assert set(without_labels(predictions.assign(labels_used=paid))["condition"]) == {
        "tent",
        "none",
        "target_only",
    }


def test_files_hold_all_that_the_table_is_made_of(predictions, runs, tmp_path: Path) -> None:
    files = write_leaderboard(*with_best(predictions, runs), tmp_path / "new")
    assert [file.name for file in files] == [
        "predictions.parquet",
        "runs.csv",
        "best.csv",
        "leaderboard.md",
        "critical_difference.png",
    ]
    again = with_costs(read_predictions(tmp_path / "new"), read_costs(tmp_path / "new"))
    text = (tmp_path / "new" / "leaderboard.md").read_text()
    assert leaderboard_table(again).to_markdown() in text
    assert "without labels" in text
    assert condition_table(again, "balanced_accuracy").to_markdown() in text


def test_the_diagram_names_every_condition_with_its_rank() -> None:
    found = rank(scored(), list("abcd"))
    axes = critical_difference_diagram(found).axes[0]
    texts = {text.get_text() for text in axes.texts}
    assert {"a  1.50", "b  1.88", "2.62  c", "4.00  d", "critical difference 2.35"} <= texts
    bars = [line for line in axes.lines if line.get_linewidth() == 3]
    assert [bar.get_xdata()[0] + 0.06 for bar in bars] == pytest.approx([1.5, 1.875])
    with pytest.raises(ConfigurationError, match="at least two"):
        critical_difference_diagram(rank(scored(), ["a"]))


# ---------------------------------------------------------------------------------------------- conditions, budget


def test_every_bound_is_left_out_of_the_ranks_and_explained(predictions) -> None:
    assert {*leaderboard.BOUNDS, "no_fine_tune"} == BOUND_NAMES
    assert bounds(predictions) == ["none", "target_only"]
    assert ranked(predictions) == ["our_workflow", "adabn", "tent"]
    # The column decides, whatever a condition is called.
    turned = predictions.assign(bound=predictions["condition"] == "tent")
    assert ranked(turned) == ["our_workflow", "adabn", "none", "target_only"]
    assert "Bounds are not ranked: tent." in leaderboard_table(turned, resamples=50).notes


def test_of_two_oracles_of_a_method_the_better_one_is_its_bound(predictions) -> None:
    worse = predictions[predictions["oracle"]].assign(condition="adabn, worse values")
    wrong = worse["label"].where(worse["label"] != "basophil", "monocyte")
    both = pd.concat([worse.assign(predicted=wrong), predictions])
    tables = [leaderboard_table(one, resamples=50) for one in (predictions, both)]
    columns = [{row[0]: row[-1] for row in table.rows} for table in tables]
    assert columns[0] == columns[1]
    assert columns[0]["adabn"] != "–"
    # A framing of its own makes another method of it.
    framed = predictions.assign(framing=predictions["framing"].mask(predictions["oracle"], "cell"))
    assert {row[-1] for row in leaderboard_table(framed, resamples=50).rows} == {"–"}


def test_conditions_are_all_adapters_between_the_bounds() -> None:
    base = recipe(search={"trials": 2})
    made = conditions(base)
    expected = [name for name in cellda.adapters.names() if name not in ("none", "full")]
    assert sorted(made) == sorted([*expected, "our_workflow", "none", "target_only"])
    assert list(made)[-2:] == ["none", "target_only"]
    assert {one.search for one in made.values()} == {None}
    assert made["target_only"].few_shot.kind == "all"
    free = conditions(base, labels=False)
    assert all(Need.LABELS not in free[name].adapter.needs for name in set(free) - BOUND_NAMES)
    assert "head_only+full" in conditions(base, ["head_only+full"], without=["full"])
    with pytest.raises(ConfigurationError, match="'head_only' needs labelled target cells"):
        conditions(base, ["head_only"], labels=False)
    with pytest.raises(UnknownNameError, match="did you mean 'head_only'"):
        conditions(base, without=["headonly"])


def test_what_is_above_the_cap_is_refused_by_name_before_anything_runs(tmp_path: Path) -> None:
    made = {"mine": recipe(adapter={"name": "full", "epochs": 4}), **conditions(recipe(), ["head_only"])}
    study = Study(made, [target()], cap=50, workspace=quiet(tmp_path / "store"))
    with pytest.raises(
        ConfigurationError, match=r"'mine' passes 72 images .* synthetic/1, 22 more than the cap of 50"
    ):
        study.run()
    assert not (tmp_path / "store").exists()
    # `target_only` has all labels and is no competitor: it is above the cap, and let through.
    cases = Study(made, [target()], cap=72, workspace=quiet(tmp_path / "store")).runs()
    passes = {name: case.recipe.adapter.image_passes(case.offer) for name, case in cases}
    assert passes["target_only"] > 72 == passes["mine"]
    every = {"mine": recipe(adapter={"name": "full", "epochs": 4}, few_shot={"kind": "all", "n": None})}
    with pytest.raises(ConfigurationError, match="'mine' passes"):
        Study(every, [target()], cap=72, workspace=quiet(tmp_path / "store")).runs()


# ---------------------------------------------------------------------------------------------- the command


@pytest.fixture
def installed(tmp_path: Path, monkeypatch) -> None:
    """A package with one adapter, built as a wheel and unpacked, which is all that installing one without scripts does."""
    project = tmp_path / "project"
    (project / "sevenlab").mkdir(parents=True)
    (project / "pyproject.toml").write_text(
        dedent(
            """
            [build-system]
            requires = ["setuptools"]
            build-backend = "setuptools.build_meta"

            [project]
            name = "sevenlab"
            version = "1.0"

            [project.entry-points."cellda.adapters"]
            patience = "sevenlab.patience:Patience"

            [tool.setuptools]
            packages = ["sevenlab"]
            """
        )
    )
    (project / "sevenlab" / "__init__.py").write_text("")
    (project / "sevenlab" / "patience.py").write_text(
        dedent(
            '''
            from cellda.adapters import Adapter, register

            @register("patience")
            class Patience(Adapter):
                """Waits. Nobody et al. 2020."""

                effects = frozenset()

                def adapt(self, model, target, context):
                    return model

                def image_passes(self, offer):
                    return 0
            '''
        )
    )
    build = "from setuptools.build_meta import build_wheel; print(build_wheel('.'))"
    made = subprocess.run(
        [sys.executable, "-c", build], cwd=project, check=True, capture_output=True, text=True
    )
    site = tmp_path / "site"
    with zipfile.ZipFile(project / made.stdout.split()[-1]) as wheel:
        wheel.extractall(site)
    monkeypatch.syspath_prepend(str(site))
    with cellda.adapters.registry.scratch():
        yield
    for name in [name for name in sys.modules if name.startswith("sevenlab")]:
        del sys.modules[name]


@pytest.mark.usefixtures("installed")
def test_an_installed_adapter_is_in_the_leaderboard(tmp_path: Path, monkeypatch, capsys) -> None:
    file = tmp_path / "tiny.yaml"
    file.write_text(recipe(few_shot={"n": 12}).to_yaml(), encoding="utf-8")
    others = [name for name in cellda.adapters.names() if name not in ("patience", "head_only", "none")]
    left_out = [part for name in others for part in ("--without", name)]
    wanted = ["bench", "--recipe", file, "--target", "synthetic/1", "--draws", 2, "--cap", 2000, *left_out]
    wanted += ["--store", tmp_path / "store", "--save", tmp_path / "saved"]
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys, "argv", ["cellda", *map(str, wanted)])
    monkeypatch.setattr(
        "cellda.experiment.leaderboard.BOUNDS", {"none": {"adapter": "none"}}
    )  # the upper bound trains for a minute
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert not stopped.value.code
    said = capsys.readouterr().out
    assert all(name in said for name in ("patience", "head_only", "none (bound)"))
    table = read_predictions(tmp_path / "saved")
    assert set(table["condition"]) == {"patience", "head_only", "none"}
    # The method that waits is the source model as it is.
    one, other = (table[table["condition"] == name] for name in ("patience", "none"))
    assert one["predicted"].tolist() == other["predicted"].tolist()
    runs = read_costs(tmp_path / "saved")
    assert dict(zip(runs["condition"], runs["labels_used"], strict=True)) == {
        "head_only": 12,
        "patience": 0,
        "none": 0,
    }


def bench(monkeypatch, capsys, *options) -> str:
    """What `cellda bench` with these options says on standard output, or, where it fails, on standard error."""
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys, "argv", ["cellda", "bench", *map(str, options)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    said = capsys.readouterr()
    return said.err if stopped.value.code else said.out


def test_recipes_of_ones_own_are_compared_on_the_same_cells(tmp_path: Path, monkeypatch, capsys) -> None:
    file, own = tmp_path / "tiny.yaml", tmp_path / "own.yaml"
    file.write_text(recipe(few_shot={"n": 12}).to_yaml(), encoding="utf-8")
    mine = recipe(few_shot={"n": 18, "draw": 7}, framing="center", adapter="ncm", search={"trials": 2})
    own.write_text(mine.to_yaml(), encoding="utf-8")
    monkeypatch.setattr("cellda.experiment.leaderboard.BOUNDS", {"none": {"adapter": "none"}})
    options = ["--recipe", file, "--target", "synthetic/1", "--draws", 1, "--store", tmp_path / "store"]
    said = bench(monkeypatch, capsys, *options, "--condition", f"ours={own}", "--save", tmp_path / "saved")
    assert "ours" in said
    table, runs = read_predictions(tmp_path / "saved"), read_costs(tmp_path / "saved")
    assert set(table["condition"]) == {"ours", "none"}
    assert set(table["draw"]) == {0}
    assert set(runs["selector"].dropna()) == set()
    assert dict(zip(runs["condition"], runs["labels_used"], strict=True)) == {"ours": 12, "none": 0}
    one, other = (table[table["condition"] == name] for name in ("ours", "none"))
    assert one["path"].tolist() == other["path"].tolist()


@pytest.mark.parametrize("name", ["best", "best_without_labels", "none", "no_fine_tune", "ncm"])
def test_a_recipe_of_ones_own_does_not_go_by_the_name_of_another_row(
    tmp_path: Path, monkeypatch, capsys, name
) -> None:
    file = tmp_path / "tiny.yaml"
    file.write_text(recipe().to_yaml(), encoding="utf-8")
    options = ["--recipe", file, "--target", "synthetic/1", "--store", tmp_path / "store", "--adapter", "ncm"]
    said = bench(monkeypatch, capsys, *options, "--condition", f"{name}={file}")
    assert f"cannot be called '{name}'" in " ".join(said.split())
    assert not (tmp_path / "store").exists()


def test_the_papers_workflow_is_named_and_left_out_like_its_adapter() -> None:
    base = recipe()
    assert conditions(base, ["our_workflow", "ncm"]) == conditions(base, ["full", "ncm"])
    assert conditions(base, without=["our_workflow"]) == conditions(base, without=["full"])
    assert "our_workflow" not in conditions(base, without=["our_workflow"])


def test_a_recipe_of_ones_own_that_needs_labels_is_no_part_of_a_comparison_without(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    file = tmp_path / "tiny.yaml"
    file.write_text(recipe(adapter="ncm").to_yaml(), encoding="utf-8")
    options = ["--recipe", file, "--target", "synthetic/1", "--store", tmp_path / "store", "--no-labels"]
    said = bench(monkeypatch, capsys, *options, "--condition", f"mine={file}")
    assert "'ncm' of --condition" in " ".join(said.split())
    assert "needs labelled target cells" in " ".join(said.split())
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--condition", "ours"], r"takes NAME=FILE.*got 'ours'"),
        (["--recipe", "PAPER"], r"protocol: paper.*'clean' alone"),
        (
            ["--recipe", "TINY", "--cap", "20"],
            r"more than the cap of 20.*without these:.* --without our_workflow( |$)",
        ),
        (["--recipe", "TINY", "--cap", "20", "--adapter", "full"], r"more than the cap of 20(?!.*--without)"),
        (["--recipe", "TINY", "--target", "synthetic/77"], r"no dataset 'synthetic/77'(?!.*--without)"),
        (["--recipe", "TINY", "--adapter", "none"], r"nothing to compare: the bounds.*Name an adapter"),
        (["--recipe", "TINY", "--adapter", "ncm", "--without", "ncm"], "nothing to compare"),
    ],
    ids=["form", "protocol", "all", "named", "target", "bound", "none left"],
)
def test_a_comparison_that_cannot_be_made_says_what_would(
    tmp_path: Path, monkeypatch, capsys, options, said
) -> None:
    files = {"TINY": recipe(), "PAPER": recipe(protocol="paper")}
    for name, content in files.items():
        (tmp_path / name).write_text(content.to_yaml(), encoding="utf-8")
    given = [tmp_path / option if option in files else option for option in options]
    given += ["--target", "synthetic/1", "--store", tmp_path / "store"]
    assert re.search(f"(?s){said}", " ".join(bench(monkeypatch, capsys, *given).split()))
    assert not list((tmp_path / "store").glob("runs*"))
