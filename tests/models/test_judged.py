"""Which images a model cannot judge: what is no cell is flagged, cells are not, at the rate that is stated."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.spatial.distance import mahalanobis
from sklearn.covariance import LedoitWolf

import cellda.datasets
import tiny
from cellda import CellClassifier
from cellda.models.judged import Flag, Gaussians, flags_of, has_class, quantile, seen_of
from cellda.models.looks import Looks, count_nuclei, look_at, sharpness
from cellda.models.prediction import flagged

SIDE = 120


@pytest.fixture(scope="module")
def cells() -> np.ndarray:
    """Forty rendered cells, `(40, SIDE, SIDE, 3)`."""
    drawn = cellda.datasets.load("synthetic/1", per_class=7)
    return np.ascontiguousarray(drawn.read(range(40), SIDE).permute(0, 2, 3, 1).numpy())


def field(cells: np.ndarray) -> np.ndarray:
    """3000 x 2000 pixels of a smear with forty cells."""
    image = np.empty((2000, 3000, 3), np.uint8)
    image[:] = np.median(cells[:, :4, :4].reshape(-1, 3), axis=0)
    for number, cell in enumerate(cells):
        y, x = 80 + 400 * (number // 8), 100 + 360 * (number % 8)
        image[y : y + 240, x : x + 240] = np.asarray(Image.fromarray(cell).resize((240, 240)))
    return image


def looks(image: np.ndarray) -> Looks:
    return look_at(image, np.asarray(Image.fromarray(image).resize((64, 64), Image.Resampling.BILINEAR)))


RANDOM = np.random.default_rng(0)
EMPTY = np.clip(RANDOM.normal((225, 205, 215), 4, (360, 360, 3)), 0, 255).astype(np.uint8)
NOT_CELLS = {
    "1x1": np.full((1, 1, 3), 120, np.uint8),
    "all black": np.zeros((300, 300, 3), np.uint8),
    "all white": np.full((300, 300, 3), 255, np.uint8),
    "an empty smear": EMPTY,
    "noise": RANDOM.integers(0, 256, (360, 360, 3)).astype(np.uint8),
}


@pytest.mark.parametrize("name", NOT_CELLS)
def test_what_shows_no_nucleus_is_flagged_and_has_no_class(name: str) -> None:
    flags = flags_of(looks(NOT_CELLS[name]), None, 0.0)
    assert flags == Flag.NO_NUCLEUS
    assert not has_class(flags)


def test_a_field_of_forty_cells_is_a_field(cells: np.ndarray) -> None:
    whole = field(cells)
    for image in (whole, whole[::4, ::4].copy(), whole[:1000, :1500].copy()):
        assert count_nuclei(image) >= 4
        assert flags_of(looks(image), None, 0.0) == Flag.FIELD
    assert not has_class(Flag.FIELD)


@pytest.mark.parametrize("count", [4, 9, 16])
@pytest.mark.parametrize("background", [True, False])
def test_a_few_large_cells_are_a_field(cells: np.ndarray, count: int, background: bool) -> None:
    """Their nuclei are as large, relative to the picture, as that of a cell on its own."""
    across, side = int(count**0.5), 300
    image = np.empty((across * side, across * side, 3), np.uint8)
    image[:] = np.median(cells[:, :4, :4].reshape(-1, 3), axis=0)
    recognised = 0
    for start in range(0, 20, 4):
        for place in range(count):
            y, x = side * (place // across), side * (place % across)
            size = side - 60 if background else side
            cell = Image.fromarray(cells[(start + place) % len(cells)]).resize((size, size))
            image[y : y + size, x : x + size] = np.asarray(cell)
        recognised += flags_of(looks(image), None, 0.0) == Flag.FIELD
    assert recognised >= 4


def test_rendered_cells_are_cells(cells: np.ndarray) -> None:
    found = [flags_of(looks(cell), None, 0.0) for cell in cells]
    assert found.count("") >= 38
    assert Flag.FIELD not in found


def test_sharpness_is_the_variance_of_the_laplacian() -> None:
    from scipy.ndimage import laplace

    image = RANDOM.integers(0, 256, (30, 30, 3)).astype(np.uint8)
    grey = np.asarray(Image.fromarray(image).convert("L"), float)
    assert sharpness(image) == pytest.approx(np.log2(1 + laplace(grey)[1:-1, 1:-1].var()), rel=1e-5)
    assert sharpness(np.full((9, 9, 3), 7, np.uint8)) == 0


def clouds(number: int, seed: int, classes: int = 3, width: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    groups = torch.arange(number) % classes
    centres = 6 * torch.randn(classes, width, generator=torch.Generator().manual_seed(0))
    mixing = torch.randn(width, width, generator=torch.Generator().manual_seed(1))
    return centres[groups] + torch.randn(number, width, generator=generator) @ mixing, groups


def test_the_distance_is_mahalanobis_to_the_nearest_class() -> None:
    stored, groups = clouds(300, 2)
    found = Gaussians.fitted(stored, groups).distances(torch.cat([stored[:4], stored[:4] + 20]))
    means = [stored[groups == number].double().mean(0).numpy() for number in range(3)]
    rest = np.concatenate([stored[groups == number].double().numpy() - means[number] for number in range(3)])
    covariance = LedoitWolf(assume_centered=True).fit(rest * np.sqrt(300 / 297)).covariance_
    inverse = np.linalg.inv(covariance)
    points = torch.cat([stored[:4], stored[:4] + 20]).double().numpy()
    expected = [min(mahalanobis(point, mean, inverse) for mean in means) for point in points]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-3)


@pytest.mark.parametrize("held", [False, True])
def test_the_stated_rate_holds_for_new_cells(held: bool) -> None:
    """Also where the threshold is calibrated on training cells: each is measured without itself."""
    rates = []
    for seed in range(10, 40):
        stored, groups = clouds(150, seed)
        judged = clouds(150, seed + 1000)[0] if held else torch.ones(150, dtype=torch.bool)
        seen = seen_of(stored, groups, judged, [1.0], [100])
        assert (seen.ranges.rate, seen.ranges.calibrated) == (0.01, 150)
        new, _ = clouds(2000, seed + 2000)
        rates.append(float((seen.gaussians.distances(new) > seen.ranges.distance).double().mean()))
    assert 0.002 < np.mean(rates) < 0.016
    far = torch.full((1, 5), 40.0)
    assert seen.gaussians.distances(far) > seen.ranges.distance


def test_too_few_cells_state_the_rate_that_they_can_hold() -> None:
    values = torch.arange(1.0, 20.0)
    assert quantile(values, 0.01) == (19.0, pytest.approx(1 / 20))
    assert quantile(torch.arange(1.0, 1000.0), 0.01) == (990.0, 0.01)


def test_embeddings_that_do_not_vary_are_no_traceback() -> None:
    seen = seen_of(torch.zeros(5, 3), torch.zeros(5).long(), torch.ones(5, dtype=torch.bool), [1.0], [])
    assert seen.gaussians.distances(torch.ones(2, 3)).isfinite().all()
    one = seen_of(torch.ones(1, 3), torch.zeros(1).long(), torch.ones(1, dtype=torch.bool), [1.0], [])
    assert one.ranges.distance >= 0


def test_flags_of_what_the_model_has_not_seen() -> None:
    stored, groups = clouds(150, 0)
    seen = seen_of(stored, groups, torch.ones(150, dtype=torch.bool), [3.0, 5.0], [100, 200])
    cell = Looks(side=150, sharpness=4.0, nucleus=True, nuclei=1)
    assert flags_of(cell, seen, 0.0) == ""
    assert flags_of(cell, seen, seen.ranges.distance + 0.1) == "unlike"
    assert flags_of(Looks(49, 4.0, True, 1), seen, 0.0) == "size"
    assert flags_of(Looks(401, 4.0, True, 1), seen, 0.0) == "size"
    assert flags_of(Looks(150, 1.9, True, 1), seen, 0.0) == "sharpness"
    assert flags_of(Looks(150, 6.1, False, 1), seen, 1e9) == "no_nucleus+sharpness+unlike"
    assert has_class("unlike")
    assert not has_class("no_nucleus+unlike")
    assert (
        flagged(["", "no_nucleus", "size+unlike"])
        == "2 of 3 images are flagged (no_nucleus 1, size 1, unlike 1)"
    )


# ------------------------------------------------------------------ stored with a model


def test_models_know_what_they_have_seen(tmp_path: Path, cells: np.ndarray) -> None:
    aim = tiny.target()
    run = tiny.recipe().run(aim, store=tmp_path / "store", progress=False)
    source = CellClassifier.load(next((tmp_path / "store" / "source").glob("*")))
    assert source.seen is not None
    assert source.seen.ranges.centres == 6
    adapted = run.model.seen
    assert adapted is not None
    assert adapted.ranges.centres > 6  # the target's classes for themselves
    assert adapted.ranges.calibrated == len(run.record.support_files)
    again = CellClassifier.load(run.model.save(tmp_path / "again"))
    assert again.seen.ranges == adapted.ranges
    assert torch.equal(again.seen.gaussians.whitening, adapted.gaussians.whitening)
    # Without a cell of the target, it has seen what the source model has.
    none = tiny.recipe(adapter="none").run(aim, store=tmp_path / "store", progress=False)
    assert none.model.seen.ranges == source.seen.ranges
    with pytest.warns(UserWarning, match=r"5 of 5 images are flagged"):
        found = run.model.predict(list(NOT_CELLS.values()))
    assert all("no_nucleus" in flags for flags in found.flags)
