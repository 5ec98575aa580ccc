"""Augmentation: against geometry done by hand, and the same again from the same generator."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch import Generator, Tensor
from torch.nn import functional as F

from cellda.imaging.augment import (
    DEGRADED_SIDE,
    STAIN,
    ZOOM,
    degrade,
    random_cutout,
    random_degrade,
    random_dihedral,
    random_stain,
    random_strong,
    random_zoom,
    zoom,
)

QUICK = settings(max_examples=25)
seeds = st.integers(0, 2**31)
sides = st.integers(2, 24)


def images(count: int, side: int, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, side, side, generator=Generator().manual_seed(seed))


def smooth(side: int) -> Tensor:
    """A cell-like picture without detail finer than a few pixels, `(1, 3, side, side)`."""
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, side), torch.linspace(-1, 1, side), indexing="ij")
    blob = (-(rows**2 + 1.5 * (columns - 0.1) ** 2) * 4).exp()
    return torch.stack([1 - 0.5 * blob, 0.9 - 0.8 * blob, 0.95 - 0.3 * blob])[None]


def symmetries(image: Tensor) -> list[Tensor]:
    """The eight pictures that turning and mirroring make of `(3, S, S)`."""
    turned = [torch.rot90(image, quarter, (1, 2)) for quarter in range(4)]
    return turned + [part.flip(2) for part in turned]


@QUICK
@given(seeds, sides)
def test_dihedral_gives_every_image_one_of_its_eight_symmetries(seed: int, side: int) -> None:
    before = images(5, side, seed)
    after = random_dihedral(before, Generator().manual_seed(seed))
    for old, new in zip(before, after, strict=True):
        assert any(torch.equal(new, turned) for turned in symmetries(old))


def test_all_eight_symmetries_occur_equally_often_and_each_image_has_its_own() -> None:
    image = images(1, 3)
    many = random_dihedral(image.expand(4000, -1, -1, -1), Generator().manual_seed(0))
    counts = [int((many == turned).flatten(1).all(1).sum()) for turned in symmetries(image[0])]
    assert sum(counts) == 4000
    # 500 expected of each, with a standard deviation of 21.
    assert min(counts) > 400
    assert max(counts) < 600


def test_zoom_by_one_changes_nothing() -> None:
    before = images(3, 17)
    torch.testing.assert_close(zoom(before, torch.ones(3)), before, atol=1e-5, rtol=0)


def test_zoom_by_two_is_the_centre_enlarged() -> None:
    side = 32
    before = smooth(side)
    centre = before[..., side // 4 : -side // 4, side // 4 : -side // 4]
    enlarged = F.interpolate(centre, size=side, mode="bilinear")
    # At the rim the enlarged crop has no neighbours to mix with, the zoom has.
    torch.testing.assert_close(
        zoom(before, torch.tensor([2.0]))[..., 1:-1, 1:-1], enlarged[..., 1:-1, 1:-1], atol=1e-5, rtol=0
    )


def test_zoom_below_one_shrinks_and_fills_the_frame_by_reflection() -> None:
    before = images(1, 16)
    after = zoom(before, torch.tensor([0.5]))[0]
    # Half-pixel centres: output row r looks at (r + 0.5 - 8) * 2 + 8 - 0.5, mirrored about the frame's edges.
    rows = [(r + 0.5 - 8) * 2 + 7.5 for r in range(16)]
    for channel in range(3):
        grid = torch.meshgrid(torch.tensor(rows), torch.tensor(rows), indexing="ij")
        wanted = ndimage.map_coordinates(
            before[0, channel].numpy(), [g.numpy() for g in grid], order=1, mode="reflect"
        )
        torch.testing.assert_close(after[channel], torch.from_numpy(wanted), atol=1e-5, rtol=0)


def test_each_image_is_zoomed_by_its_own_factor() -> None:
    before = smooth(16).expand(3, -1, -1, -1)
    factors = torch.tensor([0.7, 1.0, 1.3])
    together = zoom(before, factors)
    for index in range(3):
        alone = zoom(before[:1], factors[index : index + 1])
        torch.testing.assert_close(together[index], alone[0])
    assert not torch.allclose(together[0], together[2])


def test_random_zoom_draws_log_uniform_factors_in_the_declared_range() -> None:
    # On a ramp along x about the centre, zooming by f divides the slope by f.
    ramp = torch.linspace(0, 1, 65).expand(1, 3, 65, 65)
    after = random_zoom(ramp.expand(300, -1, -1, -1).contiguous(), Generator().manual_seed(1))
    middle = after[:, 0, 32]
    factors = (1 / 64) / (middle[:, 33] - middle[:, 32])
    logs = factors.log()
    assert factors.min() >= ZOOM[0] - 1e-3
    assert factors.max() <= ZOOM[1] + 1e-3
    low, high = map(math.log, ZOOM)
    assert float(logs.mean()) == pytest.approx((low + high) / 2, abs=0.05)
    assert float(logs.std()) == pytest.approx((high - low) / math.sqrt(12), rel=0.1)


@QUICK
@given(seeds, st.integers(8, 32), st.floats(*DEGRADED_SIDE))
def test_degrading_is_resizing_down_and_up_again(seed: int, side: int, share: float) -> None:
    before = images(2, side, seed)
    small = F.interpolate(before, size=(max(1, round(side * share)),) * 2, mode="bilinear", antialias=True)
    wanted = F.interpolate(small, size=(side, side), mode="bilinear", align_corners=False)
    torch.testing.assert_close(degrade(before, share), wanted, atol=1e-6, rtol=0)


@QUICK
@given(seeds)
def test_degrading_keeps_the_brightness_and_lowers_the_detail(seed: int) -> None:
    before = images(1, 48, seed)
    detail = []
    for share in (0.9, 0.5, 0.22):
        after = degrade(before, share)
        assert float(after.mean()) == pytest.approx(float(before.mean()), abs=0.02)
        assert float(after.min()) >= 0
        assert float(after.max()) <= 1
        detail.append(float(after.diff(dim=3).abs().mean()))
    assert float(before.diff(dim=3).abs().mean()) > detail[0] > detail[1] > detail[2]


def test_random_degrade_covers_the_declared_range_image_by_image() -> None:
    before = images(1, 50).expand(60, -1, -1, -1)
    after = random_degrade(before, Generator().manual_seed(0))
    low, high = (round(50 * share) for share in DEGRADED_SIDE)
    candidates = torch.cat([degrade(before[:1], side / 50) for side in range(low, high + 1)])
    nearest = torch.cdist(
        after.flatten(1), candidates.flatten(1), compute_mode="donot_use_mm_for_euclid_dist"
    )
    assert float(nearest.min(1).values.max()) < 1e-3
    found = nearest.argmin(1)
    assert len(found.unique()) > 15
    assert int(found.min()) < 5
    assert int(found.max()) > high - low - 5


OPERATIONS = [random_dihedral, random_zoom, random_degrade, random_cutout, random_strong]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_generator_alone_decides(operation) -> None:
    before = images(6, 20)
    untouched = before.clone()
    torch.manual_seed(1)
    first = operation(before, Generator().manual_seed(5))
    torch.manual_seed(2)
    again = operation(before, Generator().manual_seed(5))
    other = operation(before, Generator().manual_seed(6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before, untouched)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_shape_dtype_and_range_stay(operation, dtype) -> None:
    after = operation(images(4, 12).to(dtype), Generator().manual_seed(0))
    assert after.shape == (4, 3, 12, 12)
    assert after.dtype == dtype
    assert float(after.min()) >= -1e-6
    assert float(after.max()) <= 1 + 1e-6


def test_stain_multiplies_densities_by_image_and_channel_and_intensities_by_the_light() -> None:
    # Dark enough that no factor reaches 1: nothing is clipped.
    before = torch.rand(400, 3, 2, 2, generator=Generator().manual_seed(3)).double() * 0.5 + 0.1
    after = random_stain(before, Generator().manual_seed(4), 1.0)
    old, new = before.log().flatten(2), after.log().flatten(2)
    # In each channel of each image the new log-intensity is a line in the old one, through all four pixels.
    slope = (new[..., 0] - new[..., 1]) / (old[..., 0] - old[..., 1])
    light = new[..., 0] - slope * old[..., 0]
    torch.testing.assert_close(new, slope[..., None] * old + light[..., None], atol=1e-6, rtol=0)
    torch.testing.assert_close(light, light[:, :1].expand(-1, 3), atol=1e-6, rtol=0)  # one light an image
    assert float(light[:, 0].std()) == pytest.approx(STAIN["exposure"] / math.sqrt(3), rel=0.1)
    # Variance of a channel's factor: that of the image and its own, both uniform; two channels share the image's.
    logs = slope.log()
    assert float(logs.var()) == pytest.approx((STAIN["density"] ** 2 + STAIN["balance"] ** 2) / 3, rel=0.15)
    assert float((logs[:, 0] - logs[:, 1]).var()) == pytest.approx(2 * STAIN["balance"] ** 2 / 3, rel=0.2)


@QUICK
@given(seeds, st.floats(0, 3))
def test_stain_stays_in_range_and_strength_none_changes_nothing(seed: int, strength: float) -> None:
    before = images(3, 5, seed)
    after = random_stain(before, Generator().manual_seed(seed), strength)
    assert float(after.min()) >= 0
    assert float(after.max()) <= 1
    assert torch.equal(after, random_stain(before, Generator().manual_seed(seed), strength))
    torch.testing.assert_close(random_stain(before, Generator().manual_seed(seed), 0.0), before)
