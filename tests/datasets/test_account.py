"""One account of what was found, used and left out, and layouts that are refused with the remedy."""

import os
import re
from pathlib import Path

import pytest
from PIL import Image

import cellda.datasets
from cellda.data.own_cells import image_files
from cellda.datasets import load
from cellda.datasets.reading.account import NO_GROUPS, Account, Tally
from cellda.datasets.reading.names import natural
from cellda.errors import CelldaError, ConfigurationError, DataError, UnknownNameError
from trees import FILES, TREES, picture


def reasons(account: Account) -> dict[str, int]:
    """Number of things left out, by the words before any explanation, and their kind."""
    return {f"{one.what.partition(',')[0]}|{one.kind}": one.count for one in account.left_out}


def test_whatever_is_left_out_of_a_folder_is_counted_with_its_reason(tmp_path: Path):
    for number in range(3):
        for name in ("seg", "mono", "blast", "platelet"):
            picture(tmp_path / name / f"{number}.png")
    for folder in ("seg/@eaDir", "$RECYCLE.BIN", "#recycle", ".Trash-1000", "lost+found"):
        picture(tmp_path / folder / "thumbnail.png")
    for name in ("Thumbs.db", "a.heic", "a.svs", "notes.txt", ".hidden.png"):
        (tmp_path / "seg" / name).write_text("x")
    (tmp_path / "seg" / "gone.png").symlink_to("nowhere.png")
    (tmp_path / "seg" / "self.png").symlink_to("self.png")
    picture(tmp_path / "loose.png")
    dataset = load("folder", tmp_path)
    account = dataset.account
    assert (account.used, account.found, len(dataset)) == (6, 12, 6)
    assert account.cells_left_out == {"blast": 3, "platelet": 3}
    assert reasons(account) == {
        "cell(s) of none of the classes|blast": 3,
        "cell(s) of none of the classes|platelet": 3,
        "folder(s) of thumbnails|": 5,
        "image(s) outside the layout|": 1,
        "file(s) of thumbnails or settings that systems keep|Thumbs.db": 1,
        "HEIC image(s)|.heic": 1,
        "whole slide(s) or file(s) of a microscope's own format: export the cells as PNG or TIFF|.svs": 1,
        "file(s) without the suffix of an image|.txt": 1,
        "hidden file(s)|": 1,
        "broken link(s)|": 2,
    }
    text = "\n".join(account.lines())
    assert "6 of 12 cells are used" in text
    assert "3 blast, 3 platelet (blast/0.png" in text
    assert "pillow-heif" in text


def test_nothing_is_said_when_nothing_is_left_out(tmp_path: Path):
    picture(tmp_path / "seg" / "p1" / "a.png")
    account = load("folder", tmp_path).account
    assert account.lines() == []
    assert account.groups == 1


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".jif", ".JFIF", ".dib", ".png", ".webp"])
def test_images_by_any_of_their_suffixes_are_cells(tmp_path: Path, suffix: str):
    picture(tmp_path / "seg" / "a.png")
    kind = {".dib": "BMP", ".png": "PNG", ".webp": "WEBP"}.get(suffix, "JPEG")
    Image.new("RGB", (9, 9), "red").save(tmp_path / "seg" / f"b{suffix}", kind)
    dataset = load("folder", tmp_path)
    assert list(dataset.table["path"]) == ["seg/a.png", f"seg/b{suffix}"]
    assert dataset.read([1], 4).shape == (1, 3, 4, 4)


def test_a_link_to_a_folder_above_is_not_followed(tmp_path: Path):
    picture(tmp_path / "own" / "seg" / "p1" / "a.png")
    picture(tmp_path / "own" / "mono" / "a.png")
    for number, above in enumerate(("..", ".", "../..")):
        (tmp_path / "own" / "seg" / f"up{number}").symlink_to(above)
    account = (dataset := load("folder", tmp_path / "own")).account
    assert list(dataset.table["path"]) == ["mono/a.png", "seg/p1/a.png"]
    assert reasons(account)["link(s) to a folder above|"] == 3


