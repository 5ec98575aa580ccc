"""Reports: what they say is what was computed, they need nothing from outside, and nothing in them is executed."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from cellda.errors import CelldaError
from cellda.experiment.reports import report_of_run, report_of_runs
from cellda.experiment.workflow import run
from cellda.report import content
from cellda.report.content import Cells, Report, shown_rows
from cellda.report.embedding_map import verdicts
from cellda.report.of_model import report_of_model
from cellda.report.page import html
from cellda.report.pictures import heated, sheet
from measured import measured
from said import text
from tiny import model_folder, quiet, recipe, target


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return run(
        recipe(calibration="temperature"), target(), store=tmp_path_factory.mktemp("store"), progress=False
    )


@pytest.fixture(scope="module")
def page(result) -> str:
    return html(report_of_run(result, target(), quiet(result.path.parents[2])))


def test_it_says_what_was_measured(page, result):
    metrics = result.metrics
    assert f"{metrics.accuracy.value:.0%} are right" in page
    assert str(metrics.balanced_accuracy) in page
    for name, one in metrics.per_class.items():
        assert re.search(rf"{name}\*?</td>.*?{re.escape(str(one.precision))}", page, re.DOTALL)
    for words in (
        "What is taken for what",
        "How sure is it",
        "Cells to look at",
        "A map of the cells",
        "framed",
    ):
        assert words in page
    assert result.digest in page
    assert "research use" in page
    assert result.recipe.to_yaml().splitlines()[0] in page


def test_it_needs_no_network_and_no_other_file(page):
    shown = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    outside = re.findall(r"""(?:src|href)=["']?(?!data:|#)([^"'> ]+)""", shown)
    assert outside == []
    assert not re.search(r"""@import|url\((?!"?data:)""", page.split("</style>")[0])
    assert "<link" not in page


def test_a_thousand_cells_take_less_than_five_megabytes():
    number = 1000
    rng = np.random.default_rng(0)
    smooth = torch.nn.functional.interpolate(torch.rand(number, 3, 6, 6), size=96, mode="bilinear")
    cells = Cells(
        pd.DataFrame(
            {
                "path": [f"patient {row % 9}/slide {row % 4}/{row:05d}.png" for row in range(number)],
                "group": "",
                "part": "new",
                "label": "",
                "predicted": rng.choice(["neutrophil", "lymphocyte"], number),
                "confidence": rng.uniform(size=number),
                "set": "neutrophil+lymphocyte",
                "flag": "",
            }
        ),
        (smooth * 255).to(torch.uint8),
        torch.from_numpy(rng.normal(size=(number, 8))).float(),
    )
    text = html(Report("many", ["cells"], cells=cells, total=number))
    assert len(text.encode()) < 5e6
    assert text.count('class="cell"') == number


def test_of_more_cells_those_to_look_at_come_first(monkeypatch):
    monkeypatch.setattr(content, "MOST", 10)
    table = pd.DataFrame(
        {
            "label": ["a"] * 3 + [""] * 97,
            "predicted": ["b"] * 3 + ["a"] * 97,
            "confidence": np.linspace(0.1, 1, 100),
            "flag": [""] * 98 + ["no_nucleus", ""],
        }
    )
    rows = shown_rows(table)
    assert len(rows) == 10
    assert {0, 1, 2, 98} <= set(rows)


def test_names_of_files_and_classes_are_text():
    model = measured(12)
    evil = '<script>alert("x")</script>.png'
    cells = model.evidence.cells.assign(path=[evil, *model.evidence.cells["path"][1:]])
    model.evidence = type(model.evidence)(cells, *list(vars(model.evidence).values())[1:])
    text = html(report_of_model(model, '<img src=x onerror="alert(1)">'))
    assert '<script>alert("x")' not in text
    assert "<img src=x" not in text


def test_a_verdict_needs_a_known_class():
    table = pd.DataFrame({"label": ["a", "a", ""], "predicted": ["a", "b", "a"]})
    assert verdicts(Cells(table)) == ["right", "wrong", "not known"]


def test_cells_lie_where_the_sheet_says():
    images = np.zeros((5, 64, 64, 3), np.uint8)
    for number in range(5):
        images[number] = 40 * number
    address, places = sheet(images)
    assert address.startswith("data:image/jpeg;base64,")
    assert places == [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1)]
    assert heated(images[1], torch.rand(4, 4)).shape == (64, 64, 3)


