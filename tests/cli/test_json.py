"""`--json`: one document on standard output, with the numbers that the tables round."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cellda import RunResult
from cellda.evaluation.predictions import read_predictions
from cellda.reporting.catalogue import main_condition
from tiny import recipe as tiny


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    from tiny import target

    folder = tmp_path_factory.mktemp("json")
    tiny().run(target(), store=folder / "store", progress=False).save(folder / "run")
    return folder / "run"


def document(said) -> dict:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(said.out, parse_constant=refuse)


def test_a_run_says_what_was_measured(cellda_, tmp_path: Path):
    file = tmp_path / "tiny.yaml"
    file.write_text(tiny(few_shot={"n": 20}).to_yaml(), encoding="utf-8")
    said = cellda_(
        "run", "--target", "synthetic/1", "--recipe", file, "--store", tmp_path / "store", "--json"
    )
    found, result = document(said), RunResult(tmp_path / "store" / "runs" / document(said)["digest"])
    accuracy = result.metrics.accuracy
    assert found["measures"]["accuracy"] == {
        "value": accuracy.value,
        "low": accuracy.low,
        "high": accuracy.high,
    }
    assert (found["target"], found["n"], found["labels_used"]) == ("synthetic/1", 20, 18)
    assert [one["taken"] for one in found["taken"]] == [3] * 6
    assert Path(found["paths"]["predictions"]).is_file()
    assert "the remainder of 2 are not drawn" in " ".join(found["notes"])


def test_tables_hold_all_digits_and_take_the_only_condition(cellda_, run: Path):
    [table] = document(cellda_("table", "summary", run, "--json"))["tables"]
    [row] = table["rows"]
    accuracy = RunResult(run).metrics.accuracy
    assert row["accuracy"] == {"value": accuracy.value, "low": accuracy.low, "high": accuracy.high}
    shown = cellda_("table", "per_class", run)
    assert shown.status == 0
    assert "paper" not in shown.out
    assert main_condition(read_predictions(run)) == RunResult(run).record.condition


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["list", "adapters"],
        ["datasets"],
        ["datasets", "show", "synthetic"],
        ["datasets", "check", "synthetic/1"],
        ["doctor"],
        ["store"],
        ["store", "clear", "--all", "--dry-run"],
    ],
    ids=" ".join,
)
def test_every_other_command_prints_one_document(cellda_, arguments: list[str]):
    assert document(cellda_(*arguments, "--json"))


def test_a_question_is_not_asked_beside_a_document(cellda_):
    said = cellda_("store", "clear", "--all", "--json")
    assert (said.status, said.out) == (2, "")
    assert "add --yes" in said.err


@pytest.mark.parametrize(
    ("words", "name"),
    [("run --target raa", "raabin"), ("run --adapter ful", "full"), ("table summ", "summary")],
)
def test_names_are_completed_without_torch(words: str, name: str):
    code = (
        "import os, sys\n"
        "os.environ.update(_CELLDA_COMPLETE='complete_bash', COMP_WORDS=f'cellda {sys.argv[1]}', COMP_CWORD=sys.argv[2])\n"
        "sys.argv = ['cellda']\n"
        "from cellda.cli import main\n"
        "try:\n    main()\n"
        "finally:\n    assert not {'torch', 'pandas', 'timm'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, words, str(len(words.split()))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert name in done.stdout.split(), done.stderr
