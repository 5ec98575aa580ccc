"""Results depend on what files hold, not on their names, sizes and times."""

import os
from pathlib import Path

import pytest

import cellda.datasets
from cellda.data.own_cells import OwnCells
from cellda.data.pixel_cache import cached_pixels
from cellda.data.root import DataRoot
from cellda.errors import DataError
from cellda.experiment.result import RunResult
from cellda.experiment.run import Run
from cellda.experiment.study import Study
from cellda.runtime.storage.store import Store
from tiny import CLASSES, quiet, recipe
from trees import picture


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Seven bitmaps of each class, uncompressed: all of one size."""
    for name in CLASSES:
        for number in range(7):
            picture(tmp_path / "own" / name / f"{number}.bmp", size=(32, 32))
    return tmp_path / "own"


def invert(file: Path) -> None:
    """Other pixels, in a file of the same size and time."""
    before, content = file.stat(), file.read_bytes()
    file.write_bytes(content[:54] + bytes(255 - value for value in content[54:]))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


@pytest.mark.parametrize("loaded", [False, True])
def test_inverted_images_are_another_run(tmp_path: Path, own: Path, loaded: bool) -> None:
    target = cellda.datasets.load("folder", own) if loaded else f"folder={own}"
    runs = [recipe().run(target, store=tmp_path / "store", progress=False)]
    runs.append(recipe().run(target, store=tmp_path / "store", progress=False))
    for file in own.rglob("*.bmp"):
        invert(file)
    runs.append(recipe().run(target, store=tmp_path / "store", progress=False))
    first, again, other = (run.record.digest for run in runs)
    assert first == again != other
    assert not runs[0].predictions.equals(runs[2].predictions)


@pytest.mark.parametrize("where", ["labelled", "unlabelled"])
def test_inverted_images_are_adapted_to_again(tmp_path: Path, own: Path, where: str) -> None:
    given = {"labelled": f"folder={own}"} if where == "labelled" else {"unlabelled": own}
    chosen = recipe(adapter="full" if where == "labelled" else "adabn")

    def state() -> bytes:
        model = chosen.adapt(**given, measure=False, store=tmp_path / "store", progress=False)
        return b"".join(value.numpy().tobytes() for value in model.state_dict().values())

    first = state()
    assert state() == first
    for file in own.rglob("*.bmp"):
        invert(file)
    assert state() != first


def test_one_changed_image_is_in_every_key_that_depends_on_pixels(tmp_path: Path, own: Path) -> None:
    workspace = quiet(tmp_path / "store")
    source = cellda.datasets.load("folder", own)
    edits = {"normalizer": {"name": "reinhard", "reference": "source"}, "search": {"trials": 2, "folds": 2}}
    made = recipe(**edits)

    def keys() -> list[object]:
        source.refresh()
        target = Run.prepare(made, source, workspace)
        sources = Run(made, (source,), target.target, target.draw, workspace)
        return [
            target.key,
            target.digest,
            sources.source_key,
            sources.normalizer_key(made.normalizer),
            OwnCells(source).fingerprint,
            OwnCells(None, sorted(own.rglob("*.bmp"))).fingerprint,
        ]

    before = keys()
    assert keys() == before
    invert(own / "monocyte" / "3.bmp")
    assert all(one != other for one, other in zip(before, keys(), strict=True))


def test_a_study_notices_files_that_changed_since_it_was_made(tmp_path: Path, own: Path) -> None:
    study = Study({"none": recipe(adapter="none")}, [f"folder={own}"], workspace=quiet(tmp_path / "store"))
    digests = [study.runs()[0][1].digest for _ in range(2)]
    invert(own / "monocyte" / "3.bmp")
    assert digests[0] == digests[1] != study.runs()[0][1].digest


def test_a_file_that_changes_before_it_is_decoded_is_named_and_nothing_is_kept(
    tmp_path: Path, own: Path
) -> None:
    dataset = cellda.datasets.load("folder", own)
    assert dataset.fingerprint
    changed = own / "monocyte" / "3.bmp"
    invert(changed)
    with pytest.raises(DataError, match="1 file of dataset 'folder/own' changed") as caught:
        cached_pixels(dataset, 32, Store(tmp_path / "store"))
    assert str(changed) in caught.value.problems[0]
    assert not list((tmp_path / "store").rglob("*.npy"))
    dataset.refresh()
    assert cached_pixels(dataset, 32, Store(tmp_path / "store")).shape[0] == len(dataset)


@pytest.mark.parametrize("where", ["neutrophil/new.bmp", "neutrophil/p1/new.bmp", "segs/new.bmp"])
def test_a_file_that_was_added_is_another_run(tmp_path: Path, own: Path, where: str) -> None:
    data = DataRoot(None)

    def run() -> RunResult:
        return recipe(few_shot={"n": 6}).run(f"folder={own}", data, store=tmp_path / "store", progress=False)

    loaded = cellda.datasets.load("folder", own)
    first, again = run(), run()
    assert first.digest == again.digest
    assert not loaded.relisted()
    (own / "notes.txt").write_text("x")
    assert not loaded.relisted()
    picture(own / where, size=(32, 32))
    other = run()
    assert other.digest != first.digest
    assert other.record.accounts[0].used == first.record.accounts[0].used + 1
    with pytest.warns(UserWarning, match="holds other cells than when it was loaded; load it again"):
        kept = recipe(few_shot={"n": 6}).run(loaded, store=tmp_path / "store", progress=False)
    assert kept.digest == first.digest


def test_a_row_that_was_added_to_a_table_is_seen(tmp_path: Path, own: Path) -> None:
    file = tmp_path / "cells.csv"
    rows = [f"own/{name}/{number}.bmp,{name}" for name in CLASSES for number in range(6)]
    file.write_text("\n".join(["path,label", *rows]) + "\n")
    data = DataRoot(None)
    before = data.load(f"table={file}")
    file.write_text(file.read_text() + "own/neutrophil/6.bmp,neutrophil\n")
    data.refresh()
    after = data.load(f"table={file}")
    assert (len(before), len(after)) == (36, 37)
    file.write_text(file.read_text().replace("6.bmp,neutrophil", "6.bmp,seg"))
    assert after.relisted()
    assert not cellda.datasets.load("synthetic/1").relisted()
