"""What was left out of the data is told and recorded; labelled cells that cannot be learned from are refused."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

import cellda.datasets
from cellda import Study
from cellda.data.few_shot import draw_support
from cellda.datasets.reading.account import PREVIEWS
from cellda.errors import CelldaError, ConfigurationError
from cellda.experiment.keeping import keep
from cellda.experiment.result import RunResult
from cellda.experiment.workflow import accounted
from cellda.experiment.workspace import Workspace
from said import text
from tiny import quiet, recipe, target

CLASSES = ("seg", "mono", "lymph", "eos", "baso", "ebo")


def drawn(root: Path, per_class: int = 4, classes: tuple[str, ...] = CLASSES) -> Path:
    """Images of noise in folders of classes."""
    for number, name in enumerate(name for name in classes for _ in range(per_class)):
        (root / name).mkdir(parents=True, exist_ok=True)
        pixels = torch.randint(0, 255, (40, 40, 3), generator=torch.Generator().manual_seed(number))
        Image.fromarray(pixels.byte().numpy()).save(root / name / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def messy(tmp_path_factory) -> Path:
    root = drawn(tmp_path_factory.mktemp("own"), classes=(*CLASSES, "blast"))
    (root / "seg" / "a.heic").write_text("x")
    return root


def test_a_run_tells_and_records_what_was_left_out(tmp_path: Path, messy: Path, capsys):
    chosen = recipe(few_shot={"n": 6})
    result = chosen.run(f"folder={messy}", store=tmp_path)
    told = text(capsys.readouterr().err)
    assert "24 of 28 cells are used" in told
    assert "4 cells of none of the classes: 4 blast" in told
    assert "1 HEIC image," in told
    assert told.count("24 of 28") == 1
    own, source = RunResult(result.path).record.accounts
    assert (own.used, own.found, own.without_groups) == (24, 28, True)
    assert source.name == "synthetic/0"
    [left] = [
        one
        for one in json.loads((result.path / "record.json").read_text())["accounts"][0]["left_out"]
        if one["kind"] == "blast"
    ]
    assert (left["count"], len(left["names"])) == (4, 3)
    said = text(str(result))
    assert "no groups: images of one patient may be on both sides" in said
    assert "24 of 28 cells" in said
    chosen.run(f"folder={messy}", store=tmp_path)  # found in the store
    assert "24 of 28 cells are used" in text(capsys.readouterr().err)


def test_nothing_is_told_without_progress_or_without_anything_left_out(tmp_path: Path, messy: Path, capsys):
    Workspace(store=tmp_path, progress=False).load(f"folder={messy}")
    Workspace(store=tmp_path).load("synthetic/1")
    assert capsys.readouterr().err == ""


def test_an_adaptation_tells_and_keeps_what_was_left_out(tmp_path: Path, messy: Path, capsys):
    own = cellda.datasets.load("folder", messy)
    model = recipe(adapter="adabn").adapt(own, messy, store=tmp_path / "store")
    told = text(capsys.readouterr().err)
    assert "24 of 28 cells are used" in told
    assert "unlabelled images: 28 are used. left out: 1 HEIC image," in told
    keep(model, recipe(), tmp_path / "model", [own.account])
    [kept] = json.loads((tmp_path / "model" / "accounts.json").read_text())
    assert kept["used"] == 24


def test_a_study_names_targets_without_groups(tmp_path: Path, messy: Path):
    study = Study(
        {"none": recipe(adapter="none")}, [f"folder={messy}", "synthetic/1"], workspace=quiet(tmp_path)
    )
    assert study.without_groups == [f"folder/{messy.name}"]


# --- numbers of single targets


def test_a_study_takes_numbers_of_single_targets(tmp_path: Path):
    recipes = {
        "one": recipe(few_shot={"n": 12}),
        "target_only": recipe(adapter="from_scratch", few_shot={"n": None, "kind": "all"}),
    }
    targets = [target(1), target(2)]
    study = Study(recipes, targets, n={"synthetic/2": 6}, workspace=quiet(tmp_path))
    sizes = {(name, run.target.full_name): run.draw.n for name, run in study.runs() if name == "one"}
    assert sizes == {("one", "synthetic/1"): 12, ("one", "synthetic/2"): 6}
    with pytest.raises(
        ConfigurationError,
        match="for 'synthetic/22', which is not one of the targets; did you mean",
    ):
        Study(recipes, targets, n={"synthetic/22": 6}, workspace=quiet(tmp_path)).runs()


# --- labelled cells that cannot be learned from


def test_labelled_cells_of_one_class_are_refused(tmp_path: Path):
    own = cellda.datasets.load("folder", drawn(tmp_path / "own", 6, ("seg",)))
    with pytest.raises(
        ConfigurationError, match="all labelled cells of folder/own are of one class, neutrophil"
    ):
        recipe().adapt(own, store=tmp_path, progress=False)
    recipe(adapter="adabn").adapt(own, drawn(tmp_path / "more"), store=tmp_path, progress=False)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_target_that_is_too_small_for_any_number_says_so(tmp_path: Path, n: int):
    own = cellda.datasets.load("folder", drawn(tmp_path / "own", 1, ("seg", "mono")))
    with pytest.raises(
        ConfigurationError, match=r"2 cells of 2 classes, too few for any n.*Give at least 3 cells"
    ) as caught:
        draw_support(own, n)
    assert "ask for" not in str(caught.value)


# --- numbers without end


@pytest.mark.parametrize("field", ["seed", "few_shot.n", "few_shot.draw", "backbone.image_size"])
@pytest.mark.parametrize("value", [10**12, 10**5000], ids=["13 digits", "5001 digits"])
def test_numbers_without_end_are_refused(field: str, value: int):
    outer, _, inner = field.partition(".")
    with pytest.raises(CelldaError, match=field) as caught:
        recipe(**{outer: {inner: value} if inner else value})
    assert len(str(caught.value)) < 1000


def test_a_recipe_file_with_a_number_without_end_is_refused(tmp_path: Path):
    file = tmp_path / "recipe.yaml"
    file.write_text("seed: " + "9" * 5000)
    with pytest.raises(ConfigurationError, match=r"recipe\.yaml cannot be read as YAML") as caught:
        cellda.Recipe.from_yaml(file)
    assert len(str(caught.value)) < 1000


# --- known only once images are decoded, or hashed


def with_previews(folder: Path) -> list[str]:
    """Write one cell of each class as TIFF with a smaller copy next to it."""
    files = []
    for file in sorted(folder.glob("*/*0.png")):
        pixels = np.asarray(Image.open(file))
        with tifffile.TiffWriter(file.with_suffix(".tif")) as writer:
            writer.write(pixels, photometric="rgb", metadata=None)
            writer.write(pixels[::2, ::2].copy(), photometric="rgb", metadata=None, subfiletype=1)
        file.unlink()
        files.append(file.with_suffix(".tif").relative_to(folder).as_posix())
    assert files
    return files


def test_previews_that_are_passed_over_are_told_and_in_every_account(tmp_path: Path, capsys):
    root = drawn(tmp_path / "own")
    files = with_previews(root)
    chosen, store = recipe(few_shot={"n": 6}), tmp_path / "store"
    result = chosen.run(f"folder={root}", store=store)
    passed_over = f"{len(files)} image files that also hold smaller pictures (previews, gain maps), which are passed over"
    said = f"folder/own: {passed_over} ({files[0]})"
    assert said in text(capsys.readouterr().err)

    def counted(account):
        return [(len(one.names), one.count) for one in account.left_out if one.what == PREVIEWS]

    assert list(map(counted, result.record.accounts)) == [[(min(3, len(files)), len(files))], []]
    for labelled in (None, f"folder={root}"):
        for _ in range(2):  # made, and found in the store
            workspace = Workspace(store=store, progress=False)
            _, accounts = accounted(recipe(adapter="adabn"), labelled, root, workspace)
            assert list(map(counted, accounts)) == [[(len(files), len(files))]] * (1 + bool(labelled))
            assert [account.used for account in accounts] == [24] * len(accounts)
    with pytest.warns(UserWarning, match=rf"{len(files)} image files that also hold smaller pictures"):
        result.model.predict(root)


def test_the_account_says_what_was_done_with_twins(tmp_path: Path, capsys):
    root = drawn(tmp_path / "own")
    shutil.copy(next((root / "seg").iterdir()), root / "mono" / "copy.png")
    told = {}
    for twins in ("drop", "keep"):
        with pytest.warns(UserWarning, match="copies under different classes"):
            result = recipe(twins=twins, few_shot={"n": 6}).run(f"folder={root}", store=tmp_path / "store")
        told[twins] = text(capsys.readouterr().err)
        account = result.record.accounts[0]
        assert (account.used, account.found) == ((23, 25) if twins == "drop" else (25, 25))
        assert len(re.findall("25 cells are used|25 are used", told[twins])) == 1
        workspace = Workspace(store=tmp_path / "store", progress=False)
        with pytest.warns(UserWarning, match="copies under different classes"):
            _, accounts = accounted(recipe(adapter="adabn", twins=twins), f"folder={root}", root, workspace)
        assert accounts[0].lines() == account.lines()
    assert "23 of 25 cells are used" in told["drop"]
    assert "2 copies of images under different classes (twins='drop')" in told["drop"]
    assert "folder/own: 25 are used" in told["keep"]
    assert "2 cells are copies of one image under different classes, and are used" in told["keep"]