def test_a_link_to_a_folder_elsewhere_is_followed(tmp_path: Path):
    picture(tmp_path / "elsewhere" / "a.png")
    picture(tmp_path / "own" / "mono" / "a.png")
    (tmp_path / "own" / "seg").symlink_to(tmp_path / "elsewhere")
    assert list(load("folder", tmp_path / "own").table["path"]) == ["mono/a.png", "seg/a.png"]


def test_folders_in_folders_without_end_are_left_out(tmp_path: Path):
    picture(tmp_path / "seg" / "a.png")
    deep = tmp_path.joinpath("seg", *"d" * 60)
    picture(deep / "b.png")
    dataset = load("folder", tmp_path)
    assert len(dataset) == 1
    assert "nested more than 32 deep" in "\n".join(dataset.account.lines())


def test_a_folder_that_cannot_be_read_is_refused_with_its_name(tmp_path: Path, monkeypatch):
    picture(tmp_path / "seg" / "p1" / "a.png")
    scandir = os.scandir

    def refusing(folder):
        if str(folder).endswith("p1"):
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(
        DataError, match=r"seg/p1 cannot be read \(Permission denied\); give yourself permission"
    ):
        load("folder", tmp_path)


# --- layouts


def test_folders_of_patients_above_the_classes_are_the_groups(tmp_path: Path):
    for patient in ("P1", "P2", "P10"):
        picture(tmp_path / patient / "seg" / "day 1" / "a.png")
        picture(tmp_path / patient / "Monocytes" / "b.png")
    picture(tmp_path / "P1" / "loose.png")
    dataset = load("folder", tmp_path)
    assert list(dataset.table["group"]) == ["P1", "P1", "P2", "P2", "P10", "P10"]
    assert dataset.class_counts() == {"monocyte": 3, "neutrophil": 3}
    assert dataset.account.groups == 3
    text = "\n".join(dataset.account.lines())
    assert "taken for patients (P1, P2, P10" in text
    assert "loose.png" in text


@pytest.mark.parametrize(
    "parts",
    [
        ("train", "val", "test"),
        ("Training", "Testing"),
        ("fold_1", "fold_2"),
        ("data",),
        ("set_train", "set_val"),
        ("training_set", "test_set"),
        ("train_data", "data_a"),
        ("myTrain", "myTST"),
        ("HeldOut", "rest"),
        ("part 1 hold-out", "part 2"),
    ],
)
def test_classes_below_parts_of_a_dataset_are_refused_with_the_folder_to_write(tmp_path: Path, parts):
    for part in parts:
        picture(tmp_path / part / "seg" / "a.png")
        picture(tmp_path / part / "mono" / "b.png")
    with pytest.raises(DataError, match=r"classes lie one level down: write folder=") as caught:
        load("folder", tmp_path)
    assert f"folder={tmp_path / parts[0]}" in str(caught.value)


def test_parts_for_training_inside_class_folders_are_not_groups(tmp_path: Path):
    for part in ("train", "Test_set", "val"):
        picture(tmp_path / "seg" / part / f"{part}.png")
        picture(tmp_path / "mono" / part / "P1" / f"{part}.png")
        picture(tmp_path / "mono" / "P2" / part / f"{part}.png")
    picture(tmp_path / "seg" / "plain.png")
    picture(tmp_path / "seg" / "strain 7" / "a.png")
    dataset = load("folder", tmp_path)
    groups = dict(zip(dataset.table["path"], dataset.table["group"], strict=True))
    assert {path: group for path, group in groups.items() if group is None} == {
        f"seg/{name}": None
        for name in ("plain.png", "train/train.png", "Test_set/Test_set.png", "val/val.png")
    }
    assert {group for path, group in groups.items() if path.startswith("mono")} == {"P1", "P2"}
    assert groups["seg/strain 7/a.png"] == "strain 7"
    assert "divide a dataset for training and testing are not taken for groups" in " ".join(
        dataset.account.lines()
    )
    (tmp_path / "whole").mkdir()
    for patient in ("P1", "P2"):
        picture(tmp_path / "whole" / patient / "seg" / "train" / "a.png")
    assert list(load("folder", tmp_path / "whole").table["group"]) == ["P1", "P2"]


