"""Cells that are cut out of smear fields: LISC by its masks, Tianjin by its boxes."""

import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cellda.datasets import load
from cellda.datasets.reading.window import window
from cellda.errors import DataError
from trees import lisc, mask, picture, tianjin, voc

FRAME = (720, 576)


# --- the window


@pytest.mark.parametrize(
    ("centre", "frame", "box"),
    [
        ((360, 288), FRAME, (235, 163, 250, 250)),
        ((0, 0), FRAME, (0, 0, 250, 250)),
        ((720, 576), FRAME, (470, 326, 250, 250)),
        ((360, 575.5), FRAME, (235, 326, 250, 250)),
        ((60, 40), (120, 400), (0, 0, 120, 250)),
        ((60, 40), (120, 100), (0, 0, 120, 100)),
    ],
)
def test_the_window_is_moved_into_the_frame(centre, frame, box):
    assert window(centre, frame) == box


@given(st.integers(1, 900), st.integers(1, 900), st.floats(0, 1), st.floats(0, 1))
def test_the_window_holds_its_cell_and_nothing_outside_the_frame(width, height, across, down):
    x, y, wide, high = window((across * width, down * height), (width, height))
    assert (wide, high) == (min(250, width), min(250, height))
    assert 0 <= x <= across * width <= x + wide <= width
    assert 0 <= y <= down * height <= y + high <= height


# --- LISC


def lisc_boxes(root):
    table = load("lisc", root).table
    return dict(zip(table["path"], table["box"], strict=True))


def test_lisc_is_cut_around_its_masks(tmp_path):
    lisc(tmp_path)
    top = tmp_path / "LISC Database"
    mask(top, "Baso", 1, (340, 258, 420, 338))
    mask(top, "mono", 2, (690, 500, 720, 576))
    boxes = lisc_boxes(tmp_path)
    assert boxes["Main Dataset/Baso/1.bmp"] == (255, 173, 250, 250)
    assert boxes["Main Dataset/mono/2.bmp"] == (470, 326, 250, 250)
    assert boxes["Main Dataset/eosi/1.bmp"] == (15, 0, 250, 250)


def test_lisc_shows_the_cell_of_the_mask(tmp_path):
    lisc(tmp_path)
    field = np.full((576, 720, 3), 255, np.uint8)
    field[200:300, 300:400] = (200, 0, 0)
    Image.fromarray(field).save(tmp_path / "LISC Database" / "Main Dataset" / "Baso" / "1.bmp")
    mask(tmp_path / "LISC Database", "Baso", 1, (300, 200, 400, 300))
    dataset = load("lisc", tmp_path)
    cell = dataset.read([list(dataset.table["path"]).index("Main Dataset/Baso/1.bmp")], 250)[0]
    assert cell[:, 75:175, 75:175].float().mean((1, 2)).tolist() == [200, 0, 0]
    assert cell[:, :70].min() == cell[:, :, 180:].min() == 255


def test_specks_in_a_mask_do_not_move_the_window(tmp_path):
    lisc(tmp_path)
    before = lisc_boxes(tmp_path)
    file = (
        tmp_path / "LISC Database" / "Ground Truth Segmentation" / "neut" / "areaforexpert1" / "1_expert.bmp"
    )
    pixels = np.array(Image.open(file))
    pixels[2:5, 700:704] = 255
    Image.fromarray(pixels).save(file)
    assert lisc_boxes(tmp_path) == before


def test_fields_of_several_cell_types_are_left_out_and_need_no_mask(tmp_path):
    lisc(tmp_path)
    shutil.rmtree(tmp_path / "LISC Database" / "Ground Truth Segmentation" / "mixt")
    dataset = load("lisc", tmp_path)
    assert list(dataset.dropped["raw_label"]) == ["mixt", "mixt"]
    assert list(dataset.table["group"]) == list(dataset.table["path"])


def test_the_twins_of_lisc_are_one_group(tmp_path):
    lisc(tmp_path)
    folder = tmp_path / "LISC Database" / "Main Dataset" / "Baso"
    shutil.copy(folder / "2.bmp", folder / "50.bmp")
    mask(tmp_path / "LISC Database", "Baso", 50, (100, 60, 180, 160))
    dataset = load("lisc", tmp_path)
    assert dataset.identical_images() == [["Main Dataset/Baso/2.bmp", "Main Dataset/Baso/50.bmp"]]
    assert len(set(dataset.effective_groups())) == len(dataset) - 1