def test_without_the_images_it_says_so(result):
    found = report_of_run(result)
    assert found.cells is not None
    named = type(result).load(result.path)
    assert found.missing == [] or "no pictures" in found.missing[0]
    assert html(found)
    assert named.digest == result.digest
    with pytest.raises(CelldaError, match="is not the target of this run"):
        report_of_run(result, target(1, per_class=3), quiet(result.path.parents[2]))


def test_runs_are_compared(result, tmp_path):
    other = run(recipe(adapter="none"), target(), store=tmp_path, progress=False)
    text = html(report_of_runs([result, other]))
    assert "2 runs compared" in text
    for one in (result, other):
        assert str(one.metrics.balanced_accuracy) in text
    again = run(recipe(adapter="none", few_shot={"draw": 1}), target(), store=tmp_path, progress=False)
    text = html(report_of_runs([other, again]))
    assert all(one.digest in text for one in (other, again))  # though they are of one condition


def test_a_pdf_is_made(result, tmp_path):
    pytest.importorskip(
        "weasyprint", reason="WeasyPrint, or a library of the system that it needs, is not installed"
    )
    file = result.report(tmp_path / "r.pdf", target(), store=result.path.parents[2])
    assert file.read_bytes().startswith(b"%PDF")


def test_the_command_refuses_before_the_work(result, tmp_path, cellda_):
    for words, said in (
        ([str(result.path), "--save", str(tmp_path / "r.docx")], "end "),
        (
            [str(result.path), str(tmp_path), "--save", str(tmp_path / "r.html")],
            "must all be folders of runs",
        ),
    ):
        answer = cellda_("report", *words)
        assert answer.status == 2
        assert said in answer.err
    assert not list(tmp_path.iterdir())


def test_a_laboratory_gets_from_labels_to_a_report(tmp_path, cellda_, monkeypatch):
    """adapt, predict with sets, doubt and a list for a person, count, report: as on the command line."""
    from PIL import Image

    source = model_folder(tmp_path / "source")
    cells = target()
    images = tmp_path / "cells"
    lines = ["path,label"]
    for number, pixels in enumerate(cells.read(range(len(cells)), 40)):
        place = images / f"patient {number % 2}" / f"slide {number % 3}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(place / f"{number}.png")
        if number % 2:
            lines.append(f"cells/{place.relative_to(images)}/{number}.png,{cells.table['label'][number]}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    edits = [
        "--set",
        "search=null",
        "--adapter",
        "full",
        "--set",
        "adapter.epochs=2",
        "--set",
        "calibration=temperature",
    ]
    start = ["adapt", "--labelled", "table=labels.csv", "--model", source, "--save", "m", "--store", "s"]
    said = cellda_(*start, *edits)
    assert said.status == 0, said.err
    assert "Measured on your 21 labelled cells" in text(said.out)
    card = (tmp_path / "m" / "README.md").read_text()
    assert "accuracy" in card
    assert "| neutrophil |" in card
    said = cellda_("predict", "m", "cells", "--save", "p.csv", "--abstain", "0.1", "--review", "5", "--json")
    assert said.status == 0, said.err
    answer = json.loads(said.out)
    table = pd.read_csv("p.csv")
    assert list(table.columns[:6]) == ["path", "group", "predicted", "confidence", "set", "flag"]
    assert set(table["group"]) == {f"patient {one}/slide {two}" for one in range(2) for two in range(3)}
    columns = [name for name in table.columns if name.startswith("p_")]
    assert np.allclose(table["confidence"], table[columns].max(axis=1), atol=1e-3)
    for one in table.itertuples():
        assert isinstance(one.predicted, float) or one.set.split("+")[0] == one.predicted
    assert answer["doubtful"] == table["flag"].fillna("").str.contains("doubtful").sum()
    assert sum(row["cells"] for row in answer["counts"]) == table["predicted"].notna().sum()
    listed = pd.read_csv("p.review.csv")
    assert len(listed) == 5
    assert listed["label"].isna().all()
    assert all(Path(name).is_file() for name in listed["path"])
    again = cellda_("predict", "m", "cells", "--save", "p.csv", "--overwrite", "--review", "5")
    assert again.status == 2  # somebody may have filled it in
    assert "may hold labels" in text(again.err)
    said = cellda_("count", "p.csv", "--model", "m", "--save", "counts.csv", "--json")
    counts = json.loads(said.out)["counts"]
    assert [row for row in counts if row["group"] == ""] == [{**row, "group": ""} for row in answer["counts"]]
    assert "patient 1/slide 2" in set(pd.read_csv("counts.csv")["group"].dropna())
    other = cellda_("count", "p.csv", "--model", source)
    assert other.status == 2
    assert "was not predicted by this model" in text(other.err)
    said = cellda_("report", "m", "--predictions", "p.csv", "--save", "r.html")
    assert said.status == 0, said.err
    page = (tmp_path / "r.html").read_text()
    assert "patient 1/slide 2" in page
    assert page.count('class="cell') >= 42
    unmeasured = cellda_("predict", source, "cells", "--save", "q.csv", "--abstain", "0.1")
    assert unmeasured.status == 2
    assert "never measured" in text(unmeasured.err)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".json", ".xlsx"])
