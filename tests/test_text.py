"""Names as they are shown and stored: nothing raw, nothing lost, no formula."""

import csv
import io
import os
import re
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cellda.datasets
import tiny
from cellda.errors import CelldaError, DataError
from cellda.evaluation.predictions import read_predictions
from cellda.experiment.result import RunResult
from cellda.reporting.tables.text_table import TextTable
from cellda.runtime import progress
from cellda.runtime.work import Stage, Work
from cellda.text import agreeing, counted, csv_safe, from_csv, original, plain, shortened, shown
from said import text

ANY = st.text(st.characters(exclude_characters="\x00", exclude_categories=()), min_size=1, max_size=20)
SPECIAL = st.text(st.sampled_from("=+-@'\\u{}a1\n\r\t\x1b\udcff\u202e\u2028"), min_size=1, max_size=12)
NAMES = ANY | SPECIAL | st.binary(min_size=1, max_size=12).map(os.fsdecode)
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@given(NAMES)
def test_every_name_comes_back(name: str) -> None:
    assert original(plain(name)) == name
    assert original(csv_safe(plain(name)), csv=True) == name
    assert from_csv(csv_safe(name)) == name


@given(NAMES)
def test_nothing_raw_is_shown_or_stored(name: str) -> None:
    for safe in (shown(name), plain(name), csv_safe(plain(name))):
        assert not CONTROL.search(safe)
        safe.encode("utf-8")
    assert not csv_safe(plain(name)).startswith(("=", "+", "-", "@"))


@given(st.lists(NAMES, min_size=2, max_size=5, unique=True))
def test_names_stay_apart(names: list[str]) -> None:
    assert (
        len({plain(name) for name in names}) == len({csv_safe(plain(name)) for name in names}) == len(names)
    )


@pytest.mark.parametrize(
    "name", ["cell 1.png", "C:\\images\\a.png", "漢字.png", "é.png", "a=b.png", "\\u41.png"]
)
def test_ordinary_names_stay_as_they_are(name: str) -> None:
    assert plain(name) == csv_safe(plain(name)) == shown(name) == name


def test_a_long_text_is_cut_in_the_middle() -> None:
    assert shortened("a" * 50 + "b" * 50, 21) == "a" * 11 + " ... " + "b" * 5


@pytest.mark.parametrize(
    ("number", "what", "said"),
    [
        (1, "hidden file(s)", "1 hidden file"),
        (2, "hidden file(s)", "2 hidden files"),
        (0, "image(s) (is|are) flagged", "0 images are flagged"),
        (1, "(box|boxes) (reaches|reach) beyond it (JPEG)", "1 box reaches beyond it (JPEG)"),
        (12345, "(box|boxes) (reaches|reach) beyond it", "12,345 boxes reach beyond it"),
        (1, "(it counts|each of them counts)", "1 it counts"),
    ],
)
def test_words_agree_with_their_number(number: int, what: str, said: str) -> None:
    assert counted(number, what) == said
    assert agreeing(number, what) == said.partition(" ")[2]


def test_errors_and_tables_and_bars_show_no_control_characters(capsys) -> None:
    name = "\x1b[2J\rcell\udcff\n.png"
    for error in (CelldaError(f"bad {name}\nsecond line"), DataError(f"{name}:", [f"{name}: bad", "2"])):
        assert not CONTROL.search(str(error).replace("\n", ""))
    assert str(DataError("Bad.", [f"{name}: bad"])).count("\n") == 1
    table = TextTable(name, ["name", name], [[name, "-1.5"], ["=1+1", "2"]], [name])
    assert not CONTROL.search(str(table).replace("\n", ""))
    assert not CONTROL.search(table.to_markdown().replace("\n", ""))
    rows = list(csv.reader(io.StringIO(table.to_csv())))
    assert [row[0] for row in rows] == ["name", shown(name), "'=1+1"]
    assert rows[1][1] == "-1.5"  # a number stays one
    with progress.display(), progress.task(Work(Stage.DECODE, name), 1) as advance:
        advance(1)


ODD = [b"\xff\xfe.png", b"=1+1.png", b"line\nend.png", b"\x1b[2Jclear.png", b"a" * 240 + b".png", b"'q.png"]


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A folder of labelled cells with a name that is not UTF-8, and cells with odd names and a patient with another."""
    from PIL import Image

    folder = tmp_path / os.fsdecode(b"lab\xe9\x1b[1m")
    cells = tiny.target(per_class=7)
    patient = os.fsdecode(b"+\xff")
    for row, pixels in enumerate(cells.read(range(len(cells)), 40)):
        number = row % 7
        name = os.fsdecode(ODD[number]) if number < len(ODD) else f"{patient}/cell.png"
        file = folder / cells.table["label"].iloc[row] / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(file)
    return folder


def test_what_check_accepts_run_adapt_and_predict_accept(cellda_, odd: Path, tmp_path: Path) -> None:
    said = cellda_("datasets", "check", "folder", odd)
    assert said.status == 0, said.err
    recipe = tiny.recipe()
    dataset = cellda.datasets.load("folder", odd)
    result = recipe.run(dataset, store=tmp_path / "store", progress=False)
    assert not CONTROL.search(str(result).replace("\n", ""))
    saved = RunResult.load(result.save(tmp_path / "saved"))
    table = read_predictions(tmp_path / "saved" / "predictions.parquet")
    paths = [*table["path"], *saved.record.support_files]
    assert not any(CONTROL.search(path) for path in paths)
    assert len(set(paths)) == len(paths)
    assert {original(path) for path in paths} <= set(dataset.table["path"])
    assert all((odd / original(path)).exists() for path in paths)
    groups = set(table["group"].dropna())
    assert not any(CONTROL.search(group) for group in groups)
    assert not CONTROL.search((tmp_path / "saved" / "record.json").read_text().replace("\n", ""))
    model = recipe.adapt(dataset, store=tmp_path / "store", progress=False)
    model.save(tmp_path / "model")
    said = cellda_("predict", tmp_path / "model", odd, "--save", tmp_path / "p.csv")
    assert said.status == 0, said.err
    predicted = pd.read_csv(tmp_path / "p.csv")
    assert sorted(original(path, csv=True) for path in predicted["path"]) == sorted(
        str(odd / path) for path in dataset.table["path"]
    )
    said = cellda_("table", "summary", tmp_path / "saved")
    assert said.status == 0, said.err
    assert not CONTROL.search(text(said.out))