def test_masks_that_mark_no_cell_are_all_listed(tmp_path):
    lisc(tmp_path)
    masks = tmp_path / "LISC Database" / "Ground Truth Segmentation"
    (masks / "Baso" / "areaforexpert1" / "1_expert.bmp").unlink()
    Image.new("L", FRAME).save(masks / "eosi" / "areaforexpert1" / "2_expert.bmp")
    mask(masks.parent, "lymp", 1, (1, 1, 9, 9), size=(72, 57))
    (masks / "neut" / "areaforexpert1" / "2_expert.bmp").write_bytes(b"BM")
    with pytest.raises(DataError, match="4 field") as caught:
        load("lisc", tmp_path)
    for problem, reason in zip(
        caught.value.problems, ("does not exist", "black", "72 x 57", "image"), strict=True
    ):
        assert reason in problem


# --- Tianjin


def cells(root):
    table = load("tianjin", root).table
    return sorted(zip(table["path"], table["label"], table["group"], table["box"], strict=True))


EXPECTED = [
    ("1.png", "basophil", "1.png", (0, 250, 250, 250)),
    ("1.png", "neutrophil", "1.png", (175, 125, 250, 250)),
    ("2.png", "monocyte", "2.png", (0, 0, 250, 250)),
]


def yolo(file, frame, *marks):
    """Write a YOLO annotation; marks are class code, xmin, ymin, xmax, ymax in pixels."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        f"{code} {(left + right) / 2 / frame[0]:.6f} {(top + bottom) / 2 / frame[1]:.6f} "
        f"{(right - left) / frame[0]:.6f} {(bottom - top) / frame[1]:.6f}"
        for code, left, top, right, bottom in marks
    ]
    file.write_text("\n".join(lines) + "\n")


def yolo_tree(images, labels, names):
    for number, frame in ((1, (600, 500)), (2, (300, 260))):
        picture(images / f"{number}.png", size=frame)
    yolo(labels / "1.txt", (600, 500), (2, 290, 240, 310, 260), (0, 20, 400, 120, 480))
    yolo(labels / "2.txt", (300, 260), (1, 10, 10, 100, 90))
    names.write_text("Basophil\nMonocyte\nNeutrophil\n")


def test_tianjin_is_cut_around_its_boxes(tmp_path):
    tianjin(tmp_path)
    assert cells(tmp_path) == EXPECTED


@pytest.mark.parametrize("names", ["classes.txt", "obj.names"])
def test_yolo_says_the_same_as_voc(tmp_path, names):
    yolo_tree(tmp_path, tmp_path, tmp_path / names)
    assert cells(tmp_path) == EXPECTED


def test_annotations_may_lie_in_a_folder_beside_the_images(tmp_path):
    yolo_tree(
        tmp_path / "yolo" / "images" / "train",
        tmp_path / "yolo" / "labels" / "train",
        tmp_path / "yolo" / "classes.txt",
    )
    tianjin(tmp_path / "voc" / "JPEGImages")
    for file in (tmp_path / "voc" / "JPEGImages").glob("*.xml"):
        voc_folder = tmp_path / "voc" / "Annotations"
        voc_folder.mkdir(exist_ok=True)
        file.rename(voc_folder / file.name)
    assert [cell[1:2] + cell[3:] for cell in cells(tmp_path / "voc")] == [c[1:2] + c[3:] for c in EXPECTED]
    assert [cell[1:2] + cell[3:] for cell in cells(tmp_path / "yolo")] == [c[1:2] + c[3:] for c in EXPECTED]


def test_cells_that_are_cropped_already_are_taken_as_they_are(tmp_path):
    for name in ("basophil", "Eosinophil", "lymphocyte"):
        picture(tmp_path / name / "1.png")
    dataset = load("tianjin", tmp_path)
    assert dataset.class_counts() == {"basophil": 1, "eosinophil": 1, "lymphocyte": 1}
    assert dataset.table["box"].isna().all()
    assert dataset.table["group"].isna().all()


def test_a_field_smaller_than_the_window_is_taken_whole(tmp_path):
    picture(tmp_path / "1.png", size=(200, 300))
    voc(tmp_path / "1.xml", ("monocyte", 20, 20, 100, 100))
    assert cells(tmp_path) == [("1.png", "monocyte", "1.png", (0, 0, 200, 250))]


def test_cells_whose_windows_fall_together_are_cut_to_their_boxes(tmp_path):
    picture(tmp_path / "1.png", size=(600, 500))
    voc(
        tmp_path / "1.xml",
        ("monocyte", 5, 5, 60, 70),
        ("neutrophil", 65, 20, 110, 80),
        ("neutrophil", 300, 200, 340, 250),
    )
    assert [cell[3] for cell in cells(tmp_path)] == [
        (5, 5, 55, 65),
        (65, 20, 45, 60),
        (195, 100, 250, 250),
    ]


def test_a_box_given_twice_is_one_cell_unless_its_classes_differ(tmp_path):
    picture(tmp_path / "1.png", size=(600, 500))
    voc(tmp_path / "1.xml", ("monocyte", 5, 5, 60, 70), ("monocyte", 5, 5, 60, 70))
    assert len(cells(tmp_path)) == 1
    voc(tmp_path / "1.xml", ("monocyte", 5, 5, 60, 70), ("neutrophil", 5, 5, 60, 70))
    with pytest.raises(DataError, match="repeats the cell"):
        load("tianjin", tmp_path)


def test_annotations_that_cannot_be_used_are_all_listed(tmp_path):
    tianjin(tmp_path)
    for number in range(3, 9):
        picture(tmp_path / f"{number}.png", size=(300, 300))
    (tmp_path / "3.xml").write_text("<annotation><object>")
    (tmp_path / "4.xml").write_text("<annotation><object><name>monocyte</name></object></annotation>")
    voc(tmp_path / "5.xml", ("", 1, 1, 9, 9))
    voc(tmp_path / "6.xml", ("monocyte", 400, 10, 420, 30))
    voc(tmp_path / "7.xml", ("monocyte", "nan", 10, 420, 30))
    (tmp_path / "8.png").write_bytes(b"no image")
    voc(tmp_path / "8.xml", ("monocyte", 4, 10, 42, 30))
    voc(tmp_path / "9.xml", ("monocyte", 4, 10, 42, 30))
    with pytest.raises(DataError) as caught:
        load("tianjin", tmp_path)
    reasons = (
        "no element",
        "no bndbox",
        "no name",
        "no pixel",
        "not made of numbers",
        "not an image",
        "is missing",
    )
    assert len(caught.value.problems) == len(reasons)
    for number, (problem, reason) in enumerate(zip(caught.value.problems, reasons, strict=True), start=3):
        assert problem.startswith(f"{number}.xml")
        assert reason in problem


def test_lines_of_yolo_files_that_cannot_be_used_are_listed(tmp_path):
    yolo_tree(tmp_path, tmp_path, tmp_path / "classes.txt")
    (tmp_path / "2.txt").write_text("1 0.5 0.5 0.1\n")
    (tmp_path / "1.txt").write_text("\n7 0.5 0.5 0.1 0.1\n")
    (tmp_path / "3.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    with pytest.raises(DataError) as caught:
        load("tianjin", tmp_path)
    first, second, third = caught.value.problems
    assert first.startswith("1.txt: line 2: class 7")
    assert second.startswith("2.txt: line 1")
    assert third.startswith("3.txt: its image is missing")


def test_yolo_needs_one_list_of_classes(tmp_path):
    yolo_tree(tmp_path, tmp_path, tmp_path / "classes.txt")
    (tmp_path / "obj.names").write_text("Basophil\nNeutrophil\n")
    with pytest.raises(DataError, match=r"classes\.txt, obj\.names were found, which differ"):
        load("tianjin", tmp_path)
    (tmp_path / "obj.names").unlink()
    (tmp_path / "classes.txt").unlink()
    with pytest.raises(DataError, match=r"need one list .*none was found"):
        load("tianjin", tmp_path)


def test_fields_without_annotations_are_no_tianjin(tmp_path):
    tianjin(tmp_path)
    for file in tmp_path.glob("*.xml"):
        file.unlink()
    (tmp_path / "README.txt").write_text("Please cite us.")
    with pytest.raises(DataError) as caught:
        load("tianjin", tmp_path)
    assert "Pascal VOC" in str(caught.value)
    assert "1.png, 2.png" in str(caught.value)