def test_tables_of_predictions_are_read_as_they_were_written(tmp_path, suffix):
    from cellda.models.predicted_file import read_table, write_table

    table = pd.DataFrame(
        {
            "path": ["=1+1.png", "b.png"],
            "group": ["", "anna"],
            "predicted": ["neutrophil", None],
            "confidence": np.array([0.75, np.nan], np.float32),
            "set": ["neutrophil+basophil", ""],
            "flag": ["", "no_nucleus"],
            "p_basophil": np.array([0.25, 0.5], np.float32),
            "p_neutrophil": np.array([0.75, 0.5], np.float32),
            "reason": ["", ""],
        }
    )
    write_table(table, tmp_path / f"t{suffix}")
    found, record = read_table(tmp_path / f"t{suffix}")
    assert record == {}
    pd.testing.assert_frame_equal(
        found[["path", "group", "set", "flag"]], table[["path", "group", "set", "flag"]], check_dtype=False
    )
    assert found["predicted"].tolist() == ["neutrophil", None]
    assert found["certain"].tolist() == [False, False]
    assert found["confidence"][0] == pytest.approx(0.75)
    write_table(table.assign(predicted=["basophil", "neutrophil"]), tmp_path / f"t{suffix}")
    found, _ = read_table(tmp_path / f"t{suffix}")
    assert found["certain"].tolist() == [True, True]  # of the other, the model had said no class


def test_predictions_saved_by_a_spreadsheet_with_decimal_commas_are_the_same(tmp_path):
    from cellda.errors import DataError
    from cellda.models.predicted_file import read_table

    file = tmp_path / "t.csv"
    header = "path;predicted;confidence;flag;p_basophil;p_neutrophil"
    file.write_text(f"{header}\na.png;neutrophil;0,75;;0,2500;0,7500\nb.png;basophil;0,75;;0,2500;0,7500\n")
    found, _ = read_table(file)
    assert found["confidence"].tolist() == [0.75, 0.75]
    assert found["certain"].tolist() == [False, True]
    file.write_text(f"{header}\na.png;neutrophil;0,75;;much;0,7500\n")
    with pytest.raises(DataError, match="column 'p_basophil' holds an entry that is no number"):
        read_table(file)
    file.write_text("path,predicted,flag\na.png,neutrophil,\n")
    with pytest.raises(DataError, match="it has no probabilities"):
        read_table(file)


def test_what_people_write_into_a_table_of_predictions_is_read_as_they_mean_it(tmp_path):
    from cellda.errors import DataError
    from cellda.models.predicted_file import read_table

    rows = [
        ("a", "Basophil ", "", ""),  # changed, in their own way of writing
        ("b", "NEUTROPHIL", "", ""),  # what the model said
        ("c", "other", "", ""),
        ("d", "", "", ""),  # emptied
        ("e", "neutrophil", "", "neutrophil"),  # confirmed
        ("f", "neutrophil", "", "basophil"),
        ("g", "", "no_nucleus", ""),
    ]
    text = "path,predicted,flag,label,confidence,p_basophil,p_neutrophil\n"
    text += "".join(f"{p}.png,{said},{flag},{label},99,0.25,0.75\n" for p, said, flag, label in rows)
    file = tmp_path / "t.csv"
    file.write_text(text, encoding="utf-8-sig")  # as Excel saves "CSV UTF-8"
    found, _ = read_table(file)
    b, n = "basophil", "neutrophil"
    assert found["predicted"].tolist() == [b, n, None, None, n, b, None]
    assert found["certain"].tolist() == [True, False, True, False, True, True, False]
    assert found["confidence"].tolist() == [0.75] * 7  # never what somebody has edited
    file.write_text(text + "h.png,monozyt,,,99,0.25,0.75\n")
    with pytest.raises(DataError, match=r"(?s)Known are basophil, neutrophil.*line 9: 'monozyt'"):
        read_table(file)
