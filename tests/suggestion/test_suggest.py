"""The call and the list: which images are never suggested, what is written, and that adapting reads it back."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cellda
import cellda.datasets
from cellda import CellClassifier
from cellda.errors import ConfigurationError, DataError
from cellda.models.inputs import Picture
from cellda.models.results import results
from cellda.suggestion.to_label import check_list
from cellda.taxonomies import create
from stained import SIDE, stained_cells
from tiny import small_model


@pytest.fixture(scope="module")
def model() -> CellClassifier:
    return small_model()


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    """Eighteen stained cells, one white image, and a copy of the first."""
    folder = tmp_path_factory.mktemp("cells")
    stained_cells(folder, 18)
    Image.new("RGB", (SIDE, SIDE), "white").save(folder / "white.png")
    (folder / "zcopy.png").write_bytes((folder / "000.png").read_bytes())
    (folder / "zz.png").write_text("not an image")
    return folder


def chosen(folder: Path, model: CellClassifier, n: int = 5, **options):
    return cellda.suggest(folder, n, model, progress=False, **options)


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def filled(file: Path, labels: list[str]) -> Path:
    """The list as a person fills it in, from the top."""
    found = rows(file)
    waiting = [row for row in found if not row["label"]]
    for row, label in zip(waiting, labels, strict=False):
        row["label"] = label
    with file.open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, found[0])
        table.writeheader()
        table.writerows(found)
    return file


def left_out(found) -> dict[str, int]:
    return {one.what: one.count for one in found.account.left_out}


def test_what_shows_no_cell_or_is_there_twice_is_never_suggested(drawn: Path, model: CellClassifier):
    found = chosen(drawn, model, 18)
    assert sorted(path.name for path in found.paths) == [f"{number:03d}.png" for number in range(18)]
    assert left_out(found) == {
        "(copy|copies) of other images": 1,
        "image(s) without one single cell, never suggested": 1,
        "image(s) that cannot be read": 1,
    }
    with pytest.raises(ConfigurationError, match=r"19 images cannot be suggested: .* there are only 18"):
        chosen(drawn, model, 19)
    with pytest.raises(ConfigurationError, match="At least 1"):
        chosen(drawn, model, 0)


def test_the_same_call_suggests_the_same_and_another_seed_draws_others(drawn: Path, model: CellClassifier):
    one, same, other = (chosen(drawn, model, suggester="random", seed=seed).paths for seed in (0, 0, 1))
    assert one == same != other


def test_the_list_is_read_once_labels_are_written_into_it(drawn: Path, model: CellClassifier, tmp_path: Path):
    found = chosen(drawn, model, 6)
    file = found.write(tmp_path / "to_label.csv")
    listed = rows(file)
    assert list(listed[0]) == ["path", "label", "order"]
    assert [row["order"] for row in listed] == list("123456")
    assert [row["path"] for row in listed] == [str(path) for path in found.paths]
    assert not any(row["label"] for row in listed)
    with pytest.raises(DataError, match="6 rows are not labelled yet"):
        cellda.datasets.load("table", file)
    labels = ["neutrophil", "MON", "other", "lymphocyte"]
    read = cellda.datasets.load("table", filled(file, labels))
    assert list(read.table["label"]) == ["neutrophil", "monocyte", "lymphocyte"]
    assert [Path(path).name for path in read.dropped["path"]] == [found.paths[2].name]
    assert "2 rows not labelled yet" in "\n".join(read.account.lines())


def test_guesses_are_written_only_when_asked_for(drawn: Path, model: CellClassifier, tmp_path: Path):
    found = chosen(drawn, model, 3)
    listed = rows(found.write(tmp_path / "guessed.csv", guess=True))
    assert [row["guess"] for row in listed] == list(found.guesses)
    assert set(found.guesses) <= set(model.classes)


def test_the_next_list_holds_what_is_labelled_and_suggests_other_cells(
    drawn: Path, model: CellClassifier, tmp_path: Path
):
    first = chosen(drawn, model, 6)
    file = filled(first.write(tmp_path / "one.csv"), ["neutrophil", "monocyte", "other"])
    second = chosen(drawn, model, 6, labelled=f"table={file}")
    named = {path.name for path in first.paths[:3]}
    assert not named & {path.name for path in second.paths}
    assert left_out(second)["image(s) labelled already"] >= 3
    assert second.account.used == 15  # the three that were suggested and not labelled may be suggested again
    listed = rows(second.write(tmp_path / "two.csv"))
    assert sorted(row["label"] for row in listed) == [
        "",
        "",
        "",
        "",
        "",
        "",
        "monocyte",
        "neutrophil",
        "other",
    ]
    assert [row["order"] for row in listed if row["order"]] == list("123456")
    read = cellda.datasets.load("table", filled(tmp_path / "two.csv", ["seg"] * 6))
    assert len(read) == 8


def test_boxes_and_groups_of_labelled_cells_stay_in_the_list(
    drawn: Path, model: CellClassifier, tmp_path: Path
):
    (tmp_path / "known.csv").write_text(f"path,label,group,x,y,w,h\n{drawn / '001.png'},seg,p1,2,3,40,41\n")
    found = chosen(drawn, model, 2, labelled=f"table={tmp_path / 'known.csv'}")
    listed = rows(found.write(tmp_path / "next.csv"))
    assert list(listed[0]) == ["path", "label", "group", "x", "y", "w", "h", "order"]
    assert list(listed[0].values()) == [str(drawn / "001.png"), "seg", "p1", "2", "3", "40", "41", ""]
    read = cellda.datasets.load("table", filled(tmp_path / "next.csv", ["mono", "mono"]))
    assert list(read.table["box"]) == [(2, 3, 40, 41), None, None]


def test_classes_that_the_model_does_not_know_are_known_from_labels(
    drawn: Path, model: CellClassifier, tmp_path: Path
):
    (tmp_path / "own.csv").write_text(
        "path,label\n"
        + "".join(
            f"{drawn / f'{number:03d}.png'},{'smudge' if number % 2 else 'seg'}\n" for number in range(8)
        )
    )
    known = cellda.datasets.load("table", tmp_path / "own.csv", taxonomy=create("own"))
    found = chosen(drawn, model, 4, suggester="entropy", labelled=known)
    assert set(found.classes) > set(model.classes)
    assert len(found.paths) == 4


def test_paths_below_the_list_are_relative_and_no_formulas(
    model: CellClassifier, tmp_path: Path, drawn: Path
):
    (tmp_path / "cells").mkdir()
    for name, new in (("000.png", "=1+1.png"), ("001.png", "cells/a.png"), ("002.png", " b.png ")):
        (tmp_path / new).write_bytes((drawn / name).read_bytes())
    if os.sep == "/":
        (tmp_path / "c\\d.png").write_bytes((drawn / "003.png").read_bytes())
        (tmp_path / "e\nf.png").write_bytes((drawn / "004.png").read_bytes())
    found = chosen(tmp_path, model, 2)
    file = found.write(tmp_path / "to_label.csv")
    assert {row["path"] for row in rows(file)} == {"./=1+1.png", "cells/a.png"}
    assert left_out(found)["image(s) whose path a table cannot hold: rename them"] >= 1
    read = cellda.datasets.load("table", filled(file, ["seg", "seg"]))
    assert set(read.table["path"]) == {"=1+1.png", "cells/a.png"}


def test_copies_are_numbered_in_order(drawn: Path, model: CellClassifier, tmp_path: Path):
    found = chosen(drawn, model, 11)
    found.copy(tmp_path / "new" / "copies")
    copies = sorted((tmp_path / "new" / "copies").iterdir())
    assert [copy.name for copy in copies] == [f"{n:02d}_{path.name}" for n, path in enumerate(found.paths, 1)]
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(copies, found.paths, strict=True))
    with pytest.raises(ConfigurationError, match="is not empty; give a new one"):
        found.copy(tmp_path / "new" / "copies")


def test_a_file_with_labels_or_of_somebody_else_is_never_replaced(
    drawn: Path, model: CellClassifier, tmp_path: Path
):
    found = chosen(drawn, model, 3)
    file = found.write(tmp_path / "to_label.csv")
    found.write(file)  # without labels, it may be
    before = filled(file, ["seg"]).read_bytes()
    with pytest.raises(ConfigurationError, match=r"holds 1 label and is not replaced.*--labelled table="):
        found.write(file)
    assert file.read_bytes() == before
    (tmp_path / "notes.csv").write_text("path,label,remark\na.png,,mine\n")
    (tmp_path / "text.csv").write_text("my notes")
    for name in ("notes.csv", "text.csv"):
        with pytest.raises(ConfigurationError, match="is not a list of cells to label"):
            check_list(tmp_path / name)
    with pytest.raises(ConfigurationError, match=r"end .* in \.csv"):
        check_list(tmp_path / "to_label.xlsx")


def test_labelled_cells_that_are_no_files_are_refused(drawn: Path, model: CellClassifier):
    known = cellda.datasets.load("synthetic/0", per_class=2)
    with pytest.raises(DataError, match="are not image files"):
        chosen(drawn, model, 2, labelled=known)


def test_labels_tell_the_suggester_what_is_known(drawn: Path, model: CellClassifier, tmp_path: Path):
    """A core set begins far from what is labelled: the call hands on embeddings and rows."""
    file = tmp_path / "known.csv"
    file.write_text(f"path,label\n{drawn / '005.png'},seg\n")
    found = chosen(drawn, model, 1, suggester="coreset", labelled=f"table={file}")
    paths = [drawn / f"{number:03d}.png" for number in range(18)]
    [block] = results(model.network(), [Picture(str(path), path) for path in paths])
    embeddings = np.stack([one.embedding.numpy() for one in block]).astype(np.float64)
    units = embeddings - embeddings.mean(0)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    assert found.paths[0] == paths[int(np.linalg.norm(units - units[5], axis=1).argmax())]
