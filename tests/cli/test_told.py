"""What commands say of the data that they read, and how groups and numbers are given."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from PIL import Image

import tiny
from cellda.cli.recipes import numbers
from cellda.errors import ConfigurationError
from cellda.experiment.result import RunResult
from said import text

CLASSES = ("seg", "mono", "lymph", "eos", "baso", "ebo")


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> Path:
    """Images of noise with a table of 36 rows, two of a patient, and 4 rows of other cells."""
    root, rows = tmp_path_factory.mktemp("own"), []
    (root / "images").mkdir()
    for number in range(40):
        pixels = torch.randint(0, 255, (40, 40, 3), generator=torch.Generator().manual_seed(number))
        Image.fromarray(pixels.byte().numpy()).save(root / "images" / f"{number}.png")
        label = CLASSES[number % 6] if number < 36 else "blast"
        rows.append({"path": f"images/{number}.png", "label": label, "patient_id": f"p{number // 12}"})
    pd.DataFrame(rows).to_csv(root / "cells.csv", index=False)
    (root / "images" / "x.heic").write_text("x")
    return root


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    file = tmp_path / "recipe.yaml"
    file.write_text(tiny.recipe(few_shot={"n": 6}).to_yaml())
    return file


def test_a_column_of_patients_is_offered_and_taken(cellda_, own: Path, recipe_file: Path, tmp_path: Path):
    arguments = ["run", "--recipe", recipe_file, "--target", f"table={own / 'cells.csv'}", "--save"]
    offered = cellda_(*arguments, tmp_path / "offered")
    assert offered.status == 0
    assert "36 of 40 cells are used" in text(offered.err)
    assert "--group patient_id" in text(offered.err)
    assert "no groups: images of one patient may be on both sides" in text(offered.out)
    taken = cellda_(*arguments, tmp_path / "taken", "--group", "patient_id")
    assert taken.status == 0
    assert "no groups" not in text(taken.out + taken.err)
    predictions = RunResult.load(tmp_path / "taken").predictions
    assert set(predictions["group"]) < {"p0", "p1", "p2"}
    assert set(RunResult.load(tmp_path / "offered").predictions["group"]).isdisjoint({"p0", "p1", "p2"})


def test_a_wrong_column_is_refused_by_every_command(cellda_, own: Path, recipe_file: Path, tmp_path: Path):
    table = f"table={own / 'cells.csv'}"
    for arguments in (
        ["run", "--target", table],
        ["ablate", "--target", table],
        ["bench", "--target", table],
        ["adapt", "--labelled", table, "--save", tmp_path / "model"],
    ):
        said = cellda_(*arguments, "--recipe", recipe_file, "--group", "patiens_id")
        assert said.status == 2, arguments
        assert "did you mean 'patient_id'" in said.err
    for arguments in (["datasets", "check", table], ["datasets", "show", "table", own / "cells.csv"]):
        said = cellda_(*arguments, "--group", "patiens_id")
        assert said.status in (1, 2), arguments
        assert "did you mean 'patient_id'" in said.out + said.err


def test_check_lists_everything_when_asked(cellda_, tmp_path: Path):
    (tmp_path / "seg").mkdir()
    for number in range(30):
        (tmp_path / "seg" / f"{number}.png").write_bytes(b"")
        (tmp_path / "seg" / f"{number}.svs").write_bytes(b"")
    short, long = (cellda_("datasets", "check", f"folder={tmp_path}", *more) for more in ((), ("--all",)))
    assert (short.status, long.status) == (1, 1)
    assert "and 10 more; --all lists them" in text(short.out)
    assert "seg/29.png" not in short.out
    assert "seg/29.png" in long.out
    assert "seg/29.svs" in long.out


def test_check_lists_all_problems_of_a_table_when_asked(cellda_, tmp_path: Path):
    (tmp_path / "a.png").write_bytes(b"")
    rows = "".join(f"gone{number}.png,seg\n" for number in range(500))
    (tmp_path / "cells.csv").write_text(f"path,label\na.png,seg\n{rows}")
    said = cellda_("datasets", "check", "table", tmp_path / "cells.csv", "--all")
    assert [number for number in range(500) if f"gone{number}.png does not exist" not in text(said.out)] == []


def test_images_that_are_not_classified_are_said(cellda_, own: Path, tmp_path: Path):
    tiny.recipe(adapter="adabn").adapt(None, own / "images", store=tmp_path, progress=False).save(
        tmp_path / "model"
    )
    said = cellda_("predict", tmp_path / "model", own / "images", "--save", tmp_path / "found.csv")
    assert said.status == 0
    assert "1 HEIC image, for which the package pillow-heif is needed" in text(said.err)


def test_an_adapted_model_keeps_the_account(cellda_, own: Path, recipe_file: Path, tmp_path: Path):
    arguments = [
        "--labelled",
        f"table={own / 'cells.csv'}",
        "--unlabelled",
        own / "images",
        "--save",
        tmp_path / "model",
    ]
    said = cellda_("adapt", "--recipe", recipe_file, *arguments)
    assert said.status == 0
    assert text(said.err).count("36 of 40 cells are used") == 1
    assert text(said.err).count("1 HEIC") == 1
    labelled, unlabelled = json.loads((tmp_path / "model" / "accounts.json").read_text())
    assert (labelled["used"], unlabelled["used"]) == (36, 40)


def test_numbers_of_single_targets(cellda_, own: Path, recipe_file: Path, tmp_path: Path):
    table = f"table={own / 'cells.csv'}"
    arguments = [
        "ablate",
        "--recipe",
        recipe_file,
        "--condition",
        "no_fine_tune",
        "--target",
        table,
        "--target",
        "synthetic/2",
    ]
    said = cellda_(*arguments, "--n", 12, "--n", "synthetic/2=6", "--save", tmp_path / "found.parquet")
    assert said.status == 0, said.err
    found = pd.read_parquet(tmp_path / "found.parquet")
    assert dict(zip(found["target"], found["n"], strict=True)) == {"table/cells": 12, "synthetic/2": 6}
    assert "table/cells: no groups: images of one patient may be on both sides" in text(said.out)
    wrong = cellda_(*arguments, "--n", "synthetic/3=6")
    assert (wrong.status, "'synthetic/3' is not one of the targets" in text(wrong.err)) == (2, True)
    for number in ("0", "x", "synthetic/2=", "9" * 5000):
        wrong = cellda_(*arguments, "--n", number)
        assert (wrong.status, "--n takes a number of images" in text(wrong.err)) == (2, True), number[:9]


def test_a_path_is_answered_before_heavy_imports(cellda_):
    for arguments in (
        ["run", "--target", "./own"],
        ["datasets", "check", "./own"],
        ["adapt", "--labelled", "./own", "--save", "x"],
    ):
        said = cellda_(*arguments)
        assert (said.status, "write folder=./own." in text(said.err)) == (2, True), arguments


def test_a_number_that_is_given_twice_is_refused() -> None:
    for texts in (["10", "30"], ["raabin=5", "raabin=7"]):
        with pytest.raises(ConfigurationError, match="is given twice"):
            numbers(texts, ["raabin"])


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (("run", "--target", "synthetic/1", "--group", "slide"), "dataset 'synthetic' has no such option"),
        (
            ("datasets", "check", "folder", ".", "--group", "slide"),
            "--group names a column of a table (table=cells.csv); dataset 'folder' has no such option. In a folder, patients "
            "are folders above the classes.",
        ),
        (("datasets", "show", "raabin", ".", "--bits", "12"), "--bits is for images of your own"),
        (("adapt", "--save", "x", "--unlabelled", ".", "--group", "slide"), "say how --labelled is read"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_options_of_another_kind_of_dataset_are_refused(
    cellda_, arguments, answer: str, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    said = cellda_(*arguments)
    assert said.status == 2
    assert answer in text(said.err)
