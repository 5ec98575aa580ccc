"""The user's own images: one folder a class, or a table."""

import pandas as pd
import pytest
from PIL import Image

from cellda.datasets import load
from cellda.errors import DataError


def picture(file, size=(12, 10), colour="pink"):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(file)


def listed(text, tmp_path, **options):
    """The problems found in a CSV of this text."""
    (tmp_path / "cells.csv").write_text(text)
    with pytest.raises(DataError) as caught:
        load("table", tmp_path / "cells.csv", **options)
    return caught.value.problems


def test_folder_gives_subfolders_as_groups_across_classes(tmp_path):
    picture(tmp_path / "seg" / "p1" / "day 2" / "a.png")
    picture(tmp_path / "Lymphocytes" / "p1" / "b.PNG")
    picture(tmp_path / "Lymphocytes" / "c.jpeg")
    dataset = load("folder", tmp_path)
    found = dict(zip(dataset.table["path"], dataset.table["group"], strict=True))
    assert found == {"Lymphocytes/c.jpeg": None, "Lymphocytes/p1/b.PNG": "p1", "seg/p1/day 2/a.png": "p1"}


def test_folder_lists_all_unknown_and_empty_classes_at_once(tmp_path):
    picture(tmp_path / "neutrofils" / "a.png")
    picture(tmp_path / "misc things" / "a.png")
    picture(tmp_path / "monocyte" / "a.png")
    (tmp_path / "basophil").mkdir()
    (tmp_path / "basophil" / "notes.txt").write_text("none yet")
    (tmp_path / "other").mkdir()
    with pytest.raises(DataError) as caught:
        load("folder", tmp_path)
    assert len(caught.value.problems) == 3
    found = "\n".join(caught.value.problems)
    assert "'neutrofils' is not a known cell type; did you mean 'neutrophil'" in found
    assert "'misc things' is not a known cell type" in found
    assert "'basophil' holds no image" in found


def test_folder_without_a_cell_of_the_six_classes_is_refused(tmp_path):
    picture(tmp_path / "platelet" / "a.png")
    with pytest.raises(DataError, match=r"no cell of the classes basophil, .*platelet"):
        load("folder", tmp_path)


def test_folder_passes_over_hidden_and_other_files(tmp_path):
    picture(tmp_path / "mono" / "a.png")
    picture(tmp_path / "mono" / ".thumb.png")
    picture(tmp_path / "__MACOSX" / "mono" / "a.png")
    (tmp_path / "mono" / "a.xml").write_text("<x/>")
    assert list(load("folder", tmp_path).table["path"]) == ["mono/a.png"]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_table_reads_csv_as_spreadsheets_write_it(tmp_path, separator):
    picture(tmp_path / "a.png")
    text = "\ufeffLabel ;PATH;Group\r\nseg;a.png;p1\r\n;;\r\nband;./b/../b/c.png;\r\n".replace(";", separator)
    picture(tmp_path / "b" / "c.png")
    (tmp_path / "cells.csv").write_bytes(text.encode())
    dataset = load("table", tmp_path / "cells.csv")
    assert dataset.table.to_dict("list") == {
        "path": ["a.png", "b/c.png"], "label": ["neutrophil"] * 2, "raw_label": ["seg", "band"],
        "group": ["p1", None], "box": [None, None],
    }  # fmt: skip


def test_table_reads_parquet_with_nulls(tmp_path):
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    rows = {"path": ["a.png", "b.png"], "label": ["MON", "EOS"], "group": [None, "p2"]}
    box = {"x": [1.0, None], "y": [2.0, None], "w": [3.4, None], "h": [4.0, None]}
    pd.DataFrame({**rows, **box}).to_parquet(tmp_path / "cells.parquet")
    cells = load("table", tmp_path / "cells.parquet").table
    assert list(cells["box"]) == [(1, 2, 3, 4), None]
    assert list(cells["group"]) == [None, "p2"]


def test_table_takes_images_from_another_folder_and_absolute_paths_inside_it(tmp_path):
    picture(tmp_path / "images" / "a.png")
    picture(tmp_path / "images" / "sub" / "b.png")
    (tmp_path / "labels").mkdir()
    file = tmp_path / "labels" / "cells.csv"
    file.write_text(f"path,label\na.png,MON\n{tmp_path / 'images' / 'sub' / 'b.png'},MON\n")
    dataset = load("table", file, images=tmp_path / "images")
    assert list(dataset.table["path"]) == ["a.png", "sub/b.png"]
    file.write_text("path,label\n..\\images\\a.png,MON\n")
    assert list(load("table", file).table["path"]) == ["../images/a.png"]


