"""One image under two classes: named by the check, refused by runs, kept or left out only if asked for."""

import shutil
import warnings
from pathlib import Path

import pandas as pd
import pytest

import cellda.datasets
from cellda.data.check import check
from cellda.errors import CelldaError, DataError
from cellda.experiment.checks import with_twins
from cellda.experiment.study import Study
from tiny import CLASSES, quiet, recipe
from trees import jiangxi_tecom, picture

TWINS = [
    "basophil/1.png ('basophil') = monocyte/x.png ('monocyte')",
    "neutrophil/2.png ('neutrophil') = other/y.png ('other')",
]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Seven images of each class, two of which have a copy elsewhere, and two copies within one class."""
    root = tmp_path / "own"
    for name in CLASSES:
        for number in range(7):
            picture(root / name / f"{number}.png", size=(32, 32))
    (root / "other").mkdir()
    shutil.copy(root / "basophil" / "1.png", root / "monocyte" / "x.png")
    shutil.copy(root / "neutrophil" / "2.png", root / "other" / "y.png")
    shutil.copy(root / "lymphocyte" / "2.png", root / "lymphocyte" / "same.png")
    return root


def test_the_check_names_them_as_a_finding_of_their_own(own: Path, cellda_) -> None:
    report = check("folder", own)
    assert list(report.contradictory) == TWINS
    assert not report.ok
    said = cellda_("datasets", "check", "folder", own)
    assert said.status == 1
    assert TWINS[0] in said.out
    assert "twins='drop'" in said.out


def test_run_adapt_and_study_refuse_them_and_say_what_to_do(own: Path, tmp_path: Path) -> None:
    target, store = f"folder={own}", tmp_path / "store"
    for work in (
        lambda: recipe().run(target, store=store, progress=False),
        lambda: recipe().adapt(target, store=store, progress=False),
        lambda: Study({"none": recipe(adapter="none")}, [target], workspace=quiet(store)).runs(),
    ):
        with pytest.raises(
            CelldaError, match=r"2 images of 'folder/own'.*remove.*twins='drop'.*--set"
        ) as caught:
            work()
        assert all(twins in str(caught.value) for twins in TWINS)


def test_sources_are_refused_as_well(own: Path) -> None:
    with pytest.raises(DataError, match="different classes"):
        with_twins(cellda.datasets.load("folder", own), None)


def test_copies_are_left_out_or_kept_if_asked_for_which_is_said_and_recorded(
    own: Path, tmp_path: Path
) -> None:
    used = {}
    for twins, done in {
        "drop": "3 copies in the classes are left out",
        "keep": "used as they are",
    }.items():
        with pytest.warns(UserWarning, match=rf"2 images of 'folder/own'.*{done}"):
            result = recipe(twins=twins).run(f"folder={own}", store=tmp_path / "store", progress=False)
        assert result.record.twins == {"folder/own": 3}
        used[twins] = {*result.record.support_files, *result.predictions["path"]}
    gone = {"basophil/1.png", "monocyte/x.png", "neutrophil/2.png"}
    assert not used["drop"] & gone
    whole = cellda.datasets.load("folder", own)
    rest = whole.without_contradictions
    assert len(whole) - len(rest) == 3
    assert set(whole.table["path"]) - set(rest.table["path"]) == gone
    assert rest.fingerprint != whole.fingerprint
    assert rest.contradictions == []
    assert len(rest.labels) == len(rest.effective_groups()) == len(rest)
    row = list(rest.table["path"]).index("neutrophil/3.png")
    before = list(whole.table["path"]).index("neutrophil/3.png")
    assert (rest.read([row], 32) == whole.read([before], 32)).all()


def test_boxes_of_one_image_are_no_twins_but_one_box_of_two_copies_is(tmp_path: Path) -> None:
    picture(tmp_path / "field.png", size=(30, 30))
    shutil.copy(tmp_path / "field.png", tmp_path / "copy.png")
    rows = [
        ("field.png", "neutrophil", 0, 0, 9, 9),
        ("field.png", "monocyte", 9, 9, 9, 9),
        ("copy.png", "lymphocyte", 9, 0, 9, 9),
    ]
    columns = ["path", "label", "x", "y", "w", "h"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "cells.csv", index=False)
    assert cellda.datasets.load("table", tmp_path / "cells.csv").contradictions == []
    rows.append(("copy.png", "neutrophil", 9, 9, 9, 9))
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "cells.csv", index=False)
    (found,) = cellda.datasets.load("table", tmp_path / "cells.csv").contradictions
    assert str(found) == "field.png (9, 9, 9, 9) ('monocyte') = copy.png (9, 9, 9, 9) ('neutrophil')"


def test_two_names_of_one_class_do_not_disagree(tmp_path: Path) -> None:
    picture(tmp_path / "seg" / "a.png")
    (tmp_path / "band").mkdir()
    shutil.copy(tmp_path / "seg" / "a.png", tmp_path / "band" / "b.png")
    dataset = cellda.datasets.load("folder", tmp_path)
    assert dataset.identical_images()
    assert dataset.contradictions == []


def test_published_datasets_are_used_as_published_and_it_is_said(tmp_path: Path) -> None:
    jiangxi_tecom(tmp_path)
    images = tmp_path / "Dataset 1"
    shutil.copy(images / "001.bmp", images / "004.bmp")
    dataset = cellda.datasets.load("jiangxi_tecom", tmp_path)
    report = check(dataset)
    assert len(report.contradictory) == 1
    assert report.ok
    with pytest.warns(UserWarning, match="used as they are"):
        kept = with_twins(dataset, None)
    assert kept.fingerprint == dataset.fingerprint
    assert kept.account.used == kept.account.found == dataset.account.found
    assert "2 cells are copies of one image under different classes, and are used" in kept.account.notes[-1]
    with pytest.raises(DataError, match="different classes"):
        with_twins(dataset, "refuse")
    with pytest.warns(UserWarning, match="left out"):
        rest = with_twins(dataset, "drop")
    assert len(rest) == rest.account.used == len(dataset) - 2
    assert rest.account.found == dataset.account.found


def test_a_dataset_without_twins_is_not_touched(tmp_path: Path) -> None:
    picture(tmp_path / "seg" / "a.png")
    picture(tmp_path / "mono" / "a.png")
    dataset = cellda.datasets.load("folder", tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert with_twins(dataset, "drop") is dataset


def test_files_that_are_no_images_are_unreadable_and_not_twins(tmp_path: Path) -> None:
    for name in ("seg", "mono"):
        picture(tmp_path / name / "a.png")
        (tmp_path / name / "empty.png").write_bytes(b"")
        (tmp_path / name / "broken.png").write_bytes(b"broken")
    report = check("folder", tmp_path)
    assert report.contradictory == ()
    assert len(report.unreadable) == 4