@pytest.mark.parametrize(
    "masks", ["masks", "Mask", "cell_masks", "ground truth", "GT", "annotations", "overlay"]
)
def test_masks_in_folders_of_their_own_are_not_cells(tmp_path: Path, masks: str):
    for name in ("seg", "mono"):
        picture(tmp_path / name / "a.png")
        picture(tmp_path / name / masks / "a.png")
        picture(tmp_path / name / "P1" / masks / "b.png")
    picture(tmp_path / "seg" / "masked man" / "b.png")
    picture(tmp_path / "seg" / "~snapshot" / "c.png")
    dataset = load("folder", tmp_path)
    assert list(dataset.table["path"]) == ["mono/a.png", "seg/a.png", "seg/masked man/b.png"]
    assert reasons(dataset.account) == {
        "image(s) outside the layout|": 4,
        "folder(s) of thumbnails|": 1,
    }


def test_classes_two_levels_down_are_refused_with_the_folder_of_the_patients(tmp_path: Path):
    for part in ("train", "test"):
        for patient in ("P1", "P2"):
            picture(tmp_path / part / patient / "seg" / "a.png")
    with pytest.raises(DataError, match=r"classes lie two levels down: write folder=.*train"):
        load("folder", tmp_path)


def test_a_folder_around_a_published_layout_is_named(tmp_path: Path):
    picture(tmp_path / "unpacked" / "Train" / "Basophil" / "1_1.jpg")
    with pytest.raises(DataError, match=r"unpacked holds them: give this folder"):
        load("raabin", tmp_path)


@pytest.mark.parametrize("name", ["folder", "raabin", "jslh"])
def test_an_archive_is_to_be_unpacked(tmp_path: Path, name: str):
    (tmp_path / "cells.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match="is an archive: unpack it and give the folder"):
        load(name, tmp_path / "cells.zip")


def test_a_class_of_images_that_cannot_be_read_says_so(tmp_path: Path):
    picture(tmp_path / "mono" / "a.png")
    (tmp_path / "seg").mkdir()
    (tmp_path / "seg" / "a.heic").write_text("x")
    with pytest.raises(
        DataError, match=r"'seg' holds no image.*1 HEIC image, for which the package pillow-heif is needed"
    ):
        load("folder", tmp_path)


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("./own", "folder=./own"),
        ("~/own", "folder=~/own"),
        ("/data/own", "folder=/data/own"),
        ("./own.csv", "table=./own.csv"),
    ],
)
def test_a_path_as_the_name_of_a_dataset_is_answered_with_what_to_write(given: str, written: str):
    for refused in (lambda: load(given), lambda: cellda.Recipe.preset("laptop").run(given, progress=False)):
        with pytest.raises(UnknownNameError) as caught:
            refused()
        assert f"write {written}." in str(caught.value)


# --- published datasets, and groups


@pytest.mark.parametrize("name", TREES)
def test_every_file_of_a_published_layout_is_accounted_for(tmp_path: Path, name: str):
    counts = TREES[name](tmp_path)
    account = load(name, tmp_path / FILES.get(name, "")).account
    assert account.used == sum(counts.values())
    assert account.groups is None or account.groups <= account.used
    assert account.without_groups == (account.groups is None)


def test_annotations_and_masks_are_not_left_out(tmp_path: Path):
    for name in ("lisc", "tianjin"):
        TREES[name](tmp_path / name)
        assert {one.what for one in load(name, tmp_path / name).account.left_out} <= {
            "cell(s) of none of the classes"
        }


def test_the_other_dataset_of_a_download_is_not_left_out(tmp_path: Path):
    TREES["jiangxi_tecom"](tmp_path)
    TREES["cellavision_blog"](tmp_path)
    [left] = load("jiangxi_tecom", tmp_path).account.left_out
    assert left.names[0] == "Dataset 1/001.png"