def test_table_cuts_cells_of_one_field_and_keeps_them_together(tmp_path):
    Image.radial_gradient("L").convert("RGB").save(tmp_path / "field.png")
    (tmp_path / "cells.csv").write_text(
        "path,label,x,y,w,h\nfield.png,seg,0,0,50,50\nfield.png,MON,100,100,50,50\n"
    )
    dataset = load("table", tmp_path / "cells.csv")
    assert len(set(dataset.effective_groups())) == 1
    pixels = dataset.read([0, 1], 8).float()
    assert pixels[0].mean() > 150  # the corner of the gradient is bright
    assert pixels[1].mean() < 60  # its middle is dark


def test_cells_of_one_photograph_stay_together_whatever_the_table_says(tmp_path):
    picture(tmp_path / "field.png")
    rows = "path,label,group,x,y,w,h\nfield.png,seg,p1,0,0,5,5\nfield.png,MON,p2,5,5,5,5\n"
    (tmp_path / "cells.csv").write_text(rows)
    assert len(set(load("table", tmp_path / "cells.csv").effective_groups())) == 1


def test_table_lists_every_problem_with_its_line(tmp_path):
    picture(tmp_path / "a.png")
    (tmp_path / "text.png").write_text("no image")
    problems = listed(
        "path,label,group,x,y,w,h\n"
        "a.png,seg,,0,0,5,5\n"  # fine
        "gone.png,seg,,,,,\n"  # 3: missing
        "a.png,seg,,0,0,5,5\n"  # 4: duplicate
        "a.png,MON,,0,0,5,5\n"  # 5: duplicate with another label
        "a.png,seg,,1,1,5,\n"  # 6: half a box
        "a.png,seg,,a,b,c,d\n"  # 7: not numbers
        "a.png,seg,,1,1,0,5\n"  # 8: no width
        "a.png,seg,,50,1,5,5\n"  # 9: outside
        "a.png,neutrofil,,2,2,5,5\n"  # 10: unknown label
        ",seg,,,,,\n"  # 11: no path
        "a.png,,,3,3,5,5\n"  # 12: not labelled yet, which is no problem
        "a.png,seg,,1,1,nan,5\n"  # 13: not a number
        "text.png,seg,,1,1,5,5\n"  # 14: box in a file that is no image
        "a.png,seg,,1,1,5,5,surplus\n"  # 15
        "a.png,neutrofil,,4,2,5,5\n",  # 16: unknown label again, one complaint with line 10
        tmp_path,
    )
    text = "\n".join(problems)
    for number, what in {
        3: "gone.png does not exist", 4: "repeats the cell of line 2", 5: "there labelled 'seg'", 6: "lacks h", 7: "numbers",
        8: "no width", 9: "outside a.png of 12 x 10", 11: "path is empty", 13: "numbers",
        14: "not an image", 15: "8 entries under 7 columns",
    }.items():  # fmt: skip
        line = [problem for problem in problems if problem.startswith(f"line {number}:")]
        assert len(line) == 1, number
        assert what in line[0]
    assert "lines 10, 16: 'neutrofil' is not a known cell type; did you mean 'neutrophil'" in text
    assert len(problems) == 12


def test_table_says_once_that_all_images_are_elsewhere(tmp_path):
    problems = listed("path,label\na.png,seg\nb.png,seg\n", tmp_path)
    assert len(problems) == 1
    assert str(tmp_path / "a.png") in problems[0]


def test_table_refuses_missing_and_half_given_columns(tmp_path):
    assert "'lable'" in listed("path,lable\na.png,seg\n", tmp_path)[0]
    (tmp_path / "cells.csv").write_text("path,label,x,y\n")
    with pytest.raises(DataError, match="only x, y of the box columns"):
        load("table", tmp_path / "cells.csv")
    assert listed("path,label\n", tmp_path) == ("the table has no rows",)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv", b"\xff\xfe\x00bad", "UTF-8"),
        ("a.parquet", b"no parquet", "Parquet"),
        ("a.xlsx", b"", "workbook .* cannot be read"),
        ("a.ods", b"", "neither CSV nor Parquet nor an Excel workbook.*save it as .xlsx or .csv"),
        ("a.csv", b"", "lacks"),
    ],
)
def test_table_refuses_files_that_are_no_table(tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=reason):
        load("table", tmp_path / name)


def test_table_needs_the_file_and_not_its_folder(tmp_path):
    with pytest.raises(DataError, match="give the CSV or Parquet file itself"):
        load("table", tmp_path)
