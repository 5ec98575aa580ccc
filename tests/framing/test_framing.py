"""Framing: what every one promises, the cell against drawn scenes of known place and size, and runs with it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import cellda.datasets
import cellda.framing
from cellda.data.check import check
from cellda.data.pixel_cache import cached_found, cached_pixels, pixels_key
from cellda.errors import ConfigurationError, UnknownNameError
from cellda.framing.base import cut, frame_all
from cellda.framing.cell import find_nucleus
from cellda.framing.spec import FramingSpec
from cellda.models import CellClassifier
from cellda.runtime.store import Store
from described import first_format
from tiny import prepared, recipe, target

SMEAR, RED_CELL, CYTOPLASM, NUCLEUS = (232, 220, 205), (205, 160, 150), (180, 175, 215), (90, 40, 130)
Disc = tuple[float, float, float, tuple[int, int, int]]


def scene(discs: Sequence[Disc], width: int = 200, height: int = 160, seed: int = 0) -> np.ndarray:
    """A smear with discs `(x, y, radius, colour)`, the later ones on top, four times sampled, with a little noise."""
    y, x = np.mgrid[: 4 * height, : 4 * width] / 4 + 0.125
    image = np.empty((4 * height, 4 * width, 3))
    image[:] = SMEAR
    for centre_x, centre_y, radius, colour in discs:
        image[(x - centre_x) ** 2 + (y - centre_y) ** 2 < radius**2] = colour
    image = image.reshape(height, 4, width, 4, 3).mean((1, 3))
    return (image + np.random.default_rng(seed).normal(0, 3, image.shape)).clip(0, 255).astype(np.uint8)


def cell(x: float = 100, y: float = 80, radius: float = 20) -> list[Disc]:
    """A cell with a round nucleus of this radius, among three red cells."""
    red = [(30.0, 40.0, 18.0, RED_CELL), (170.0, 50.0, 18.0, RED_CELL), (60.0, 140.0, 18.0, RED_CELL)]
    return [*red, (x, y, 1.5 * radius, CYTOPLASM), (x, y, radius, NUCLEUS)]


@pytest.fixture(params=cellda.framing.names())
def framing(request: pytest.FixtureRequest) -> cellda.framing.Framing:
    return cellda.framing.create(request.param)


# --- what every framing promises


def test_every_framing_is_named_like_its_file():
    for name in cellda.framing.names():
        cls = cellda.framing.get(name)
        assert (cls.name, cls.__module__.rsplit(".", 1)[-1]) == (name, name)
        assert cls.__doc__.startswith(cellda.framing.summary(name))
        assert len(cellda.framing.summary(name)) > 20


@pytest.mark.parametrize("shape", [(160, 200), (90, 31), (1, 1), (1, 70), (240, 180)])
@pytest.mark.parametrize("content", ["cell", "black", "white", "noise"])
def test_every_image_of_any_size_is_framed(framing, shape, content):
    height, width = shape
    image = {
        "cell": scene(cell(width / 2, height / 2, min(shape) / 6), width, height),
        "black": np.zeros((height, width, 3), np.uint8),
        "white": np.full((height, width, 3), 255, np.uint8),
        "noise": np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8),
    }[content]
    before = image.copy()
    framed, found = framing.frame(image, 48)
    assert (framed.shape, framed.dtype) == ((48, 48, 3), np.uint8)
    assert isinstance(found, bool)
    assert np.array_equal(image, before), "the image was written to"
    again, _ = framing.frame(image, 48)
    assert np.array_equal(framed, again)


def test_images_of_a_batch_do_not_influence_each_other(framing):
    images = torch.from_numpy(np.stack([scene(cell(60 + 20 * n, 80, 10 + 3 * n)) for n in range(3)])).permute(
        0, 3, 1, 2
    )
    together, found = frame_all(images, framing, 40)
    apart = torch.cat([frame_all(image[None], framing, 40)[0] for image in images])
    assert torch.equal(together, apart)
    assert found.tolist() == [True] * 3
    assert together.is_contiguous(memory_format=torch.channels_last)


def test_unknown_names_and_options_are_refused_with_near_names():
    with pytest.raises(UnknownNameError, match="did you mean 'cell'"):
        cellda.framing.create("cel")
    with pytest.raises(ConfigurationError, match="did you mean 'factor'"):
        cellda.framing.create("cell", factr=2)
    for name, options in (("cell", {"factor": 0.5}), ("center", {"share": 0.0}), ("center", {"share": 1.5})):
        with pytest.raises(ConfigurationError, match=next(iter(options))):
            cellda.framing.create(name, **options)


# --- cutting


def test_none_shows_the_whole_image_and_center_the_square_in_its_middle():
    image = scene(cell())
    whole, _ = cellda.framing.create("none").frame(image, 64)
    assert np.array_equal(
        whole, np.asarray(Image.fromarray(image).resize((64, 64), Image.Resampling.BILINEAR))
    )
    assert cellda.framing.create("center").box(image) == (20, 0, 160, 160)
    assert cellda.framing.create("center", share=0.5).box(image) == (60, 40, 80, 80)


def test_what_lies_outside_the_image_is_empty_smear():
    image = scene(cell(20, 20, 15))
    part = cut(image, (-30, -10, 60, 60))
    assert np.array_equal(part[10:, 30:], image[:50, :30])
    outside = np.concatenate([part[:10].reshape(-1, 3), part[:, :30].reshape(-1, 3)])
    assert len(np.unique(outside, axis=0)) == 1
    assert np.abs(outside[0].astype(int) - SMEAR).max() <= 4
    assert np.array_equal(cut(image, (5, 6, 70, 80)), image[6:86, 5:75])


def test_empty_smear_is_measured_beside_black_padding():
    image = scene(cell(150, 80, 15))
    image[:, :90] = 0
    part = cut(image, (120, 40, 100, 100))
    assert np.abs(part[0, -1].astype(int) - SMEAR).max() <= 4


@pytest.mark.parametrize("box", [(120, -30, 60, 80), (110, 10, 60, 80)], ids=["over the edge", "inside"])
def test_black_padding_is_filled_also_where_the_cut_parts_it_from_the_border(box):
    image = scene(cell(150, 80, 15))
    image[:25] = 0
    part = cut(image, box)
    assert part.max(2).min() > 90
    assert np.array_equal(part[-20:], image[box[1] + box[3] - 20 : box[1] + box[3], box[0] : box[0] + box[2]])


# --- finding the cell


@pytest.mark.parametrize("radius", [10, 20, 30])
@pytest.mark.parametrize("place", [(100, 80), (70, 60), (130, 100), (120.4, 61.7)])
def test_a_round_nucleus_is_found_where_it_was_drawn(place, radius):
    found = find_nucleus(scene(cell(*place, radius)))
    assert np.hypot(found.centre[0] - place[0], found.centre[1] - place[1]) < 1.5
    assert found.diameter == pytest.approx(2 * radius, rel=0.1)


@pytest.mark.parametrize(("shift", "zoom"), [((17, -9), 1.0), ((0, 0), 1.7), ((-20, 12), 0.7)])
def test_position_and_magnification_of_the_scene_do_not_matter(shift, zoom):
    """The same scene elsewhere in the frame and at another magnification is cut to the same picture."""

    def seen(discs: Sequence[Disc], width: int, height: int) -> np.ndarray:
        framed, found = cellda.framing.create("cell").frame(scene(discs, width, height), 64)
        assert found
        return framed.astype(float)

    discs = [*cell(), (78.0, 118.0, 12.0, RED_CELL)]
    moved = [(zoom * (x + shift[0]), zoom * (y + shift[1]), zoom * r, colour) for x, y, r, colour in discs]
    difference = np.abs(seen(discs, 200, 160) - seen(moved, round(200 * zoom), round(160 * zoom)))
    assert difference.mean() < 6
    unframed = [
        np.asarray(Image.fromarray(scene(one, 200, 160)).resize((64, 64))).astype(float)
        for one in (discs, moved)
    ]
    assert (zoom == 1 and shift == (0, 0)) or np.abs(unframed[0] - unframed[1]).mean() > 2 * difference.mean()


@pytest.mark.parametrize("light", [(1.0, 1.0, 1.0), (0.6, 0.6, 0.6), (1.0, 0.95, 0.7), (0.85, 0.9, 1.0)])
def test_light_and_its_colour_do_not_matter(light):
    image = (scene(cell()) * np.array(light)).astype(np.uint8)
    assert find_nucleus(image).centre == pytest.approx((100, 80), abs=1.5)
    assert find_nucleus(image).diameter == pytest.approx(40, rel=0.1)


@pytest.mark.parametrize("gap", [-2, 3, 8])
def test_two_lobes_are_one_nucleus(gap):
    lobes = [(100.0 + side * (14 + gap / 2), 80.0, 14.0, NUCLEUS) for side in (-1, 1)]
    found = find_nucleus(scene([(100, 80, 40, CYTOPLASM), *lobes]))
    assert found.centre == pytest.approx((100, 80), abs=1.5)
    y, x = np.mgrid[:160, :200] + 0.5
    inside = ((np.abs(x - 100) - 14 - gap / 2) ** 2 + (y - 80) ** 2) < 14**2
    places = np.argwhere(inside)
    assert found.diameter == pytest.approx(np.sqrt(8 * places.var(0).sum()), rel=0.1)


def test_a_neighbour_that_the_frame_cuts_off_is_left_out():
    touching = [(100.0 + 43, 80.0, 24.0, NUCLEUS), (100.0, 80.0, 20.0, NUCLEUS)]
    found = find_nucleus(scene(touching, width=160))
    assert found.centre == pytest.approx((100, 80), abs=3)
    assert found.diameter == pytest.approx(40, rel=0.15)


def test_black_padding_is_no_cell():
    image = scene(cell(130, 80))
    image[:, :50] = 0
    assert find_nucleus(image).centre == pytest.approx((130, 80), abs=1.5)


@pytest.mark.parametrize(
    "image",
    [scene([]), scene(cell()[:3]), np.zeros((80, 90, 3), np.uint8), scene([(100, 80, 3, NUCLEUS)])],
    ids=["empty smear", "red cells alone", "black", "a platelet"],
)
def test_where_there_is_no_cell_the_image_is_shown_whole(image):
    framed, found = cellda.framing.create("cell").frame(image, 32)
    assert not found
    assert np.array_equal(
        framed, np.asarray(Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR))
    )


# --- in a dataset


def folder_of_cells(root: Path) -> Path:
    """Two classes of cells in files; one file shows none."""
    for place, name in ((80, "basophil"), (81, "monocyte")):
        (root / name).mkdir(parents=True)
        for number in range(3):
            Image.fromarray(scene(cell(80 + 15 * number, place, 15 + 5 * number))).save(
                root / name / f"{number}.png"
            )
    Image.fromarray(scene(cell()[:3])).save(root / "monocyte" / "0.png")
    return root


def test_the_cache_holds_framed_images_and_says_where_no_cell_was_found(tmp_path):
    cells = cellda.datasets.load("folder", folder_of_cells(tmp_path / "cells"))
    store, spec = Store(tmp_path / "store"), FramingSpec.model_validate("cell")
    pixels = cached_pixels(cells, 48, store, spec)
    for row, path in enumerate(cells.table["path"]):
        image = np.array(Image.open(cells.folder / path))
        assert np.array_equal(pixels[row].permute(1, 2, 0).numpy(), spec.build().frame(image, 48)[0])
    found = cached_found(cells, 48, store, spec)
    assert [path for path, seen in zip(cells.table["path"], found, strict=True) if not seen] == [
        "monocyte/0.png"
    ]
    wider = cached_pixels(cells, 48, store, FramingSpec.model_validate({"name": "cell", "factor": 3.0}))
    assert not torch.equal(wider, pixels)


def test_without_framing_nothing_is_cached_otherwise_than_before(tmp_path):
    cells = cellda.datasets.load("folder", folder_of_cells(tmp_path / "cells"))
    store = Store(tmp_path / "store")
    assert torch.equal(cached_pixels(cells, 48, store), cells.read(range(len(cells)), 48))
    key = pixels_key(cells, 48, FramingSpec(name="none"))
    assert key["framing"] is None
    assert [file.name for file in store.path("pixels", key).iterdir() if file.suffix == ".npy"] == [
        "pixels.npy"
    ]


def test_check_names_the_images_without_a_cell(tmp_path):
    cells = cellda.datasets.load("folder", folder_of_cells(tmp_path / "cells"))
    assert check(cells, framing="cell").unframed == ("monocyte/0.png",)
    assert check(cells).unframed == ()
    (cells.folder / "basophil" / "0.png").write_bytes(b"broken")
    report = check("folder", cells.root, framing="cell")
    assert report.unframed == ("monocyte/0.png",)
    assert list(report.unreadable) == ["basophil/0.png"]


# --- in a run


def test_a_run_with_framing_is_saved_with_it_and_predicts_the_same(tmp_path):
    result = recipe(framing="cell").run(target(), store=tmp_path, progress=False)
    assert result.model.framing_spec == FramingSpec.model_validate("cell")
    aim = target()
    files = []
    for row in range(len(aim)):
        files.append(tmp_path / f"{row}.png")
        Image.fromarray(aim.read([row], 192)[0].permute(1, 2, 0).numpy()).save(files[-1])
    rows = [list(aim.table["path"]).index(path.rpartition("#")[2]) for path in result.predictions["path"]]
    stored = result.predictions.filter(like="p_").to_numpy()
    said = result.model.predict([files[row] for row in rows]).probabilities.numpy()
    np.testing.assert_allclose(said, stored, atol=1e-5)
    tensors = torch.cat([aim.read([row], 192) for row in rows])
    np.testing.assert_allclose(result.model.predict(tensors).probabilities.numpy(), stored, atol=1e-5)
    floats = result.model.predict(tensors.float() / 255).probabilities.numpy()
    np.testing.assert_allclose(floats, stored, atol=1e-5)


def test_the_source_model_knows_the_framing(tmp_path):
    plain, framed = (prepared(recipe(framing=name), tmp_path) for name in ("none", "cell"))
    assert plain.source_key != framed.source_key
    normalizer = plain.recipe.normalizer
    assert plain.normalizer_key(normalizer) != framed.normalizer_key(normalizer)
    assert plain.digest != framed.digest


def test_images_without_a_cell_are_counted_in_the_record_and_said(tmp_path, capsys):
    cells = cellda.datasets.load("folder", folder_of_cells(tmp_path / "cells"))
    chosen = recipe(framing="cell", few_shot={"n": 2}, adapter="none")
    result = chosen.run(cells, store=tmp_path / "store")
    assert result.record.unframed == {cells.full_name: 1}
    assert f"No cell was found in 1 image of {cells.full_name}" in " ".join(capsys.readouterr().err.split())
    assert "no cell was found in 1 image" in " ".join(str(result).split())
    assert (
        recipe(adapter="none").run(target(), store=tmp_path / "store", progress=False).record.unframed == {}
    )


def test_a_classifier_saved_before_there_was_framing_shows_images_whole(tmp_path):
    model = recipe(adapter="none").run(target(), store=tmp_path / "store", progress=False).model
    model.seen = None
    place = model.save(tmp_path / "model")
    first_format(place, "framing", "seen")
    with pytest.warns(UserWarning, match="saved by an earlier version"):
        loaded = CellClassifier.load(place)
    assert loaded.framing_spec.name == "none"
