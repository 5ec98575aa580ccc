"""Tables of cells as spreadsheets and other systems write them."""

import codecs
import zipfile
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from cellda.datasets import load
from cellda.errors import DataError
from trees import jiangxi_tecom, picture, zheng

ROWS = "path,label,group\nzellen/a.png,seg,Müller\nb.png,MON,Jørgensen\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    picture(tmp_path / "zellen" / "a.png")
    picture(tmp_path / "b.png")
    return tmp_path


def read(root: Path, content: bytes | str, name: str = "cells.csv", **options):
    (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return load("table", root / name, **options)


def said(dataset) -> str:
    return "\n".join(dataset.account.lines())


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line", ["\n", "\r\n", "\r"])
def test_separators_and_line_ends(root: Path, separator: str, line: str):
    dataset = read(root, ROWS.replace(",", separator).replace("\n", line))
    assert list(dataset.table["group"]) == ["Müller", "Jørgensen"]
    assert dataset.account.lines() == []


def test_a_separator_inside_other_columns_does_not_mislead(root: Path):
    dataset = read(root, "path;label;remarks, notes, and, more\nb.png;MON;x\n")
    assert len(dataset) == 1


def test_the_separator_line_of_excel_is_skipped(root: Path):
    assert len(read(root, "sep=;\n" + ROWS.replace(",", ";"))) == 2
    with pytest.raises(DataError, match=r"line 3: the image x\.png does not exist"):
        read(root, "sep=;\npath;label\nx.png;MON\nb.png;MON\n")


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("utf-32-le", codecs.BOM_UTF32_LE),
        ("utf-16-le", b""),
        ("utf-16-be", b""),
        ("cp1252", b""),
    ],
)
def test_encodings(root: Path, encoding: str, mark: bytes):
    dataset = read(root, mark + ROWS.encode(encoding))
    assert list(dataset.table["group"]) == ["Müller", "Jørgensen"]
    assert ("guessed" in said(dataset)) == (encoding.startswith("utf-16") and not mark)
    assert ("cp1252 (Windows), because it is not UTF-8" in said(dataset)) == (encoding == "cp1252")


@pytest.mark.parametrize(
    "content", [b"path,label\n\x81\x8d\x8f,MON\n", b"path,label\na\0.png,MON\n", b"\x89PNG\r\n\x1a\n\0\0\0\r"]
)
def test_what_is_not_text_is_refused_with_the_remedy(root: Path, content: bytes):
    with pytest.raises(DataError, match=r"save it as (CSV )?UTF-8"):
        read(root, content)


def test_a_workbook_is_read_and_its_other_sheets_named(root: Path):
    book = openpyxl.Workbook()
    for row in (("Label ", "path", "group", "x", "y", "w", "h"), ("seg", "zellen/a.png", 7, 0, 1, 5.0, 6), (None,) * 7,
                ("MON", "b.png", None, None, None, None, None)):  # fmt: skip
        book.active.append(row)
    book.create_sheet("remarks").append(("x",))
    book.save(root / "cells.xlsx")
    dataset = load("table", root / "cells.xlsx")
    assert list(dataset.table["group"]) == ["7", None]
    assert list(dataset.table["box"]) == [(0, 1, 5, 6), None]
    assert "1 other sheet of the workbook" in said(dataset)
    assert "remarks" in said(dataset)
    assert "1 empty row" in said(dataset)
    book["Sheet"]["B2"] = "gone.png"
    book.save(root / "cells.xlsx")
    with pytest.raises(DataError, match=r"row 2: the image gone\.png does not exist"):
        load("table", root / "cells.xlsx")


def test_rows_beyond_the_range_that_a_workbook_states_are_read(root: Path):
    book = openpyxl.Workbook()
    for row in ("path", "label"), ("zellen/a.png", "seg"), ("b.png", "MON"):
        book.active.append(row)
    book.save(root / "whole.xlsx")
    sheet = "xl/worksheets/sheet1.xml"
    with zipfile.ZipFile(root / "whole.xlsx") as whole, zipfile.ZipFile(root / "cells.xlsx", "w") as stated:
        for name in whole.namelist():
            stated.writestr(name, whole.read(name).replace(b"A1:B3", b"A1:B2"))
        assert b"A1:B3" in whole.read(sheet)
    assert len(load("table", root / "cells.xlsx")) == 2


def test_a_quote_that_is_not_closed_is_refused(root: Path):
    with pytest.raises(DataError, match="is not CSV: unexpected end of data"):
        read(root, 'path,label,notes\nzellen/a.png,seg,"5 um\nb.png,MON,\n')


def test_a_column_of_groups_without_an_entry_is_refused(root: Path):
    rows = "path,label,patient\nzellen/a.png,seg,#REF!\nb.png,MON,\n"
    with pytest.raises(DataError, match=r"column 'patient' of .* has no entry"):
        read(root, rows, group="patient")


def test_old_formats_say_what_to_save(root: Path):
    with pytest.raises(DataError, match=r"save it as \.xlsx or \.csv"):
        read(root, b"x", "cells.xls")


