"""Conditions that knew which classes can occur stand apart from those that did not, and their rows say so."""

from pathlib import Path

import pandas as pd
import pytest

from cellda.errors import DataError
from cellda.evaluation.predictions import read_predictions, validate, write_predictions
from cellda.reporting.leaderboard_files import with_best
from cellda.reporting.tables.conditions import condition_table, summary_table
from cellda.reporting.tables.leaderboard import leaderboard_table, ranked
from predicted import run

KNOWN = "eosinophil+neutrophil"
PLACES = [("t0", 0), ("t0", 1), ("t1", 0), ("t1", 1)]


def of(name: str, skill: float, **fields: str) -> pd.DataFrame:
    return pd.concat([run(name, target, draw, skill, **fields) for target, draw in PLACES])


@pytest.fixture(scope="module")
def both() -> pd.DataFrame:
    """Two conditions without a statement, and one with it that is far better than they."""
    parts = [of("full", 2.0), of("lame", 1.0), of("stated", 5.0, present=KNOWN), of("none", 0.5)]
    return pd.concat(parts, ignore_index=True)


def rows(table) -> dict[str, list[str]]:
    return {row[0]: row[1:] for row in table.rows}


def test_rows_say_which_classes_were_known(both) -> None:
    name = "stated (present: eosinophil, neutrophil)"
    for table in (leaderboard_table(both, 50), summary_table(both, resamples=50), condition_table(both)):
        assert name in rows(table)
        assert {"full", "lame"} <= rows(table).keys()
    other = pd.concat(
        [run("stated", "t0", 0, 5.0, present=KNOWN), run("stated", "t1", 0, 5.0, present="all")]
    )
    assert rows(condition_table(other)).keys() == {"stated (present: known for each target)"}


def test_they_are_not_ranked_among_those_that_did_not_know(both) -> None:
    assert ranked(both) == ["full", "lame"]
    table = leaderboard_table(both, 50)
    names = list(rows(table))
    assert names == ["full", "lame", "stated (present: eosinophil, neutrophil)", "none (bound)"]
    rank, wins = table.columns.index("mean rank") - 1, table.columns.index("wins") - 1
    assert [rows(table)[name][rank] for name in names] == ["1.00", "2.00", "–", "–"]
    assert rows(table)["full"][wins] == "4"
    assert any("not ranked among others" in note for note in table.notes)
    assert not any("not ranked among others" in note for note in leaderboard_table(of("full", 2.0), 50).notes)


def test_they_are_ranked_among_each_other() -> None:
    table = pd.concat([of("a", 1.0, present=KNOWN), of("b", 3.0, present=KNOWN)], ignore_index=True)
    assert ranked(table) == ["a", "b"]
    assert next(iter(rows(leaderboard_table(table, 50)))) == "b (present: eosinophil, neutrophil)"


def test_they_are_not_chosen_for_others(both) -> None:
    costs = both[["condition", "target", "draw", "seed", "protocol"]].drop_duplicates()
    choices = with_best(both, costs)[2]
    assert set(choices["chosen"]) <= {"full", "lame"}


def test_an_oracle_with_a_statement_is_not_that_of_a_method_without() -> None:
    oracle = of("full+oracle", 4.0, adapter="full", present=KNOWN, oracle=True)
    with_one = pd.concat([of("full", 2.0), of("lame", 1.0), oracle], ignore_index=True)
    table = leaderboard_table(with_one, 50)
    assert {row[-1] for row in table.rows} == {"–"}


def test_tables_from_before_there_were_statements_are_read_as_without(tmp_path: Path) -> None:
    table = of("full", 2.0)
    assert set(validate(table.drop(columns="present"))["present"]) == {"all"}
    table.drop(columns="present").to_parquet(tmp_path / "old.parquet")
    assert set(read_predictions(tmp_path / "old.parquet")["present"]) == {"all"}


def test_one_condition_cannot_have_and_lack_a_statement(tmp_path: Path) -> None:
    one, other = run("full", "t0", 0, 2.0), run("full", "t0", 0, 2.0, present=KNOWN)
    write_predictions(one, tmp_path / "a.parquet")
    write_predictions(other, tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"differ in what was known of the classes \(present\)"):
        read_predictions(tmp_path)
    half = len(one) // 2
    with pytest.raises(DataError, match=r"another .*present than earlier rows of its run"):
        validate(pd.concat([one.iloc[:half], other.iloc[half:]]))
