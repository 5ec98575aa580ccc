"""The report on a dataset before it is used, and the layout's file listings."""

import io

from PIL import Image
from rich.console import Console

import said
from cellda.data.check import check
from cellda.datasets import load


def picture(file, colour="pink"):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 10), colour).save(file)


def printed(report):
    console = Console(file=io.StringIO(), width=100)
    console.print(report)
    return console.file.getvalue()


def messy(root):
    picture(root / "seg" / "p1" / "a.png", "red")
    picture(root / "seg" / "p2" / "b.png", "red")
    picture(root / "seg" / "c.png", "blue")
    picture(root / "platelet" / "d.png")
    picture(root / "seg" / ".hidden.png")
    (root / "seg" / "empty.png").write_bytes(b"")
    (root / "seg" / "notes.txt").write_text("x")
    (root / ".cache").mkdir()


def test_a_report_holds_all_findings(tmp_path):
    messy(tmp_path)
    report = check("folder", tmp_path)
    assert report.counts == {"neutrophil": 4}
    assert report.account.cells_left_out == {"platelet": 1}
    assert report.unreadable == {"seg/empty.png": "the file is empty"}
    assert report.identical == (("seg/p1/a.png", "seg/p2/b.png"),)
    assert report.account.groups == 2
    assert {(one.what, one.kind, one.names) for one in report.account.left_out} == {
        ("cell(s) of none of the classes", "platelet", ("platelet/d.png",)),
        ("hidden folder(s)", "", (".cache",)),
        ("hidden file(s)", "", ("seg/.hidden.png",)),
        ("file(s) without the suffix of an image", ".txt", ("seg/notes.txt",)),
    }
    assert not report.ok
    text = printed(report)
    for finding in (
        "neutrophil",
        "4",
        "1 platelet",
        "seg/empty.png: the file is empty",
        "seg/notes.txt",
        "not usable",
    ):
        assert finding in text


def test_a_sound_dataset_is_ready(tmp_path):
    picture(tmp_path / "seg" / "a.png")
    report = check(load("folder", tmp_path))
    assert report.ok
    assert report.account.groups is None
    assert "no groups" in printed(report)
    assert "ready to use" in printed(report)


def test_what_cannot_be_loaded_is_reported_with_all_its_problems(tmp_path):
    picture(tmp_path / "[neutrofil]" / "a.png")
    picture(tmp_path / "zzz" / "a.png")
    report = check("folder", tmp_path)
    assert not report.ok
    assert report.counts == {}
    assert len(report.problems) == 3
    assert "'[neutrofil]' is not a known cell type" in printed(report)


def test_counts_stand_beside_those_of_the_paper(tmp_path):
    for number in (1, 8):
        picture(tmp_path / str(number) / "1.jpg")
    report = check("jin_woo_choi", tmp_path)
    assert report.published == {"erythroblast": 150, "neutrophil": 100}
    assert "Table 2" in printed(report)
    assert "150" in printed(report)


def test_many_files_of_one_kind_are_one_line_and_all_can_be_listed(tmp_path):
    picture(tmp_path / "seg" / "a.png")
    for number in range(30):
        (tmp_path / "seg" / f"{number}.xml").write_text("")
    report = check("folder", tmp_path)
    assert "30 files without the suffix of an image: 30 .xml" in said.text(printed(report))
    assert "29.xml" not in printed(report)
    every = printed(report.full())
    assert [number for number in range(30) if f"seg/{number}.xml" not in every] == []


def test_many_unreadable_files_can_all_be_listed(tmp_path):
    for number in range(30):
        picture(tmp_path / "seg" / f"{number}.png")
        (tmp_path / "seg" / f"{number}.png").write_bytes(b"")
    report = check("folder", tmp_path)
    assert "... and 10 more; --all lists them" in printed(report)
    every = printed(report.full())
    assert [number for number in range(30) if f"seg/{number}.png" not in every] == []


def test_files_of_neighbours_are_not_listed(tmp_path):
    for name in ("mine", "theirs"):
        picture(tmp_path / "images" / f"{name}.png")
        (tmp_path / f"{name}.csv").write_text(f"path,label\nimages/{name}.png,seg\n")
    picture(tmp_path / "their_folder" / "x.png")
    report = check("table", tmp_path / "mine.csv")
    assert "their" not in printed(report.full())
    assert "1 image in the folders of its cells" in said.text(printed(report))


def test_unreadable_boxes_are_told_apart(tmp_path):
    picture(tmp_path / "a.png")
    (tmp_path / "cells.csv").write_text("path,label,x,y,w,h\na.png,seg,0,0,5,5\na.png,seg,5,5,5,5\n")
    dataset = load("table", tmp_path / "cells.csv")
    (tmp_path / "a.png").write_bytes(b"")
    assert set(check(dataset).unreadable) == {"a.png (0, 0, 5, 5)", "a.png (5, 5, 5, 5)"}


def test_drawn_datasets_have_nothing_to_read():
    report = check("synthetic/1", per_class=2)
    assert report.ok
    assert report.root is None
    assert set(report.counts.values()) == {2}


def test_images_under_two_classes_are_listed_once(tmp_path):
    for place in ("seg/a.png", "mono/a.png", "mono/c.png"):
        picture(tmp_path / place, "red")
    for place in ("seg/d.png", "seg/e.png"):
        picture(tmp_path / place, "blue")
    text = printed(check("folder", tmp_path))
    assert text.count("mono/a.png") == 1
    assert "kept in one group (1):\n  seg/d.png = seg/e.png" in text