@pytest.mark.parametrize("word", ["NA", "n/a", "NULL", "None", "-", "NaN", "#N/A", "<NA>"])
def test_words_for_nothing_are_empty_and_said(root: Path, word: str):
    dataset = read(
        root,
        f"path,label,group,x,y,w,h\nzellen/a.png,seg,p1,,,,\nb.png,MON,{word},{word},{word},{word},{word}\n",
    )
    assert list(dataset.table["group"]) == ["p1", None]
    assert list(dataset.table["box"]) == [None, None]
    assert f"'{word}' was read as an empty entry of column 'group' in 1 row" in said(dataset)
    dataset = read(root, f"path,label\nb.png,{word}\nzellen/a.png,seg\n")
    assert list(dataset.table["path"]) == ["zellen/a.png"]
    assert f"'{word}' was read as an empty entry of column 'label' in 1 row" in said(dataset)
    assert "left out: 1 row not labelled yet (b.png)" in said(dataset)


def test_rows_shorter_than_the_header_are_said(root: Path):
    assert "1 row is shorter than the header" in said(
        read(root, "path,label,group\nb.png,MON\n\nzellen/a.png,seg,p\n")
    )


# --- columns


@pytest.mark.parametrize(
    "column", ["label,Label", "label, LABEL ", "path,label,Path", "label,group,Group", "label,x,y,w,h,X"]
)
def test_a_column_twice_is_refused(root: Path, column: str):
    header = column if column.startswith("path") else f"path,{column}"
    with pytest.raises(DataError, match="more than one column for the same entry"):
        read(root, f"{header}\n{','.join(['b.png'] * len(header.split(',')))}\n")


def test_a_column_twice_in_parquet_is_refused(root: Path):
    pd.DataFrame({"path": ["b.png"], "label": ["MON"], "Label": ["seg"]}).to_parquet(root / "cells.parquet")
    with pytest.raises(DataError, match="'label': the columns label, Label"):
        load("table", root / "cells.parquet")


@pytest.mark.parametrize(
    "name", ["patient_id", "Patient", "slide", "Smear No", "case", "subject-id", "PatientID"]
)
def test_columns_that_may_hold_groups_are_offered_and_taken(root: Path, name: str):
    text = f"path,label,{name},stain\nzellen/a.png,seg,p1,x\nb.png,MON,p1,x\n"
    dataset = read(root, text)
    assert dataset.account.groups is None
    assert f"--group {name}" in said(dataset)
    assert f"2 unused columns: {name}, stain" in said(dataset)
    assert "no groups: images of one patient may be on both sides" in said(dataset)
    taken = read(root, text, group=name.upper())
    assert list(taken.table["group"]) == ["p1", "p1"]
    assert taken.account.groups == 1
    assert "--group" not in said(taken)
    assert taken.fingerprint != dataset.fingerprint


def test_nothing_is_offered_where_there_are_groups(root: Path):
    dataset = read(root, "path,label,group,patient\nzellen/a.png,seg,g1,p1\nb.png,MON,g2,p1\n")
    assert "--group" not in said(dataset)
    assert "1 unused column: patient" in said(dataset)


def test_an_unknown_column_of_groups_is_refused(root: Path):
    with pytest.raises(DataError, match="no column 'patiend' for the groups: did you mean 'patient'"):
        read(root, "path,label,patient\nb.png,MON,p1\n", group="patiend")


# --- limits


def test_20000_unknown_labels_are_one_problem(root: Path):
    rows = "".join(f"b.png,thing number {number}\n" for number in range(20_000))
    with pytest.raises(DataError) as caught:
        read(root, f"path,label\n{rows}")
    [problem] = [problem for problem in caught.value.problems if "not cell types" in problem]
    assert "20,000 different texts" in problem
    assert "is it the right column?" in problem


@pytest.mark.parametrize(
    "content",
    [
        "path,label\nb.png," + "x" * 1_000_000,
        "path,label,x,y,w,h\nb.png,MON,0,0," + "9" * 5000 + ",5\n",
        "path,label,x,y,w,h\nb.png,MON,0,0,1e300,5\n",
        ",".join(f"column {number}" for number in range(100_000)),
        "x" * 1_000_000,
        "path,label\n" + "\n".join("gone.png,MON" for _ in range(50_000)),
    ],
)
def test_oversized_texts_are_refused_in_few_words(root: Path, content: str):
    with pytest.raises(DataError) as caught:
        read(root, content)
    assert len(str(caught.value)) < 70_000


def test_label_files_of_published_sets_are_read_like_tables(tmp_path: Path):
    jiangxi_tecom(tmp_path)
    file = tmp_path / "Class Labels of Dataset 1.csv"
    file.write_bytes(file.read_text().replace(",", ";").encode("utf-16"))
    assert len(load("jiangxi_tecom", tmp_path)) == 6
    zheng(tmp_path, 1, "image ID,class label")
    file.write_text(file.read_text() + "9" * 5000 + ",1\n")
    with pytest.raises(DataError, match="is not an image number"):
        load("jiangxi_tecom", tmp_path)


# --- workbooks as people make them


