"""`cellda suggest`: the list, what to do next, and that the next command works."""

import shlex
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from said import text
from stained import SIDE, stained_cells
from tiny import model_folder


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return model_folder(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("my cells")
    Image.new("RGB", (SIDE, SIDE), "white").save(folder / "white.png")
    return stained_cells(folder, 18)


def label(file: Path, number: int) -> None:
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    waiting = table.index[table["label"] == ""][:number]
    table.loc[waiting, "label"] = [("neutrophil", "lymphocyte")[place % 2] for place in range(len(waiting))]
    table.to_csv(file, index=False)


def test_suggest_label_suggest_again_adapt(cellda_, drawn: Path, model: Path, tmp_path: Path):
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    begin = ["suggest", drawn, "--model", model]
    said = cellda_(*begin, "--n", 8, "--save", one, "--copy", tmp_path / "copies")
    assert said.status == 0
    assert f"Saved 8 images of 18 to label in {one}" in text(said.out)
    assert "1 image without one single cell, never suggested: 1 no_nucleus" in text(said.err)
    assert len(list((tmp_path / "copies").iterdir())) == 8
    label(one, 6)
    said = cellda_(*begin, "--n", 4, "--labelled", f"table={one}", "--save", two)
    assert said.status == 0
    assert "2 rows not labelled yet" in text(said.err)
    label(two, 4)
    [command] = [line for line in said.out.splitlines() if line.startswith("cellda adapt")]
    words = shlex.split(command)[1:-1]
    said = cellda_(*words, tmp_path / "adapted", "--adapter", "logistic", "--store", tmp_path / "store")
    assert said.status == 0, said.err
    assert (tmp_path / "adapted" / "model.safetensors").exists()


def test_what_can_be_refused_is_refused_before_the_model_is_loaded(
    cellda_, drawn: Path, tmp_path: Path, monkeypatch
):
    def loaded(*_):
        raise AssertionError

    monkeypatch.setattr("cellda.models.classifier.CellClassifier.load", loaded)
    filled = tmp_path / "filled.csv"
    filled.write_text("path,label,order\na.png,seg,1\n")
    full = tmp_path / "full"
    full.mkdir()
    (full / "x").touch()
    for options, sentence in (
        (["--save", filled], "holds 1 label and is not replaced"),
        (["--save", tmp_path / "list.txt"], "in .csv"),
        (["--copy", full], "is not empty"),
        (["--copy", drawn / "copies"], "lies in the folder of images"),
        (["--suggester", "typiclast"], "did you mean 'typiclust'"),
        (["--model", "poled"], "did you mean 'pooled'"),
        (["--n", 500], "500 images cannot be suggested: of those that can be chosen, there are only 19"),
        (["--map", filled], "--map and --taxonomy say how --labelled is read"),
        (["--labelled", "table=gone.csv"], "no such file"),
    ):
        said = cellda_("suggest", drawn, "--save", tmp_path / "list.csv", *options)
        assert said.status == 2, options
        assert sentence in text(said.err), said.err
    assert not (tmp_path / "list.csv").exists()
