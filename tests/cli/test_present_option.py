"""`--present`: a user who knows which classes can occur says so."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from cellda import CellClassifier
from said import text
from tiny import CLASSES, model_folder
from trees import picture

KEPT = ("lymphocyte", "neutrophil")
GONE = [f"p_{name}" for name in CLASSES if name not in KEPT]
QUICK = ("--adapter", "full", "--set", "adapter.epochs=1", "--set", "search=null", "--set", "device=cpu")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return model_folder(tmp_path_factory.mktemp("models") / "mine")


@pytest.fixture(scope="module")
def cells(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("cells")
    for number in range(24):
        picture(root / KEPT[number % 2] / f"{number}.png", seed=number, size=(40, 40))
    return root


def predicted(file: Path) -> pd.DataFrame:
    table = pd.read_csv(file)
    assert (table[GONE] == 0).all(axis=None)
    assert set(table["predicted"].dropna()) <= set(KEPT)
    return table


def test_predictions_are_narrowed_without_adapting(cellda_, model, cells, tmp_path) -> None:
    said = cellda_(
        "predict", model, cells, "--save", tmp_path / "a.csv", "--present", "neutrophil,lymphocyte"
    )
    assert said.status == 0, said.err
    assert "Only lymphocyte, neutrophil can occur (present): no other class is predicted." in text(said.err)
    assert len(predicted(tmp_path / "a.csv")) == 24
    record = json.loads((tmp_path / "a.csv.json").read_text(encoding="utf-8"))
    assert record["made_by"]["present"] == list(KEPT)
    again = ("--present", "neutrophil", "--present", "lymphocyte")
    assert cellda_("predict", model, cells, "--save", tmp_path / "b.csv", *again).status == 0
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "a.csv").read_bytes()
    said = cellda_("predict", model, cells, "--save", tmp_path / "c.csv")
    assert "can occur" not in said.err


def test_an_adapted_model_knows_and_says_which_classes_can_occur(cellda_, model, cells, tmp_path) -> None:
    own = ("--model", model, "--labelled", f"folder={cells}", "--save", tmp_path / "m", *QUICK)
    said = cellda_("adapt", *own, "--present", "neutrophil,lymphocyte")
    assert said.status == 0, said.err
    assert CellClassifier.load(tmp_path / "m").present == KEPT
    assert yaml.safe_load((tmp_path / "m" / "recipe.yaml").read_text(encoding="utf-8"))["present"] == list(
        KEPT
    )
    said = cellda_("predict", tmp_path / "m", cells, "--save", tmp_path / "a.csv")
    assert "Only lymphocyte, neutrophil can occur" in text(said.err)
    predicted(tmp_path / "a.csv")
    said = cellda_(
        "predict", tmp_path / "m", cells, "--save", tmp_path / "b.csv", "--present", "neutrophil,monocyte"
    )
    assert said.status == 2
    assert "can be narrowed, not widened to monocyte" in text(said.err)
    assert not (tmp_path / "b.csv").exists()


def test_a_run_records_it_and_recipes_hold_it(cellda_, model, cells, tmp_path) -> None:
    own = ("--model", model, "--target", f"folder={cells}", *QUICK)
    ways = {
        "option": ("--present", "neutrophil,lymphocyte"),
        "set": ("--set", "present=neutrophil,lymphocyte"),
        "list": ("--set", "present=[neutrophil, lymphocyte]"),
    }
    digests = set()
    for name, way in ways.items():
        said = cellda_("run", *own, *way, "--save", tmp_path / name)
        assert said.status == 0, said.err
        assert "it was known that only lymphocyte, neutrophil can occur (present)" in text(said.out)
        record = json.loads((tmp_path / name / "record.json").read_text(encoding="utf-8"))
        assert record["present"] == record["recipe"]["present"] == list(KEPT)
        digests.add(record["digest"])
    assert len(digests) == 1


@pytest.mark.parametrize("command", ["run", "adapt", "predict"])
@pytest.mark.parametrize(
    ("given", "message"),
    [("neutrophil,lymphocite", "did you mean 'lymphocyte'"), ("neutrophil", "t least two")],
)
def test_what_is_not_a_statement_is_refused_at_once(
    cellda_, model, cells, tmp_path, command, given, message
) -> None:
    own = {
        "run": ("--model", model, "--target", f"folder={cells}"),
        "adapt": ("--model", model, "--labelled", f"folder={cells}", "--save", tmp_path / "m"),
        "predict": (model, cells),
    }
    said = cellda_(command, *own[command], "--present", given)
    assert said.status == 2
    assert message in text(said.err)
