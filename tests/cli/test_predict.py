"""`cellda predict`: rows as they are made, one for every image, and nothing lost."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from PIL import Image

import cellda.datasets
from cellda import CellClassifier
from cellda.errors import ConfigurationError
from cellda.models import Backbone
from cellda.models.judged import seen_of
from cellda.normalizers.spec import NormalizerSpec
from cellda.text import original
from said import text

SIDE = 40


def classifier(seed: int = 0) -> CellClassifier:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return CellClassifier(
            Backbone(name="test_efficientnet", weights="none", image_size=32), NormalizerSpec(name="reinhard")
        ).eval()


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return classifier().save(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    """Twelve rendered cells."""
    folder = tmp_path_factory.mktemp("cells")
    cells = cellda.datasets.load("synthetic/1", per_class=2)
    for number, pixels in enumerate(cells.read(range(len(cells)), SIDE)):
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(folder / f"{number:03d}.png")
    return folder


@pytest.fixture
def cells(drawn: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "cells"
    folder.mkdir()
    for file in drawn.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def test_one_row_for_each_image(cellda_, model: Path, cells: Path, tmp_path: Path) -> None:
    said = cellda_("predict", model, cells, "--save", tmp_path / "out" / "p.csv")
    assert said.status == 0, said.err
    table = pd.read_csv(tmp_path / "out" / "p.csv", keep_default_na=False)
    files = sorted(cells.iterdir())
    assert table["path"].tolist() == [str(file) for file in files]
    found = CellClassifier.load(model).predict(torch.stack([torch.tensor(np.asarray(Image.open(f).resize((32, 32), 2))).permute(2, 0, 1) for f in files]))  # fmt: skip # noqa: E501
    columns = [f"p_{name}" for name in found.classes]
    np.testing.assert_allclose(table[columns].to_numpy(float), found.probabilities.numpy(), atol=6e-5)
    told = ["predicted", "confidence", "set", "flag"]
    assert list(table.columns) == ["path", "group", *told, *columns, "reason"]
    most = np.array(found.classes)[found.probabilities.argmax(1).numpy()]
    judged = table["flag"].to_numpy() == ""
    assert (table["predicted"].to_numpy() == most)[judged].all()
    assert sorted(name.name for name in (tmp_path / "out").iterdir()) == ["p.csv", "p.csv.json"]


def test_the_command_and_python_give_the_same_classes(
    cellda_, model: Path, cells: Path, tmp_path: Path
) -> None:
    Image.new("RGB", (SIDE, SIDE), (225, 205, 215)).save(cells / "empty.png")
    assert cellda_("predict", model, cells, "--save", tmp_path / "p.parquet").status == 0
    table = pd.read_parquet(tmp_path / "p.parquet")
    found = CellClassifier.load(model).predict(cells)
    assert found.labels == [None if pd.isna(name) else name for name in table["predicted"]]
    assert found.flags == table["flag"].tolist()
    assert (found.labels[-1], found.flags[-1]) == (None, "no_nucleus")
    assert found.labels.count(None) < 6


def test_unreadable_files_are_rows_with_a_reason_and_status_3(
    cellda_, model: Path, cells: Path, tmp_path
) -> None:
    (cells / "003.png").write_bytes(b"")
    (cells / "007.png").write_bytes((cells / "007.png").read_bytes()[:100])
    said = cellda_("predict", model, cells, "--save", tmp_path / "p.csv")
    assert said.status == 3
    assert "2 of 12 images cannot be used: see the column reason" in text(said.err)
    table = pd.read_csv(tmp_path / "p.csv", keep_default_na=False)
    assert len(table) == 12
    bad = table.set_index(table["path"].map(lambda path: Path(path).name)).loc[["003.png", "007.png"]]
    assert bad["reason"].str.contains("empty|damaged").all()
    assert (bad["predicted"] == "").all()
    assert (bad[[c for c in table if c.startswith("p_")]] == "").all(axis=None)
    assert (table["reason"] != "").sum() == 2


def test_strict_refuses_before_anything_is_written(cellda_, model: Path, cells: Path, tmp_path: Path) -> None:
    (cells / "003.png").write_bytes(b"")
    (cells / "007.png").write_bytes(b"no image")
    said = cellda_("predict", model, cells, "--strict", "--save", tmp_path / "new" / "p.csv")
    assert said.status == 2
    assert "2 of 12 images cannot be used; nothing was predicted" in text(said.err)
    assert "003.png: the file is empty" in text(said.err)
    assert "007.png" in text(said.err)
    assert not (tmp_path / "new").exists()


def test_patterns_choose_images(cellda_, model: Path, cells: Path, tmp_path: Path) -> None:
    for number in range(5):
        (cells / f"{number:03d}_mask.png").write_bytes((cells / f"{number:03d}.png").read_bytes())
    said = cellda_(
        "predict", model, cells, "--exclude", "*_mask.png", "--exclude", "011*", "--save", tmp_path / "p.csv"
    )
    assert "left out: 6 images that --include and --exclude leave out" in text(said.err)
    assert len(pd.read_csv(tmp_path / "p.csv")) == 11
    said = cellda_("predict", model, cells, "--include", "cells/00?.png", "--save", tmp_path / "q.csv")
    assert len(pd.read_csv(tmp_path / "q.csv")) == 10
    said = cellda_("predict", model, cells, "--include", "*.bmp", "--save", tmp_path / "r.csv")
    assert (said.status, (tmp_path / "r.csv").exists()) == (2, False)
    assert "No image matches the pattern '*.bmp'" in text(said.err)
    said = cellda_("predict", model, cells, "--exclude", "*.png", "--save", tmp_path / "r.csv")
    assert "leave none of the 17 images" in text(said.err)


def test_quoted_patterns_are_taken_and_repeats_are_said(
    cellda_, model: Path, cells: Path, tmp_path: Path
) -> None:
    given = ("predict", model, cells / "00?.png", cells / "00[12].png", cells / "000.png")
    said = cellda_(*given, "--save", tmp_path / "p.csv")
    assert (said.status, len(pd.read_csv(tmp_path / "p.csv"))) == (0, 10)
    assert "left out: 3 repeats of images that are given more than once" in text(said.err)
    said = cellda_("predict", model, cells / "*.bmp", cells, "--save", tmp_path / "q.csv")
    assert said.status == 2
    assert "There is no such file or folder" in text(said.err)
    assert "*.bmp" in said.err


def test_a_table_is_not_overwritten_unasked(cellda_, model: Path, cells: Path, tmp_path: Path) -> None:
    file = tmp_path / "p.csv"
    file.write_text("my notes")
    said = cellda_("predict", model, cells, "--save", file)
    assert said.status == 2
    assert "exists; give another file, or --overwrite" in text(said.err)
    assert file.read_text() == "my notes"
    assert cellda_("predict", model, cells, "--save", file, "--overwrite").status == 0
    assert len(pd.read_csv(file)) == 12


def test_parquet_by_suffix_and_others_refused(cellda_, model: Path, cells: Path, tmp_path: Path) -> None:
    assert cellda_("predict", model, cells, "--save", tmp_path / "p.parquet").status == 0
    assert cellda_("predict", model, cells, "--save", tmp_path / "p.csv").status == 0
    exact, rounded = pd.read_parquet(tmp_path / "p.parquet"), pd.read_csv(tmp_path / "p.csv")
    columns = [name for name in exact if name.startswith("p_")]
    assert (exact[columns].dtypes == np.float32).all()
    np.testing.assert_allclose(exact[columns], rounded[columns], atol=6e-5)
    for name in ("p.tsv", "p", "p.csv.gz"):
        said = cellda_("predict", model, cells, "--save", tmp_path / name)
        assert said.status == 2
        assert "end" in said.err
        assert "in .csv, .parquet, .json or .xlsx" in text(said.err)


def test_the_folder_of_a_run_holds_its_model(cellda_, model: Path, cells: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model").symlink_to(model)
    assert cellda_("predict", tmp_path / "run", cells, "--save", tmp_path / "p.csv").status == 0


def test_a_device_that_is_not_there_is_named(cellda_, model: Path, cells: Path, tmp_path: Path) -> None:
    assert cellda_("predict", model, cells, "--device", "cpu", "--save", tmp_path / "p.csv").status == 0
    for name in ("cuda:77", "abacus"):
        said = cellda_("predict", model, cells, "--device", name, "--save", tmp_path / "q.csv")
        assert said.status == 2
        assert f"There is no device '{name}' here" in text(said.err)


def test_boxes_are_classified_each(cellda_, model: Path, cells: Path, tmp_path: Path) -> None:
    field = np.full((100, 300, 3), 230, np.uint8)
    places = []
    for number in range(3):
        x, y = 20 + 90 * number, 10 + 20 * number
        field[y : y + SIDE, x : x + SIDE] = np.asarray(Image.open(cells / f"{4 * number:03d}.png"))
        places.append((x, y))
    Image.fromarray(field).save(tmp_path / "field.png")
    boxes = tmp_path / "boxes.csv"
    boxes.write_text(
        "path;note;x;y;w;h\n" + "".join(f"field.png;a;{x};{y};{SIDE};{SIDE}\n" for x, y in places)
    )
    assert cellda_("predict", model, "--boxes", boxes, "--save", tmp_path / "p.parquet").status == 0
    table = pd.read_parquet(tmp_path / "p.parquet")
    assert table[["x", "y", "w", "h"]].to_numpy().tolist() == [[x, y, SIDE, SIDE] for x, y in places]
    single = tmp_path / "single.parquet"
    files = [cells / f"{4 * number:03d}.png" for number in range(3)]
    assert cellda_("predict", model, *files, "--save", single).status == 0
    columns = [name for name in table if name.startswith("p_")]
    np.testing.assert_allclose(table[columns], pd.read_parquet(single)[columns], atol=1e-6)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("path,x,y,w\n000.png,1,1,5\n", r"lacks 1 column: its first line must name at least path, x, y, w, h.*no column 'h'"),
        ("path,x,y,w,h,X\n000.png,1,1,5,5,9\n", r"more than one column.*'x': the columns x, X"),
        ("path,x,y,w,h\n", r"have no rows"),
        ("path,x,y,w,h\n000.png,a,1,5,5\n", r"line 2: the box \(a, 1, 5, 5\) is not made of numbers"),
        ("path,x,y,w,h\n000.png,1.4,1,5,5\n", r"line 2: the box \(1\.4, 1, 5, 5\) is not made of whole numbers"),
        ("path,x,y,w,h\n000.png,1,-2,5,5\n", r"line 2: the box \(1, -2, 5, 5\) begins at a negative pixel"),
        ("path,x,y,w,h\n000.png,,,,\n", r"line 2: the box is empty"),
        ("path,x,y,w,h\n000.png,1,1,5,5,7\n", r"line 2: 6 entries under 5 columns"),
        ("path,x,y,w,h\n000.png,1,1,5,5\n\n./000.png,1.0,1,5,5\n", r"1 of 2 rows.*line 4: repeats the box of line 2"),
        ("path,x,y,w,h\n000.png,1,1,0,5\n", r"line 2: .* has no width or height"),
        ("path,x,y,w,h\n000.png,1,1,5,5\n,1,1,5,5\n000.png,1\n", r"(?s)2 of 3 rows.*path is empty.*lacks y, w, h"),
    ],
)  # fmt: skip
def test_bad_boxes_are_listed(cellda_, model, cells, tmp_path, rows: str, message: str) -> None:
    (tmp_path / "boxes.csv").write_text(rows)
    said = cellda_("predict", model, cells, "--boxes", tmp_path / "boxes.csv", "--save", tmp_path / "p.csv")
    assert said.status == 2
    assert pd.Series([text(said.err)]).str.contains(message).all(), said.err


def test_boxes_without_an_image_or_outside_are_rows_with_a_reason(
    cellda_, model: Path, cells: Path, tmp_path: Path
) -> None:
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("path,x,y,w,h\n000.png,1,1,20,20\nno.png,1,1,5,5\n000.png,90,1,5,5\n000.png,2,2,20,20\n")
    given = ("predict", model, cells, "--boxes", boxes, "--save", tmp_path / "p.csv")
    said = cellda_(*given, "--strict")
    assert (said.status, (tmp_path / "p.csv").exists()) == (2, False)
    assert "2 of 4 images cannot be used; nothing was predicted (--strict)" in text(said.err)
    assert cellda_(*given).status == 3
    table = pd.read_csv(tmp_path / "p.csv", keep_default_na=False)
    assert table["reason"].tolist() == [
        "",
        "the file does not exist",
        "the box (90, 1, 5, 5) lies outside the image of 40 x 40",
        "",
    ]
    assert (table["p_basophil"] != "").tolist() == [True, False, False, True]


def test_boxes_are_read_as_tables_are(cellda_, model: Path, cells: Path, tmp_path: Path) -> None:
    rows = pd.DataFrame({"Path": ["000.png", "001.png"], "X": [1, 30], "Y": [2.0, 3.0], "W": 20, "H": 20})
    rows.assign(patient=["a", "b"]).to_excel(tmp_path / "boxes.xlsx", index=False)
    said = cellda_("predict", model, cells, "--boxes", tmp_path / "boxes.xlsx", "--save", tmp_path / "p.csv")
    assert said.status == 0
    assert "1 unused column: patient" in text(said.err)
    assert "--group" not in said.err
    assert "1 box reaches beyond the image" in text(said.err)
    found = pd.read_csv(tmp_path / "p.csv")
    assert found[["x", "y", "w", "h"]].to_numpy().tolist() == [[1, 2, 20, 20], [30, 3, 20, 20]]


def test_nothing_to_predict_is_said(cellda_, model: Path, tmp_path: Path) -> None:
    said = cellda_("predict", model, "--save", tmp_path / "p.csv")
    assert said.status == 2
    assert "nothing to predict: give images" in text(said.err)


def test_bits_are_stated_as_elsewhere(cellda_, model: Path, cells: Path, tmp_path: Path) -> None:
    """12 bits in 16: 4095 is white if that is said, and a reason without a word."""
    pixels = np.asarray(Image.open(cells / "000.png")).astype(np.uint16) * 16
    tifffile.imwrite(cells / "deep.tif", pixels, photometric="rgb")
    arguments = ["predict", model, cells, "--include", "000.png", "--include", "deep.tif"]
    unsaid = cellda_(*arguments, "--save", tmp_path / "unsaid.csv")
    assert unsaid.status == 3
    assert "--bits 12" in text(pd.read_csv(tmp_path / "unsaid.csv")["reason"].iloc[1])
    said = cellda_(*arguments, "--bits", "12", "--strict", "--save", tmp_path / "said.parquet")
    assert said.status == 0, said.err
    table = pd.read_parquet(tmp_path / "said.parquet")
    columns = [name for name in table if name.startswith("p_")]
    np.testing.assert_allclose(table[columns].iloc[1], table[columns].iloc[0], atol=0.01)
    assert read(tmp_path / "said.parquet")["made_by"]["bits"] == 12
    found = CellClassifier.load(model).predict([cells / "deep.tif"], bits=12)
    np.testing.assert_allclose(found.probabilities[0], table[columns].iloc[1].to_numpy(float), atol=1e-6)


# ------------------------------------------------------------------ the record


def read(table: Path) -> dict[str, Any]:
    return json.loads(table.with_name(f"{table.name}.json").read_text(encoding="utf-8"))


def test_what_was_left_out_is_recorded_next_to_the_table(
    cellda_, model: Path, cells: Path, tmp_path: Path
) -> None:
    (cells / "notes.txt").write_text("a")
    (cells / ".hidden.png").write_bytes(b"")
    said = cellda_("predict", model, cells, "--exclude", "00[01].png", "--save", tmp_path / "p.csv")
    assert said.status == 0
    account = read(tmp_path / "p.csv")["account"]
    assert account["used"] == 10
    left = {one["what"].partition("(s)")[0]: (one["count"], one["names"]) for one in account["left_out"]}
    assert left["file"] == (1, [str(cells / "notes.txt")])
    assert left["hidden file"] == (1, [str(cells / ".hidden.png")])
    assert left["image"] == (2, [str(cells / "000.png"), str(cells / "001.png")])
    for count, names in left.values():
        assert str(count) in text(said.err)
        assert all(name in text(said.err) for name in names)
    # A table that is replaced has the record of its own call.
    assert (
        cellda_("predict", model, cells / "000.png", "--overwrite", "--save", tmp_path / "p.csv").status == 0
    )
    assert read(tmp_path / "p.csv")["account"]["left_out"] == []


def test_a_model_that_is_replaced_meanwhile_is_recorded_as_it_was_loaded(
    cellda_, model: Path, cells: Path, tmp_path: Path, monkeypatch
) -> None:
    place, other = shutil.copytree(model, tmp_path / "model"), classifier(1)
    assert other.identity != CellClassifier.load(place).identity
    load = CellClassifier.load

    def loaded(folder: Path) -> CellClassifier:
        found = load(folder)
        other.save(folder)
        return found

    monkeypatch.setattr(CellClassifier, "load", loaded)
    assert cellda_("predict", place, cells, "--save", tmp_path / "p.csv").status == 0
    assert read(tmp_path / "p.csv")["made_by"]["model"] == load(model).identity


# ------------------------------------------------------------------ names


def test_any_name_of_a_file_is_a_row_that_can_be_joined(
    cellda_, model: Path, cells: Path, tmp_path: Path, monkeypatch
) -> None:
    names = [
        b"\xff\xfe.png", b"=1+1.png", b"+a.png", b"-a.png", b"@a.png", b"'quoted.png", b"line\nend.png", b"tab\t.png",
        b"\x1b[2Jclear.png", b"\x07bell.png", b"comma,;\".png", "漢字.png".encode(), b"a" * 250 + b".png",
        "\u202egnp.png".encode(), b"back\\u{41}slash.png", b"\r.png",
    ]  # fmt: skip
    content = (cells / "000.png").read_bytes()
    odd = tmp_path / "odd"
    odd.mkdir()
    for name in names:
        with open(os.path.join(os.fsencode(odd), name), "wb") as file:  # noqa: PTH118, PTH123
            file.write(content)
    files = sorted(os.listdir(odd))  # noqa: PTH208
    for suffix, read in ((".csv", pd.read_csv), (".parquet", pd.read_parquet)):
        assert cellda_("predict", model, odd, "--save", tmp_path / f"p{suffix}").status == 0
        table = read(tmp_path / f"p{suffix}")
        back = [original(path, csv=suffix == ".csv") for path in table["path"]]
        assert sorted(Path(path).name for path in back) == files
        assert all(Path(path).exists() for path in back)
        assert not table["path"].str.contains("[\x00-\x1f\x7f-\x9f]").any()
    raw = (tmp_path / "p.csv").read_bytes().decode("utf-8")
    assert len(raw.splitlines()) == len(names) + 1
    # Given one by one, in the folder, names begin the cell.
    monkeypatch.chdir(odd)
    for file in odd.iterdir():
        file.write_bytes(b"")
    said = cellda_("predict", model, ".", "--save", tmp_path / "q.csv")
    assert said.status == 3
    with (tmp_path / "q.csv").open(newline="") as stream:
        assert not any(row[0].startswith(("=", "+", "-", "@")) for row in csv.reader(stream))
    said = cellda_("predict", model, ".", "--strict", "--save", tmp_path / "r.csv")
    assert said.status == 2
    assert not any(ord(letter) < 32 and letter != "\n" for letter in said.out + said.err)
    assert r"\u{1b}[2Jclear.png" in said.err
    assert r"\u{dcff}" in said.err


# ------------------------------------------------------------------ interruptions

KILLED = """
import os, signal, sys
from cellda.models import classifier, results
from cellda.runtime.device import DevicePlan
results.DECODED_AT_ONCE = 4
classifier.plan_for = lambda _: DevicePlan(inference_batch=4)
made = results._results
count = 0