def test_synthetic_cells_have_no_patients(tmp_path: Path):
    account = load("synthetic/1", per_class=2).account
    assert account == Account("synthetic/1", 12)


def test_cells_without_a_group_next_to_some_with_one_are_counted(tmp_path: Path):
    TREES["folder"](tmp_path)
    account = load("folder", tmp_path).account
    assert "2 of 4 cells have no group: each of them counts as its own" in account.notes
    assert NO_GROUPS not in account.notes


# --- images without labels


def test_what_is_left_out_of_images_without_labels_is_entered(tmp_path: Path):
    picture(tmp_path / "a.png")
    for number in range(5):
        (tmp_path / f"{number}.heic").write_text("x")
    tally = Tally()
    assert image_files(tmp_path, tally) == [tmp_path / "a.png"]
    assert reasons(tally.close("images", 1)) == {"HEIC image(s)|.heic": 5}
    (tmp_path / "a.png").unlink()
    with pytest.raises(DataError, match=r"holds no image; left out: 5 HEIC"):
        image_files(tmp_path)
    (tmp_path / "a.zip").write_text("x")
    with pytest.raises(DataError, match="is an archive: unpack it"):
        image_files(tmp_path / "a.zip")


# --- limits


def test_numbers_of_any_length_are_compared(tmp_path: Path):
    names = ["10", "9", "a2", "a10", "9" * 5000, "1" + "0" * 5000, "a", "a1b", "007", "7"]
    assert sorted(names, key=natural) == [
        "007", "7", "9", "10", "9" * 5000, "1" + "0" * 5000, "a", "a1b", "a2", "a10",
    ]  # fmt: skip


@pytest.mark.parametrize("number", [0, -1, 100_001, 10**5000], ids=["0", "-1", "100001", "10**5000"])
def test_synthetic_cells_are_limited(number: int):
    with pytest.raises(ConfigurationError, match="per_class from 1 to 100,000"):
        load("synthetic/0", per_class=number)


def test_a_message_lists_the_first_problems_and_counts_the_others():
    error = DataError("Bad rows.", [f"row {number}: {'x' * 5000}" for number in range(20_000)])
    assert len(error.problems) == 20_000
    assert "... and 19,900 more" in str(error)
    assert len(str(error)) < 100_000


def test_a_tally_takes_all_that_another_one_holds(tmp_path: Path):
    left, tally = Tally(), Tally()
    left.leave("hidden file(s)", "", [".a"])
    left.leave_unnamed("empty row(s)", 3)
    left.note("the table was read as cp1252")
    tally.leave_unnamed("empty row(s)", 1)
    tally.take(left, tmp_path)
    account = tally.close("all", 0)
    assert {one.what: (one.count, one.names) for one in account.left_out} == {
        "hidden file(s)": (1, (f"{tmp_path}/.a",)),
        "empty row(s)": (4, ()),
    }
    assert account.notes == (f"{tmp_path}: the table was read as cp1252",)


@pytest.mark.parametrize("name", ["cells.xls", "cells.ods", "cells.xlsm", "cells.TSV", "cells.txt"])
def test_the_path_of_any_table_is_answered_with_the_dataset_to_write(name: str):
    with pytest.raises(UnknownNameError, match=f"write table={name}"):
        load(name)


@pytest.mark.parametrize("name", ["own.zip", "./cells.tar.gz", "/data/x.7z"])
def test_an_archive_as_the_name_of_a_dataset_is_to_be_unpacked(name: str):
    with pytest.raises(UnknownNameError, match=r"is an archive.*unpack it, and write folder=<the folder>"):
        load(name)


@pytest.mark.parametrize("name", ["folder=own2", "folder=../own2", "raabin=/data/x"])
def test_a_source_with_a_place_is_answered_with_how_sources_are_given(name: str):
    base, _, place = name.partition("=")
    with pytest.raises(
        CelldaError, match=rf"write '{base}', make {re.escape(place)} the '{base}' in a data folder"
    ):
        cellda.Recipe(sources=[name])
