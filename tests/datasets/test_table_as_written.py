"""Tables as people write them: titles, corners, decimal commas, groups of one cell; what is refused says what to do."""

from pathlib import Path

import openpyxl
import pytest

from cellda.datasets import load
from cellda.errors import DataError
from trees import picture

CELLS = [f"c{number}.png" for number in range(30)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in CELLS:
        picture(tmp_path / name)
    return tmp_path


def table(header: str, row, count: int = len(CELLS)) -> str:
    return "\n".join([header, *(row(number, CELLS[number % 30]) for number in range(count))]) + "\n"


def read(root: Path, content: bytes | str, name: str = "cells.csv", **options):
    (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return load("table", root / name, **options)


def refused(root: Path, content: bytes | str, name: str = "cells.csv", **options) -> DataError:
    with pytest.raises(DataError) as caught:
        read(root, content, name, **options)
    return caught.value


def said(dataset) -> str:
    return "\n".join(dataset.account.lines())


# --- groups


def test_groups_of_one_cell_each_are_said_and_a_coarser_column_is_offered(root: Path):
    text = table("path,label,group,patient_id", lambda number, path: f"{path},seg,{number},{number % 5}")
    dataset = read(root, text)
    assert "every cell is its own group" in said(dataset)
    assert "--group patient_id" in said(dataset)
    taken = read(root, text, group="patient_id")
    assert taken.account.groups == 5
    assert "every cell" not in said(taken)
    assert "--group" not in said(taken)


@pytest.mark.parametrize("column", ["label", "Path", "path "])
def test_a_column_that_cannot_hold_groups_is_refused(root: Path, column: str):
    error = refused(root, table("path,label,patient", lambda number, path: f"{path},seg,1"), group=column)
    assert "does not say which cells belong together; give the one of the patient, slide or smear" in str(
        error
    )


@pytest.mark.parametrize(
    "name", ["groups", "wsi", "barcode", "accession", "scan", "study_id", "visit", "source_image", "image_id", "Image ID"]
)  # fmt: skip
def test_further_columns_of_groups_are_offered(root: Path, name: str):
    text = table(f"path,label,{name},image_width,source", lambda number, path: f"{path},seg,{number % 5},9,x")
    assert f"the column {name} may say which cells belong together" in said(read(root, text))


# --- boxes


@pytest.mark.parametrize("corners", ["xmin;ymin;xmax;ymax", "X1;Y1;X2;Y2", "left;top;right;bottom"])
def test_boxes_by_their_corners_are_refused_with_what_to_write(root: Path, corners: str):
    left, _, right, _ = corners.lower().split(";")
    text = table(f"path;label;{corners}", lambda number, path: f"{path};seg;1;1;5;5")
    assert f"give x, y, w, h instead: x = {left}, y = " in str(refused(root, text))
    assert f"w = {right} - {left}" in str(refused(root, text))


def test_decimal_commas_are_read_and_said(root: Path):
    dataset = read(root, table("path;label;x;y;w;h", lambda number, path: f"{path};seg;1,0;2,4;5,00;5"))
    assert set(dataset.table["box"]) == {(1, 2, 5, 5)}
    assert "commas in the numbers of 30 boxes" in said(dataset)


def test_a_comma_that_may_stand_for_thousands_is_refused(root: Path):
    error = refused(root, table("path;label;x;y;w;h", lambda number, path: f"{path};seg;1,000;2;5;5"))
    assert "1,000, with a comma for decimals or for thousands: write a point, or none" in str(error)


# --- messages


def test_the_same_problem_in_many_rows_is_one_line(root: Path):
    error = refused(root, table("path,label", lambda number, path: ",seg"))
    assert list(error.problems) == ["lines 2-31: the path is empty"]
    error = refused(root, table("path,label,x,y,w,h", lambda number, path: f"{path},seg,{number % 2},1,0,5"))
    assert [line.partition(":")[0] for line in error.problems] == [
        "lines " + ", ".join(map(str, range(start, start + 30, 2))) for start in (2, 3)
    ]


def test_rows_without_a_label_wait_for_one(root: Path):
    waiting = table(
        "path,label,order", lambda number, path: f"{path},{'seg' if number < 20 else ''},{number}"
    )
    dataset = read(root, waiting)
    named = [line.partition(",")[0] for line in waiting.splitlines()[1:]]
    assert list(dataset.table["path"]) == [path for number, path in enumerate(named) if number < 20]
    [left] = [one for one in dataset.account.left_out if one.what == "row(s) not labelled yet"]
    assert left.names == tuple(named[20:])
    assert not [one for one in dataset.account.left_out if "does not name" in one.what]


def test_a_table_in_which_nothing_is_labelled_says_what_to_do(root: Path):
    error = refused(root, table("path,label", lambda number, path: f"{path},"))
    assert list(error.problems) == [
        "30 rows are not labelled yet, and no other is there: fill in the column 'label'"
    ]


def test_columns_that_are_not_used_are_listed_by_name_alone(root: Path):
    dataset = read(root, table("path,label,a,b,c", lambda number, path: f"{path},seg,1,1,1"))
    assert "left out: 3 unused columns: a, b, c\n" in said(dataset) + "\n"


@pytest.mark.parametrize("word", ["?", "k.A.", "k. A.", "n.a."])
def test_further_words_for_nothing(root: Path, word: str):
    text = table("path,label,group", lambda number, path: f"{path},seg,{word if number == 3 else number % 5}")
    dataset = read(root, text)
    assert dataset.account.groups == 5
    assert f"'{word}' was read as an empty entry of column 'group' in 1 row" in said(dataset)


# --- headers and kinds of files


def test_empty_lines_above_the_header_are_skipped(root: Path):
    rows = table("path;label", lambda number, path: f"{path};seg")
    assert len(read(root, "\n;;\n" + rows)) == 30
    (root / "bad.csv").write_text("\n\npath,label\nx.png,seg\nc0.png,seg\n")
    with pytest.raises(DataError, match=r"line 4: the image x\.png does not exist"):
        load("table", root / "bad.csv")


def workbook(root: Path, above: list[tuple[str, ...]], sheets: tuple[str, ...] = ()) -> Path:
    book = openpyxl.Workbook()
    book.active.title = "cells"
    for row in [*above, ("path", "label"), *((name, "seg") for name in CELLS)]:
        book.active.append(row)
    for place, name in enumerate(sheets):
        book.create_sheet(name, place).append(("How to use this",) if name == "README" else ())
    book.active = 0
    book.save(root / "cells.xlsx")
    return root / "cells.xlsx"


def test_a_title_above_the_header_is_refused_and_empty_rows_are_not(root: Path):
    with pytest.raises(DataError, match="If that is a title, remove what stands above the header"):
        load("table", workbook(root, [("Lab 3",)]))
    assert len(load("table", workbook(root, [(), ()]))) == 30


@pytest.mark.parametrize("first", ["README", "empty"])
def test_a_first_sheet_without_cells_is_refused_with_the_names_of_the_others(root: Path, first: str):
    with pytest.raises(DataError, match=rf"The sheet '{first}' was read.*\(cells\), move that to the front"):
        load("table", workbook(root, [], (first,)))


def test_what_only_has_the_name_of_a_text_or_a_workbook_says_what_it_is(root: Path):
    content = workbook(root, []).read_bytes()
    assert "it is an Excel workbook or another packed file: end its name in .xlsx" in str(
        refused(root, content)
    )
    assert "it is a workbook of an old Excel" in str(refused(root, b"\xd0\xcf\x11\xe0" + b"0" * 600))
    rows = table("path,label", lambda number, path: f"{path},seg")
    assert "end a CSV file in .csv" in str(refused(root, rows, "rows.xlsx"))


def test_very_many_columns_and_very_long_entries_have_sentences_of_their_own(root: Path):
    names = ",".join(f"feature{number}" for number in range(50_000))
    assert "has 50,002 columns; at most 1,000" in str(refused(root, f"path,label,{names}\n"))
    assert "an entry of more than 131,072 characters" in str(refused(root, "path,label\n" + "x" * 200_000))


# --- predictions that somebody has corrected


PREDICTED = "path,group,predicted,confidence,set,flag,p_lymphocyte,p_neutrophil,reason"


def test_corrected_predictions_are_labels_and_the_others_wait(root: Path):
    rows = [
        "c0.png,a,lymphocyte,0.9,lymphocyte,,0.9000,0.1000,",  # as the model said
        "c1.png,a,neutrophil,0.9,lymphocyte,,0.9000,0.1000,",  # corrected
        "c2.png,b,monocyte,0.6,neutrophil,,0.4000,0.6000,",  # corrected to a class of which nothing was predicted
        "c3.png,b,,,,no_nucleus,0.4000,0.6000,",  # no class
        "c4.png,b,neutrophil,0.5,neutrophil,,0.5000,0.5000,",  # a tie by rounding
        "c5.png,b,,,,,,,cannot be read",
    ]
    dataset = read(root, "\n".join([PREDICTED, *rows]))
    assert dict(zip(dataset.table["path"], dataset.table["label"], strict=True)) == {
        "c1.png": "neutrophil",
        "c2.png": "monocyte",
    }
    assert list(dataset.table["group"]) == ["a", "b"]
    assert "and the classes that somebody has changed" in said(dataset)
    assert "4 rows not labelled yet" in said(dataset)


def test_a_column_of_labels_comes_before_what_was_changed(root: Path):
    rows = ["c0.png,neutrophil,monocyte,0.9,0.1", "c1.png,,neutrophil,0.9,0.1", "c2.png,,lymphocyte,0.9,0.1"]
    dataset = read(root, "\n".join(["path,label,predicted,p_lymphocyte,p_neutrophil", *rows]))
    assert list(dataset.table["label"]) == ["neutrophil", "neutrophil"]


def test_predictions_that_nobody_corrected_are_no_labels(root: Path):
    problem = refused(root, f"{PREDICTED}\nc0.png,a,lymphocyte,0.9,lymphocyte,,0.9000,0.1000,\n")
    assert "not labelled yet" in str(problem)
