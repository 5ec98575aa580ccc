"""What a laboratory has, all of it: every label is learned from, every other image is looked at, nothing is measured."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import cellda.datasets
from cellda import CellClassifier, Recipe
from cellda.adapters.label_propagation import LabelPropagation
from cellda.adapters.lame import LAME
from cellda.data.own_cells import OwnCells, image_files
from cellda.datasets.reading.account import Tally
from cellda.datasets.reading.decode import decode_resized
from cellda.errors import CelldaError, ConfigurationError, DataError
from cellda.framing.spec import FramingSpec
from cellda.taxonomies.base import UNLABELLED
from said import text
from tiny import SIDE, SOURCE, adapting, recipe, target


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """Two drawn cells a class as files without labels, one of them in a sub-folder."""
    root = tmp_path_factory.mktemp("images")
    dataset = cellda.datasets.load("synthetic/2", per_class=2)
    for number, pixels in enumerate(dataset.read(range(len(dataset)), 48)):
        file = root / ("smear_2" if number == 5 else "") / f"{number}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(file)
    return root


@pytest.fixture
def seen(monkeypatch) -> dict[str, list]:
    """What `label_propagation` and `lame` were given."""
    views: dict[str, list] = {}
    for adapter in (LabelPropagation, LAME):
        made = adapter.adapt

        def adapt(self, model, view, context, made=made):
            views.setdefault(self.name, []).append(view)
            return made(self, model, view, context)

        monkeypatch.setattr(adapter, "adapt", adapt)
    return views


def pixels_of(files: list[Path]) -> torch.Tensor:
    return decode_resized([(file, None) for file in files], SIDE)


def test_every_label_is_support_and_every_other_image_is_pool(tmp_path, images, seen) -> None:
    own, files = target(1, per_class=3), image_files(images)
    chosen = recipe(adapter="label_propagation", few_shot={"n": 6}, pool="disjoint")
    model = chosen.adapt(own, images, store=tmp_path, measure=False, progress=False)
    [view] = seen["label_propagation"]
    assert view.support.labels.tolist() == own.labels.tolist()
    assert torch.equal(view.support.raw(range(18)), own.read(range(18), SIDE))
    assert len(files) == 12
    assert view.pool.known_labels is None
    assert torch.equal(view.pool.raw(range(12)), pixels_of(files))
    assert set(model.predict(files).labels) <= {*model.classes, None}


def test_how_supports_are_drawn_is_not_looked_at(tmp_path, images, trainings) -> None:
    own = target(1, per_class=3)
    for few_shot in ({"n": 6}, {"n": None, "draw": 4, "kind": "stratified"}):
        recipe(few_shot=few_shot).adapt(own, images, store=tmp_path, measure=False, progress=False)
    assert trainings == {SOURCE: 1, adapting("full"): 1}


def test_without_a_label_images_are_enough(tmp_path, images, seen) -> None:
    model = recipe(adapter="lame+tta").adapt(unlabelled=images, store=tmp_path, progress=False)
    [view] = seen["lame"]
    assert (len(view.support), view.support.known_labels) == (0, None)
    assert torch.equal(view.pool.raw(range(12)), pixels_of(image_files(images)))
    assert model.symmetric


def test_labels_are_enough_where_no_image_is_asked_for(tmp_path) -> None:
    own = target(1, per_class=3)
    model = recipe(adapter="ncm").adapt(own, store=tmp_path, progress=False)
    source = recipe(adapter="none").adapt(own, store=tmp_path, progress=False)
    with torch.no_grad():
        embeddings = source.embedded(own.read(range(18), SIDE))
    centred = torch.nn.functional.normalize(embeddings - embeddings.mean(0), dim=1)
    means = torch.stack([centred[own.labels == label].mean(0) for label in range(6)])
    nearest = (centred @ torch.nn.functional.normalize(means, dim=1).T).argmax(1)
    found = model.predict(own.read(range(18), SIDE))
    assert found.probabilities.argmax(1).tolist() == nearest.tolist()


def test_what_was_adapted_is_found_again_and_new_images_are_noticed(tmp_path, images, trainings) -> None:
    chosen, own = recipe(adapter="full+lame"), target(1, per_class=3)
    first = chosen.adapt(own, images, store=tmp_path, measure=False, progress=False)
    assert trainings == {SOURCE: 1, adapting("full"): 1}
    again = chosen.adapt(own, images, store=tmp_path, measure=False, progress=False)
    assert trainings == {SOURCE: 1, adapting("full"): 1}
    files = image_files(images)
    assert torch.equal(first.predict(files).probabilities, again.predict(files).probabilities)
    chosen.adapt(own, files[1:], store=tmp_path, measure=False, progress=False)
    assert trainings == {SOURCE: 1, adapting("full"): 2}


@pytest.mark.parametrize(
    ("adapter", "labelled", "unlabelled", "said"),
    [
        ("full", None, True, r"'full'.* needs labelled cells, but there are 0: give .*best_without_labels"),
        ("lame", 1, False, r"'lame'.* needs unlabelled images: give some"),
        ("none", None, False, r"nothing to adapt to: give labelled cells, unlabelled images, or both"),
        (
            "none",
            0,
            True,
            r"contains the same images as the source 'synthetic/0'|is both the target and a source",
        ),
    ],
)
def test_what_cannot_be_adapted_is_refused_first(
    tmp_path,
    images,
    trainings,
    adapter,
    labelled,
    unlabelled,
    said,
) -> None:
    own = None if labelled is None else target(labelled, per_class=6)
    with pytest.raises(CelldaError, match=f"(?s){said}"):
        recipe(adapter=adapter).adapt(own, images if unlabelled else (), store=tmp_path, progress=False)
    assert not trainings


def test_a_search_by_labels_needs_labels_and_one_by_images_images(tmp_path, images) -> None:
    by_labels = recipe(adapter="lame", search={"trials": 2, "folds": 3})
    with pytest.raises(ConfigurationError, match="or its search, needs labelled cells"):
        by_labels.adapt(None, images, store=tmp_path, progress=False)
    by_images = recipe(adapter="logistic", search={"trials": 2, "selector": "entropy"})
    with pytest.raises(ConfigurationError, match="or its search, needs unlabelled images"):
        by_images.adapt(target(1, per_class=3), (), store=tmp_path, progress=False)


def test_images_that_are_not_there_are_listed(tmp_path, images) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"(?s)nowhere: does not exist.*empty: holds no image"):
        image_files([tmp_path / "nowhere", images, tmp_path / "empty"])
    with pytest.raises(DataError, match=r"gone\.png"):
        OwnCells(None, [tmp_path / "gone.png"])


def test_patterns_are_taken_and_repeats_are_said(tmp_path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("a.png", "b.png", "deep/c.png"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    tally = Tally()
    found = image_files(
        [tmp_path / "*", tmp_path / "a.png", str(tmp_path / "?.png"), tmp_path / "deep"], tally
    )
    assert [file.name for file in found] == ["a.png", "b.png", "c.png"]
    [left] = tally.close("images", 3).left_out
    assert (left.count, left.what) == (4, "repeat(s) of images that are given more than once")
    with pytest.raises(DataError, match=r"x\*: no file or folder matches this pattern"):
        image_files([tmp_path / "x*"])


def test_files_and_folders_may_be_named_and_each_image_counts_once(images) -> None:
    files = image_files(images)
    assert [file.name for file in files] == [f"{n}.png" for n in [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 5]]
    assert image_files([files[3], images]) == [files[3], *files[:3], *files[4:]]
    assert image_files(str(files[0])) == [files[0]]


def test_labelled_cells_come_first_and_are_framed_like_the_others(tmp_path, images) -> None:
    for name in ("EOS", "NEU"):
        (tmp_path / name).mkdir()
        Image.fromarray(torch.randint(0, 255, (40, 30, 3), dtype=torch.uint8).numpy()).save(
            tmp_path / name / "a.png"
        )
    own, files = cellda.datasets.load("folder", tmp_path), image_files(images)
    both = OwnCells(own, files)
    assert both.labels.tolist() == [*own.labels.tolist(), *[UNLABELLED] * 12]
    assert both.effective_groups() == [*own.effective_groups(), *map(str, files)]
    rows = [1, 2, 13]
    expected = torch.cat([own.read([1], SIDE), pixels_of([files[0], files[11]])])
    assert torch.equal(both.read(rows, SIDE), expected)
    framing = FramingSpec(name="center").build()
    cut, found = both.framed(rows, SIDE, framing)
    places = [tmp_path / own.table["path"][1], files[0], files[11]]
    expected = []
    for path in places:
        expected.append(framing.frame(np.array(Image.open(path).convert("RGB")), SIDE)[0])
    assert np.array_equal(cut.permute(0, 2, 3, 1).numpy(), expected)
    assert found.tolist() == [1.0] * 3


def test_a_file_that_changed_is_another_image(tmp_path) -> None:
    file = tmp_path / "a.png"
    Image.new("RGB", (20, 20), "white").save(file)
    before = OwnCells(None, [file]).fingerprint
    assert OwnCells(None, [file]).fingerprint == before
    Image.new("RGB", (30, 20), "white").save(file)
    assert OwnCells(None, [file]).fingerprint != before


def test_the_commands_adapt_and_predict(cellda_, tmp_path: Path, images) -> None:
    file, model, saved = tmp_path / "tiny.yaml", tmp_path / "my model", tmp_path / "out" / "found.csv"
    file.write_text(recipe().to_yaml(), encoding="utf-8")
    said = cellda_(
        *("adapt", "--recipe", file, "--adapter", "lame+tta", "--unlabelled", images, "--save", model)
    )
    assert said.status == 0
    assert f"cellda predict '{model}' IMAGES" in said.out
    assert Recipe.from_yaml(model / "recipe.yaml").adapter.name == "lame+tta"
    said = cellda_("predict", model, images, "--save", saved)
    assert re.search(r"Saved 12 predictions in .*found\.csv", said.out)
    table, files = pd.read_csv(saved), image_files(images)
    found = CellClassifier.load(model).predict(files)
    assert table["path"].tolist() == list(map(str, files))
    judged = ["no_nucleus" not in flag for flag in found.flags]
    assert table["flag"].fillna("").tolist() == found.flags
    known = [label for label, one in zip(found.labels, judged, strict=True) if one]
    assert table["predicted"][judged].tolist() == known
    assert table["predicted"][[not one for one in judged]].isna().all()
    columns = table[[f"p_{name}" for name in found.classes]]
    assert torch.allclose(torch.tensor(columns.to_numpy()).float(), found.probabilities, atol=1e-4)
    assert re.search(rf"{known[0]} +{known.count(known[0])} ", said.out)
    said = cellda_("adapt", "--recipe", file, "--unlabelled", images, "--save", model)
    assert said.status == 2
    assert "needs labelled cells" in text(said.err)
    said = cellda_("predict", model, tmp_path / "nowhere")
    assert said.status == 2
    assert "There is no such file or folder" in said.err
    assert "nowhere" in said.err