def stopping(network, block):
    global count
    count += 1
    if count > STOP:
        os.kill(os.getpid(), signal.SIGKILL)
    return made(network, block)

results._results = stopping
from cellda import cli
cli.main()
"""


def command(stop: int, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """`cellda` in a process of its own, killed after some blocks of 4 images."""
    code = KILLED.replace("STOP", str(stop))
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_a_killed_prediction_goes_on_and_ends_the_same(model: Path, cells: Path, tmp_path: Path) -> None:
    (cells / "002.png").write_bytes(b"")
    whole, parts = tmp_path / "whole.parquet", tmp_path / "parts.parquet"
    assert command(99, "predict", model, cells, "--save", whole).returncode == 3
    for blocks in (1, 1):
        killed = command(blocks, "predict", model, cells, "--save", parts)
        assert killed.returncode == -signal.SIGKILL
        assert not parts.exists()
    partial = parts.with_name("parts.parquet.partial")
    with partial.open("a") as stream:
        stream.write('{"path": "half a li')  # killed while a row was written
    last = command(99, "predict", model, cells, "--save", parts)
    assert last.returncode == 3
    assert "Continuing after 8 of 12 images" in text(last.stderr)
    assert parts.read_bytes() == whole.read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "cells", "parts.parquet", "parts.parquet.json", "whole.parquet", "whole.parquet.json",
    ]  # fmt: skip
    assert read(parts) == read(whole)


def test_an_interrupted_table_of_something_else_is_refused(
    cellda_, model: Path, cells: Path, tmp_path: Path
) -> None:
    file = tmp_path / "p.csv"
    assert command(1, "predict", model, cells, "--save", file).returncode == -signal.SIGKILL
    partial = tmp_path / "p.csv.partial"
    before = partial.read_bytes()
    other = classifier(1).save(tmp_path / "other")
    said = cellda_("predict", other, cells, "--save", file)
    assert said.status == 2
    assert "an interrupted table of another prediction, which differs in: model." in text(said.err)
    image = cells / "000.png"
    facts, content = image.stat(), image.read_bytes()
    image.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(image, ns=(facts.st_atime_ns, facts.st_mtime_ns))  # size and time are as they were
    said = cellda_("predict", model, cells, "--save", file)
    assert "which differs in: images." in text(said.err)
    assert partial.read_bytes() == before
    assert cellda_("predict", other, cells, "--save", file, "--overwrite").status == 0
    assert not partial.exists()
    partial.write_text("not even JSON")
    file.unlink()
    said = cellda_("predict", model, cells, "--save", file)
    assert "p.csv.partial exists and is not an interrupted table; remove it" in text(said.err)
    assert partial.read_text() == "not even JSON"


@pytest.mark.parametrize("left", ["nothing", "torn", "no rows", "torn row"])
def test_an_interrupted_table_without_rows_does_not_stand_in_the_way(
    cellda_, model: Path, cells: Path, tmp_path: Path, left: str
) -> None:
    file, partial = tmp_path / "p.csv", tmp_path / "p.csv.partial"
    head = '{"made_by": {"model": "another"}}\n'
    row = head + '{"path": "000.png", "pred'
    partial.write_text({"nothing": "", "torn": head[:25], "no rows": head, "torn row": row}[left])
    said = cellda_("predict", model, cells, "--save", file)
    assert (said.status, len(pd.read_csv(file)), partial.exists()) == (0, 12, False)
    assert "interrupted" not in said.err


def test_a_full_disk_names_the_file_and_the_rows_that_are_kept(cells: Path, tmp_path: Path) -> None:
    from cellda.models.inputs import Picture
    from cellda.models.results import Result
    from cellda.models.rows import Rows

    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    block = [Result(Picture(f"{number}.png"), reason="x" * 100) for number in range(5)]
    with Rows(tmp_path / "p.csv", {"model": "a"}, ["one"]) as rows:
        rows.add(block)
        resource.setrlimit(
            resource.RLIMIT_FSIZE, ((tmp_path / "p.csv.partial").stat().st_size + 100, before[1])
        )
        try:
            with pytest.raises(ConfigurationError) as caught:
                rows.add(block)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert f"{tmp_path / 'p.csv'} cannot be written: the file is too large for this disk" in str(caught.value)
    assert f"5 rows are kept in {tmp_path / 'p.csv.partial'}; the same command" in str(caught.value)
    with Rows(tmp_path / "p.csv", {"model": "a"}, ["one"]) as rows:
        assert rows.done in (5, 10)  # what was in the stream may have arrived when it was closed


def test_boxes_are_offered_for_images_that_are_larger_than_the_training_cells(
    cellda_, cells: Path, tmp_path: Path
) -> None:
    """A photograph of a field with one white cell looks like a cell, but for its size."""
    small = classifier()
    embeddings = torch.randn(40, 128, generator=torch.Generator().manual_seed(0))
    small.seen = seen_of(
        embeddings, torch.arange(40) % 2, torch.ones(40, dtype=torch.bool), [5.0] * 40, [SIDE // 2 - 1] * 40
    )
    said = cellda_("predict", small.save(tmp_path / "small"), cells, "--save", tmp_path / "p.csv")
    assert said.status == 0, said.err
    assert "flag size" in text(said.out)
    assert "crop each cell with --boxes FILE" in text(said.out)


def test_two_processes_do_not_write_one_table(cellda_, model: Path, cells: Path, tmp_path: Path) -> None:
    from cellda.runtime.storage.lock import locked

    with locked(tmp_path / "p.csv.partial.lock"):
        said = cellda_("predict", model, cells, "--save", tmp_path / "p.csv")
    assert said.status == 2
    assert f"p.csv is being written by process {os.getpid()} on " in text(said.err)


def test_output_that_is_not_utf8_is_escaped(model: Path, cells: Path, tmp_path: Path) -> None:
    (cells / "漢字.png").write_bytes(b"")
    done = subprocess.run(
        [sys.executable, "-m", "cellda", "predict", str(model), str(cells), "--strict", "--save", str(tmp_path / "p.csv")],
        capture_output=True, check=False, env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert done.returncode == 2
    assert b"\\u6f22\\u5b57.png" in done.stderr
    assert b"Traceback" not in done.stderr