def workbook(root: Path, change, columns=("path", "label", "group", "x", "y", "w", "h")) -> Path:
    """Two cells with a group and a box, after `change(book, sheet)`."""
    book = openpyxl.Workbook()
    for row in (columns, ("zellen/a.png", "seg", "p1", 0, 0, 5, 5), ("b.png", "mono", "p2", 0, 0, 5, 5)):
        book.active.append(row)
    change(book, book.active)
    book.save(root / "cells.xlsx")
    return root / "cells.xlsx"


@pytest.mark.parametrize(
    ("cell", "name"), [("A3", "path"), ("B3", "label"), ("C3", "group"), ("D3", "x"), ("G3", "h")]
)
def test_a_formula_without_its_value_is_not_an_empty_entry(root: Path, cell: str, name: str):
    file = workbook(root, lambda _, sheet: sheet.__setitem__(cell, '=CONCATENATE("1","2")'))
    with pytest.raises(DataError, match=f"row 3: the entry of column '{name}' is a formula .* save it"):
        load("table", file)


def test_formulas_of_columns_that_are_not_used_do_not_matter(root: Path):
    file = workbook(root, lambda _, sheet: sheet.__setitem__("H3", "=1+1"))
    assert len(load("table", file)) == 2


def with_value(file: Path, formula: bytes, kind: bytes, value: bytes) -> None:
    """Give the one formula of a workbook a value, as the program that computed it does."""
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = parts["xl/worksheets/sheet1.xml"]
    before = b'<c r="C3"><f>' + formula + b"</f><v /></c>"
    assert before in sheet
    after = b'<c r="C3"' + kind + b"><f>" + formula + b"</f><v>" + value + b"</v></c>"
    parts["xl/worksheets/sheet1.xml"] = sheet.replace(before, after)
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    ("kind", "value", "group"), [(b' t="str"', b"p7", "p7"), (b' t="str"', b"", None), (b"", b"7", "7")]
)
def test_the_value_of_a_formula_is_read_also_if_it_is_an_empty_text(
    root: Path, kind: bytes, value: bytes, group
):
    file = workbook(root, lambda _, sheet: sheet.__setitem__("C3", "=LOWER(A3)"))
    with_value(file, b"LOWER(A3)", kind, value)
    assert list(load("table", file).table["group"]) == ["p1", group]


def test_merged_cells_are_refused_where_they_are_read(root: Path):
    def merge(cells: str):
        def change(_, sheet):
            sheet["H1"], sheet["H2"] = "remark", "pale"
            sheet.merge_cells(cells)

        return workbook(root, change)

    with pytest.raises(DataError, match=r"row 3: the entry of column 'group' is merged .* unmerge"):
        load("table", merge("C2:C3"))
    assert len(load("table", merge("H2:J3"))) == 2  # a column that is not used, and none
    assert len(load("table", merge("J5:L7"))) == 2  # nothing in them


def test_the_first_sheet_that_is_shown_is_read_and_hidden_rows_are_said(root: Path):
    def change(book, sheet):
        sheet.sheet_state = "hidden"
        shown = book.create_sheet("shown")
        for row in (("path", "label"), ("b.png", "eos")):
            shown.append(row)
        book.active = 1

    dataset = load("table", workbook(root, change))
    assert dataset.class_counts() == {"eosinophil": 1}
    assert "1 other sheet of the workbook: Sheet" in said(dataset)

    def hide(_, sheet):
        sheet.row_dimensions[3].hidden = True

    dataset = load("table", workbook(root, hide))
    assert len(dataset) == 2
    assert "1 hidden row of the sheet is read like the others" in said(dataset)


# --- what is assumed is said


def test_boxes_that_are_rounded_are_counted(root: Path):
    dataset = read(root, "path;label;x;y;w;h\nzellen/a.png;seg;1.234;0;5;5\nb.png;mono;1.0;0;5;5\n")
    assert list(dataset.table["box"]) == [(1, 0, 5, 5), (1, 0, 5, 5)]
    assert "1 box with fractions of pixels was rounded" in said(dataset)


def test_groups_that_are_written_in_two_ways_are_named(root: Path):
    dataset = read(root, "path,label,group\nzellen/a.png,seg,P1\nb.png,mono,p-01\n")
    assert dataset.account.groups == 2
    assert "groups 'P1', 'p-01' may be the same, written differently" in said(dataset)
    dataset = read(root, "path,label,group\nzellen/a.png,seg,P1\nb.png,mono,P10\n")
    assert "differently" not in said(dataset)


@pytest.mark.parametrize(
    "name", ["Patienten-ID", "Objektträger", "patientNr", "N° du sujet", "Muestra", "SlideName"]
)
def test_columns_of_groups_are_offered_in_other_languages(root: Path, name: str):
    dataset = read(root, f"path,label,{name},showcase\nzellen/a.png,seg,1,x\nb.png,mono,2,x\n")
    assert f"--group {name}" in said(dataset)
    assert "--group showcase" not in said(dataset)


@pytest.mark.parametrize("text", ["My cells,\n", "# exported\n"])
def test_a_first_line_that_is_not_the_header_is_refused(root: Path, text: str):
    with pytest.raises(DataError, match="its first line must name at least path, label"):
        read(root, text + ROWS)
