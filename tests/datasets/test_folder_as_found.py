"""Folders of cells as they are found on disks: classes in classes, classes far down, thumbnails, masks, backups, copies."""

import re
from pathlib import Path

import pytest

from cellda.datasets import load
from cellda.errors import DataError
from trees import picture


def said(dataset) -> str:
    return "\n".join(dataset.account.lines())


@pytest.mark.parametrize(
    ("nested", "of"), [("Basophil/Neutrophil", "neutrophil"), ("Basophil/P1/blasts", "left out")]
)
def test_a_class_folder_inside_another_one_is_refused(tmp_path: Path, nested: str, of: str):
    picture(tmp_path / "Basophil" / "a.png")
    picture(tmp_path / "Monocyte" / "b.png")
    picture(tmp_path / nested / "odd.png")
    with pytest.raises(DataError) as caught:
        load("folder", tmp_path)
    [problem] = caught.value.problems
    assert (
        f"'Basophil' holds a folder '{nested.rpartition('/')[2]}' of other cells ({of}, not basophil)"
        in problem
    )


def test_finer_stages_and_containers_in_class_folders_are_not_groups(tmp_path: Path):
    for name in ("band", "Segmented", "P1", "images/P2"):
        picture(tmp_path / "Neutrophil" / name / f"{name[:2]}.png")
    picture(tmp_path / "Monocyte" / "images" / "c.png")
    picture(tmp_path / "other" / "Neutrophil" / "c.png")
    dataset = load("folder", tmp_path)
    groups = dict(zip(dataset.table["path"], dataset.table["group"], strict=True))
    assert {path for path, group in groups.items() if group} == {
        "Neutrophil/P1/P1.png",
        "Neutrophil/images/P2/im.png",
    }
    assert "that are not taken for groups: " in said(dataset)


def test_images_in_a_folder_of_their_own_in_each_class_have_no_groups(tmp_path: Path):
    for name in ("Neutrophil", "Monocyte"):
        picture(tmp_path / name / "images" / "c.png")
    dataset = load("folder", tmp_path)
    assert dataset.account.groups is None
    assert "no groups" in said(dataset)
    for name in ("Neutrophil", "Monocyte"):
        (tmp_path / name / "images").rename(tmp_path / name / "P1")
    assert "all cells are of one group, 'P1': a run" in said(load("folder", tmp_path))


@pytest.mark.parametrize("above", [("Tr", "Te"), ("set1", "set2"), ("40x", "100x")])
def test_folders_above_the_classes_are_doubted(tmp_path: Path, above: tuple[str, ...]):
    for name in above:
        picture(tmp_path / name / "seg" / "a.png")
        picture(tmp_path / name / "mono" / "b.png")
    assert "taken for patients" in said(load("folder", tmp_path))
    assert f"if they are not, give one of them alone (folder={tmp_path}" in said(load("folder", tmp_path))


@pytest.mark.parametrize(
    "path",
    ["a/b/c", "data/train", "x/y/train", "x/y/{P1,P2}", "{train,test}/{P1,P2}", "{P1,P2}/{train,test}", "w/v/u/{train,val}"],
)  # fmt: skip
def test_the_folder_to_write_is_named_and_can_be_read(tmp_path: Path, path: str):
    places = [""]
    for part in path.split("/"):
        places = [f"{place}/{name}" for place in places for name in part.strip("{}").split(",")]
    for place in places:
        picture(tmp_path / place.strip("/") / "seg" / "a.png")
        picture(tmp_path / place.strip("/") / "mono" / "b.png")
    with pytest.raises(
        DataError, match=r"holds no class folders; the classes lie \w+ levels? down"
    ) as caught:
        load("folder", tmp_path)
    assert not caught.value.problems
    written = re.findall(r"folder=(\S+?)\.?(?: or |$)", str(caught.value))
    assert written
    for place in written:
        assert len(load("folder", place)) >= 2


@pytest.mark.parametrize(
    "name", ["Thumbs", "thumbnails", "_thumbs", "~snapshot", "backup", "Backups", "bak", "thumbnail"]
)
def test_folders_of_thumbnails_and_backups_are_left_out_and_counted(tmp_path: Path, name: str):
    for label in ("seg", "mono"):
        picture(tmp_path / label / "a.png")
        picture(tmp_path / label / name / "a.png")
    picture(tmp_path / name / "seg" / "b.png")
    dataset = load("folder", tmp_path)
    assert list(dataset.table["path"]) == ["mono/a.png", "seg/a.png"]
    assert "3 folders of thumbnails, backups or deleted files" in said(dataset)


def test_masks_and_thumbnails_next_to_their_images_are_left_out_and_counted(tmp_path: Path):
    for name in ("c0", "c0_mask", "c0-thumb", "c0_seg", "c0.label", "c1_mask", "lone seg"):
        picture(tmp_path / "mono" / f"{name}.png")
        picture(tmp_path / "seg" / "P1" / f"{name}.bmp")
    picture(tmp_path / "seg" / "P2" / "c0_mask.png")
    dataset = load("folder", tmp_path)
    assert sorted(dataset.table["path"]) == [
        "mono/c0.png", "mono/c1_mask.png", "mono/lone seg.png", "seg/P1/c0.bmp", "seg/P1/c1_mask.bmp", "seg/P1/lone seg.bmp",
        "seg/P2/c0_mask.png",
    ]  # fmt: skip
    assert "left out: 8 masks, drawings or thumbnails next to their images" in said(dataset)
    assert "outside the layout" not in said(dataset)


def test_copies_by_name_are_said(tmp_path: Path):
    for name in ("c0", "c0 - Copy", "c0 (1)", "c0_kopie", "c1 (2)", "c2"):
        picture(tmp_path / "mono" / f"{name}.png")
    dataset = load("folder", tmp_path)
    assert len(dataset) == 6
    assert "3 images may be copies of others by name" in said(dataset)
