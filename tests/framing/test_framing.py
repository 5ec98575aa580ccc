"""Framing: what every one promises, the cell against drawn scenes of known place and size, and runs with it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import cellda.datasets
import cellda.framing
from cellda.data.check import check
from cellda.data.pixel_cache import cached_framed, cached_pixels, pixels_key
from cellda.errors import ConfigurationError, UnknownNameError
from cellda.framing.account import FramingAccount
from cellda.framing.base import SURE, UNSURE, cut
from cellda.framing.cell import Cell, find_nucleus
from cellda.framing.scale import ALIKE, LEAST, Scale
from cellda.framing.spec import FramingSpec
from cellda.models import CellClassifier
from cellda.models.inputs import pictures
from cellda.runtime.storage.store import Store
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
    assert 0 <= found <= 1
    assert np.array_equal(image, before), "the image was written to"
    again, _ = framing.frame(image, 48)
    assert np.array_equal(framed, again)


@pytest.mark.parametrize("scale", [None, {"diameter": 40.0, "images": 30}])
def test_a_mirrored_or_turned_image_is_cut_to_the_mirrored_or_turned_part(framing, scale):
    if scale is not None and framing.least:
        framing = cellda.framing.create(framing.name, scale=Scale(**scale))
    image = scene(cell(88, 70, 18))
    seen = framing.frame(image, 48)[0].astype(int)
    for turned, back in (
        (image[:, ::-1], lambda part: part[:, ::-1]),
        (image[::-1], lambda part: part[::-1]),
        (image.transpose(1, 0, 2), lambda part: part.transpose(1, 0, 2)),
    ):
        again = back(framing.frame(np.ascontiguousarray(turned), 48)[0].astype(int))
        assert np.abs(again - seen).mean() < 4


def test_what_is_learned_does_not_depend_on_the_order_and_can_be_stored(framing):
    images = [scene(cell(60 + 3 * n, 80, 10 + n % 9)) for n in range(framing.least or 3)]
    found = [framing.measure(image) for image in images]
    spec = FramingSpec(name=framing.name)
    fitted = spec.fitted(found)
    assert spec.fitted(found[::-1]) == fitted
    assert FramingSpec.model_validate_json(fitted.model_dump_json()) == fitted
    assert (fitted != spec) == (framing.least > 0)
    assert spec.fitted(found[:5]) == spec


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


# --- the scale of a dataset


def scaled(diameter: float = 40, *, whole: bool = False) -> Cell:
    """The framing of a dataset whose nuclei have this diameter."""
    return Cell(scale=Scale(diameter=diameter, images=50, whole=whole))


def fitted(images: Sequence[np.ndarray]) -> Cell:
    """The framing that these images decide."""
    return FramingSpec(name="cell").fitted([Cell().measure(image) for image in images]).build()


@pytest.mark.parametrize(
    ("radius", "shown"), [(20, 20), (25, 25), (16, 16), (32, 20 * ALIKE), (11, 20 / ALIKE)]
)
def test_nuclei_of_an_unusual_size_take_the_nearest_usual_one(radius, shown):
    (x, y, width, height), confidence = scaled().judged(scene(cell(100, 80, radius)))
    assert width == height == pytest.approx(4 * shown, rel=0.1)
    assert (x + width / 2, y + height / 2) == pytest.approx((100, 80), abs=2)
    assert (confidence >= SURE) == (shown == radius)
    assert confidence == pytest.approx(min(radius / 20, 20 / radius), rel=0.1)


@pytest.mark.parametrize("content", [[], cell()[:3], [*cell()[:3], (30, 30, 7, NUCLEUS)]])
def test_where_no_nucleus_can_be_right_the_middle_is_shown_at_the_usual_size(content):
    image = scene(content)
    box, confidence = scaled().judged(image)
    assert box == (60, 40, 80, 80)
    assert confidence < UNSURE


def test_where_cells_lie_anywhere_an_image_without_a_nucleus_stays_whole():
    places = [(60 + 4 * n, 50 + 3 * n) for n in range(LEAST)]
    framing = fitted([scene(cell(x, y, 20)) for x, y in places])
    assert not framing.scale.middle
    assert fitted([scene(cell(98 + n % 5, 80, 20)) for n in range(LEAST)]).scale.middle
    assert framing.judged(scene(cell()[:3])) == (None, 0.0)


@given(st.floats(5, 70), st.floats(20, 180), st.floats(20, 140), st.booleans())
@settings(max_examples=10, deadline=None)
def test_no_square_is_larger_than_its_image(radius, x, y, known):
    image = scene(cell(x, y, radius))
    box, _ = (scaled() if known else Cell()).judged(image)
    assert box is None or box[2] == box[3] <= 200


def test_an_odd_image_does_not_change_the_scale_of_a_dataset():
    images = [scene(cell(100, 80, 18 + n % 5), seed=n) for n in range(30)]
    odd = [scene(cell(100, 80, 45)), scene([]), scene([(100, 80, 70, NUCLEUS)])]
    usual, other = fitted(images).scale, fitted([*images, *odd]).scale
    assert usual.diameter == pytest.approx(40, rel=0.05)
    assert other.diameter == pytest.approx(usual.diameter, rel=0.02)
    assert (usual.images, usual.whole, other.whole) == (30, False, False)


@given(st.randoms(use_true_random=False))
@settings(max_examples=2, deadline=None)
def test_crops_of_the_same_cells_are_cut_to_the_same_squares(random):
    """Wide, loose and off-centre crops, each framed as a dataset of its own."""
    wholes, crops = [], []
    for number in range(LEAST):
        x, y, radius = random.uniform(80, 120), random.uniform(70, 90), random.uniform(14, 22)
        wholes.append(scene(cell(x, y, radius), seed=number))
        half = 1.5 * radius * random.uniform(1.4, 2)
        left, top = (round(place - half + random.uniform(-0.3, 0.3) * radius) for place in (x, y))
        crops.append((max(0, left), max(0, top), round(left + 2 * half), round(top + 2 * half)))
    parts = [
        image[top:bottom, left:right] for image, (left, top, right, bottom) in zip(wholes, crops, strict=True)
    ]
    one, other = fitted(wholes), fitted(parts)
    for whole, part, (left, top, _, _) in zip(wholes, parts, crops, strict=True):
        x, y, side, _ = one.box(whole)
        u, v, again, _ = other.box(part)
        assert abs(u + left - x) <= 0.1 * side
        assert abs(v + top - y) <= 0.1 * side
        assert again == pytest.approx(side, rel=0.12)


def tight(number: int) -> np.ndarray:
    """A crop that a nucleus fills."""
    return scene([(40, 40, 38, CYTOPLASM), (40, 40, 30 + number % 6, NUCLEUS)], 80, 80, seed=number)


def test_images_that_are_framed_already_are_shown_whole():
    images = [tight(number) for number in range(LEAST)]
    framing = fitted(images)
    assert framing.scale.whole
    assert framing.judged(images[0]) == ((0, 0, 80, 80), 1.0)
    assert "framed already" in framing.news(Cell())
    assert not fitted([*images, *(scene(cell(), seed=n) for n in range(LEAST + 1))]).scale.whole


@pytest.mark.parametrize(("unusual", "said"), [(10, False), (11, True)])
def test_many_nuclei_of_an_unusual_size_may_be_of_another_magnification(unusual, said):
    scale = {"diameter": 40.0, "images": 30, "whole": False, "middle": True}
    account = FramingAccount(framing={"name": "cell", "scale": scale}, missed=0, unusual=unusual)
    [line] = account.lines("folder/mine")
    assert f"{unusual} images of folder/mine with a nucleus of unusual size" in line
    assert ("may be of two magnifications: if they are, use them as two datasets" in line) == said


def test_few_nuclei_in_many_tight_crops_are_enough_to_know_them():
    images = [tight(number) for number in range(LEAST // 2)]
    empty = [np.full((80, 80, 3), 90 + number, np.uint8) for number in range(LEAST // 2)]
    framing = fitted([*images, *empty])
    assert framing.scale.whole
    assert framing.judged(images[0]) == ((0, 0, 80, 80), 1.0)
    assert fitted([*images, *empty[1:]]).scale is None  # too few were looked at
    assert fitted(empty * 2).scale is None  # of what size cells are is not known at all
    wide = [scene(cell(), seed=n) for n in range(LEAST - 1)]
    assert fitted([*wide, *(scene(cell()[:3], seed=n) for n in range(9))]).scale is None  # most are not tight


def test_a_known_scale_stays_unless_the_images_are_clearly_of_another():
    def relearned(radius: float, count: int = LEAST) -> Scale:
        images = [scene(cell(100, 80, radius), seed=n) for n in range(count)]
        spec = FramingSpec(name="cell", scale=scaled().scale.model_dump())
        return spec.fitted([Cell().measure(image) for image in images]).options["scale"]

    assert relearned(24) == relearned(16) == relearned(34, LEAST - 1) == scaled().scale
    other = relearned(34)
    assert other.diameter == pytest.approx(68, rel=0.1)
    assert "another scale" in Cell(scale=other).news(scaled())
    assert Cell(scale=other).news(Cell(scale=other)) == Cell(scale=other).news(Cell()) == ""


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
    framed = cached_framed(cells, 48, store, spec)
    assert framed.framing == spec, "there are too few images to learn from"
    assert [
        path for path, sure in zip(cells.table["path"], framed.confidence, strict=True) if sure < UNSURE
    ] == ["monocyte/0.png"]
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
    aim = target()
    size = max(192, result.model.backbone.image_size)
    found = [Cell().measure(image.permute(1, 2, 0).numpy()) for image in aim.read(range(len(aim)), size)]
    assert result.model.framing_spec == FramingSpec(name="cell").fitted(found)
    assert result.model.framing_spec.options["scale"] is not None
    assert result.record.framed[aim.full_name].framing == result.model.framing_spec.model_dump(mode="json")
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
    assert "No cell was found in 1 image" in " ".join(str(result).split())
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


def cells_of(root: Path, radius: Callable[[int], float], count: int = 15) -> Path:
    """Two classes of cells in files, with nuclei of these radii."""
    for seed, name in ((0, "basophil"), (100, "monocyte")):
        (root / name).mkdir(parents=True)
        for number in range(count):
            image = scene(cell(100, 80, radius(number)), seed=seed + number)
            Image.fromarray(image).save(root / name / f"{number:02}.png")
    return root


def test_the_scale_is_learned_once_stored_with_the_pixels_and_the_same_in_any_order(tmp_path):
    cells = cellda.datasets.load("folder", cells_of(tmp_path / "cells", lambda number: 12 + number))
    spec = FramingSpec(name="cell")
    framed = cached_framed(cells, 48, Store(tmp_path / "store"), spec)
    assert framed.framing.options["scale"].images == len(cells)
    other = cellda.datasets.load("folder", tmp_path / "cells")
    other.table = other.table.iloc[::-1].reset_index(drop=True)
    again = cached_framed(other, 48, Store(tmp_path / "other"), spec)
    assert again.framing == framed.framing
    assert torch.equal(again.confidence.flip(0), framed.confidence)
    pixels = [
        cached_pixels(one, 48, Store(tmp_path / place), spec)
        for one, place in ((cells, "store"), (other, "other"))
    ]
    assert torch.equal(pixels[0], pixels[1].flip(0))
    account = framed.account(spec)
    assert account.unusual > 0
    assert f"{account.unusual} images of folder" in " ".join(account.lines("folder"))


def test_a_model_frames_new_images_of_its_microscope_by_what_it_learned(tmp_path):
    cells = cellda.datasets.load("folder", cells_of(tmp_path / "cells", lambda number: 18 + number % 5))
    model = (
        recipe(framing="cell", few_shot={"n": 4}, adapter="none")
        .run(cells, store=tmp_path / "store", progress=False)
        .model
    )
    model.seen = None
    model = CellClassifier.load(model.save(tmp_path / "model"))
    scale = model.framing_spec.options["scale"]
    assert scale.diameter == pytest.approx(40, rel=0.05)

    def network(radius: float, count: int) -> tuple[Scale, str]:
        images = [scene(cell(100, 80, radius), seed=number) for number in range(count)]
        fitting, _, news = model.network().framed_for(pictures(images))
        return fitting.framing.options["scale"], news

    assert network(22, 30) == (scale, "")
    assert network(35, LEAST - 1) == (scale, "")
    other, news = network(35, LEAST)
    assert other.diameter == pytest.approx(70, rel=0.1)
    assert "another scale" in news
    images = [scene(cell(100, 80, 35), seed=number) for number in range(LEAST)]
    with pytest.warns(UserWarning, match="another scale"):
        together = model.predict(image for image in images).probabilities
    with pytest.warns(UserWarning, match="another scale"):
        assert torch.equal(together, model.predict(images).probabilities)


def test_images_that_are_framed_already_are_said_and_recorded(tmp_path, capsys):
    for seed, name in ((0, "basophil"), (100, "monocyte")):
        (tmp_path / "cells" / name).mkdir(parents=True)
        for number in range(seed, seed + LEAST):
            Image.fromarray(tight(number)).save(tmp_path / "cells" / name / f"{number:02}.png")
    cells = cellda.datasets.load("folder", tmp_path / "cells")
    result = recipe(framing="cell", few_shot={"n": 4}, adapter="none").run(cells, store=tmp_path / "store")
    assert result.record.framed[cells.full_name].framing["scale"]["whole"]
    for said in (capsys.readouterr().err, str(result)):
        assert f"{cells.full_name}: The images are framed already" in " ".join(said.split())
    whole = cells.read(range(len(cells)), 48)
    assert torch.equal(cached_pixels(cells, 48, Store(tmp_path / "other"), FramingSpec(name="cell")), whole)
