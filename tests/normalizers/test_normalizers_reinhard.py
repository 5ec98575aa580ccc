"""The Reinhard transform against its formulas written out, kornia and scikit-image."""

import math
from collections.abc import Callable

import kornia
import numpy as np
import pytest
import skimage.color
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import cellda.normalizers
from cellda.errors import ConfigurationError, DataError
from cellda.imaging.colour_space import LAB, LALPHABETA, ColourSpace, shear, unshear
from cellda.normalizers.reinhard import Reference

PAPER_MEAN = (-0.4052762362389589, -0.07202646968215255, 0.01747981861569773)
PAPER_STD = (0.45889156503010636, 0.15995689328283794, 0.02254376531226124)
LAB_REFERENCE = Reference(mean=(75.0, 12.0, -6.0), std=(14.0, 9.0, 11.0))
MILD = Reference(mean=(-1.2, -0.02, 0.01), std=(0.10, 0.03, 0.004))
"""An l-alpha-beta reference that clips nothing."""


def noise(count: int, height: int, width: int, seed: int, low: float = 0.02, high: float = 1.0) -> Tensor:
    """Correlated colours, as stains are: one grey level a pixel and a little of its own in each channel."""
    generator = torch.Generator().manual_seed(seed)
    grey = torch.rand(count, 1, height, width, generator=generator)
    own = torch.rand(count, 3, height, width, generator=generator)
    return low + (high - low) * (0.8 * grey + 0.2 * own)


def noises(darkest: float) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorator of a test that takes the arguments of `noise`; no channel is below `darkest`."""
    images = given(
        seed=st.integers(0, 10_000),
        height=st.integers(4, 40),
        width=st.integers(4, 40),
        low=st.floats(darkest, 0.5),
        high=st.floats(0.6, 1.0),
    )
    return lambda test: settings(max_examples=25)(images(test))


def step_by_step(
    images: Tensor, reference_mean: tuple[float, ...], reference_std: tuple[float, ...]
) -> Tensor:
    """Reinhard's l-alpha-beta transform pixel sum by pixel sum, in float64 numpy."""
    results = []
    for image in images.double().numpy():
        red, green, blue = image
        log_l = np.log(0.3811 * red + 0.5783 * green + 0.0402 * blue)
        log_m = np.log(0.1967 * red + 0.7244 * green + 0.0782 * blue)
        log_s = np.log(0.0241 * red + 0.1288 * green + 0.8444 * blue)
        channels = [
            (log_l + log_m + log_s) / math.sqrt(3),
            (log_l + log_m - 2 * log_s) / math.sqrt(6),
            (log_l - log_m) / math.sqrt(2),
        ]
        first, second, third = (
            (c - c.mean()) * (std / c.std(ddof=1)) + mean
            for c, mean, std in zip(channels, reference_mean, reference_std, strict=True)
        )
        l_ = np.exp(first / math.sqrt(3) + second / math.sqrt(6) + third / math.sqrt(2))
        m_ = np.exp(first / math.sqrt(3) + second / math.sqrt(6) - third / math.sqrt(2))
        s_ = np.exp(first / math.sqrt(3) - 2 * second / math.sqrt(6))
        rgb = [
            4.4679 * l_ - 3.5873 * m_ + 0.1193 * s_,
            -1.2186 * l_ + 2.3809 * m_ - 0.1624 * s_,
            0.0497 * l_ - 0.2439 * m_ + 1.2045 * s_,
        ]
        results.append(np.clip(np.stack(rgb), 0, 1))
    return torch.from_numpy(np.stack(results))


def kornia_composition(images: Tensor, reference: Reference) -> Tensor:
    lab = kornia.color.rgb_to_lab(images)
    mean, std = lab.mean((2, 3), keepdim=True), lab.std((2, 3), keepdim=True)
    target_mean, target_std = (images.new_tensor(v)[:, None, None] for v in (reference.mean, reference.std))
    return kornia.color.lab_to_rgb((lab - mean) * target_std / std + target_mean)


def coordinates(images: Tensor, space: ColourSpace) -> Tensor:
    """`(B, 3, N)` in the colour space."""
    planes = shear(space.curve(images.flatten(2)), space.steps)[:, space.order]
    return planes * images.new_tensor(space.scale)[:, None] + images.new_tensor(space.offset)[:, None]


@noises(darkest=0.005)
def test_lalphabeta_equals_the_formulas(seed, height, width, low, high):
    images = noise(2, height, width, seed, low, high)
    result = cellda.normalizers.create("reinhard", mask=None)(images)
    torch.testing.assert_close(
        result.double(), step_by_step(images, PAPER_MEAN, PAPER_STD), atol=1e-4, rtol=0
    )


def test_the_paper_in_lalphabeta_is_the_default():
    images = noise(2, 30, 20, 0, low=0.1)
    expected = step_by_step(images, PAPER_MEAN, PAPER_STD)
    torch.testing.assert_close(
        cellda.normalizers.create("reinhard")(images).double(), expected, atol=1e-4, rtol=0
    )


@pytest.mark.parametrize(
    ("options", "exact"),
    [
        ({"mask": None}, lambda x: step_by_step(x, PAPER_MEAN, PAPER_STD)),
        (
            {"space": "lab", "reference": LAB_REFERENCE, "mask": None},
            lambda x: kornia_composition(x.double(), LAB_REFERENCE),
        ),
    ],
    ids=["lalphabeta", "lab"],
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_many_chunks_in_either_layout_equal_the_formulas(options, exact, layout):
    images = noise(15, 192, 160, 4, low=0.0).clamp(min=1 / 255)
    result = cellda.normalizers.create("reinhard", **options)(images.contiguous(memory_format=layout))
    assert result.is_contiguous(memory_format=layout)
    torch.testing.assert_close(result.double(), exact(images), atol=1e-4, rtol=0)


def test_faint_colour_does_not_drown_in_float32():
    # beta deviates by 1e-3 here, l by 0.5: a covariance of log-LMS taken in float32 would miss it.
    grey = 0.2 + 0.7 * torch.rand(2, 1, 96, 96, generator=torch.Generator().manual_seed(1))
    images = grey + 1e-3 * torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(2))
    result = cellda.normalizers.create("reinhard", mask=None)(images)
    torch.testing.assert_close(
        result.double(), step_by_step(images, PAPER_MEAN, PAPER_STD), atol=1e-4, rtol=0
    )


def test_channels_below_one_grey_level_count_as_one():
    images = noise(1, 16, 16, 3)
    images[0, :, 4:6, 4:6] = 0
    images[0, 2, 8:, :3] = 1e-9
    result = cellda.normalizers.create("reinhard", mask=None)(images)
    expected = step_by_step(images.clamp(min=1 / 255), PAPER_MEAN, PAPER_STD)
    torch.testing.assert_close(result.double(), expected, atol=1e-4, rtol=0)
    assert result[0, :, 4:6, 4:6].max() < result[0].median(), "black must not turn white"


@noises(darkest=0.0)
def test_lab_equals_the_kornia_composition(seed, height, width, low, high):
    images = noise(2, height, width, seed, low, high)
    result = cellda.normalizers.create("reinhard", space="lab", reference=LAB_REFERENCE, mask=None)(images)
    torch.testing.assert_close(result, kornia_composition(images, LAB_REFERENCE), atol=1e-4, rtol=0)


def test_lab_equals_kornia_where_colours_leave_the_gamut():
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    wild = Reference(mean=(50.0, 40.0, 90.0), std=(60.0, 80.0, 80.0))
    result = cellda.normalizers.create("reinhard", space="lab", reference=wild, mask=None)(images)
    torch.testing.assert_close(result, kornia_composition(images, wild), atol=1e-4, rtol=0)


def test_lab_coordinates_are_those_of_scikit_image():
    colours = torch.tensor(
        [
            [1, 1, 1],
            [0, 0, 0],
            [1, 0, 0],
            [0, 1, 0],
            [0, 0, 1],
            [0.5, 0.5, 0.5],
            [0.35, 0.2, 0.55],
            [0.01, 0.02, 0.03],
        ]
    )
    expected = torch.from_numpy(skimage.color.rgb2lab(colours.numpy())).float()
    torch.testing.assert_close(
        coordinates(colours.T[None, :, :, None], LAB)[0].T, expected, atol=0.02, rtol=0
    )


@pytest.mark.parametrize("space", [LALPHABETA, LAB], ids=["lalphabeta", "lab"])
def test_spaces_are_left_as_they_were_entered(space):
    rgb = 0.05 + 0.9 * torch.rand(2, 3, 500, generator=torch.Generator().manual_seed(0)).double()
    planes = shear(space.curve(rgb), space.steps)
    # Through the coordinates, as the transform goes: the constants may differ on the two ways.
    mean, std = space.coordinates(planes.mean(2), planes.std(2))
    back_mean, back_std = (torch.stack(v) for v in zip(*map(space.planes, mean, std), strict=True))
    torch.testing.assert_close(back_std, planes.std(2))
    moved = unshear(planes + (back_mean - planes.mean(2))[:, :, None], space.steps)
    # Reinhard's published LMS matrices are rounded: their product is not quite the identity.
    tolerance = 1e-2 if space is LALPHABETA else 1e-5
    torch.testing.assert_close(space.uncurve(moved), rgb, atol=tolerance, rtol=0)


def test_the_result_has_the_statistics_of_the_reference_in_lalphabeta():
    result = cellda.normalizers.create("reinhard", reference=MILD)(noise(3, 40, 30, 5)).double()
    assert result.min() > 0
    assert result.max() < 1, "the reference clips: the test says nothing"
    # The published way back to RGB, undone exactly: its rounding would blur the statistics.
    back = [[4.4679, -3.5873, 0.1193], [-1.2186, 2.3809, -0.1624], [0.0497, -0.2439, 1.2045]]
    lms = torch.linalg.solve(torch.tensor(back, dtype=torch.float64), result.flatten(2))
    l_, m_, s_ = lms.log().unbind(1)
    rotated = ((l_ + m_ + s_) / math.sqrt(3), (l_ + m_ - 2 * s_) / math.sqrt(6), (l_ - m_) / math.sqrt(2))
    measured = torch.stack(rotated, 1)
    for found, wanted in ((measured.mean(2), MILD.mean), (measured.std(2), MILD.std)):
        torch.testing.assert_close(found, torch.tensor(wanted).double().expand(3, 3), atol=1e-5, rtol=0)


def test_the_result_has_the_statistics_of_the_reference_in_lab():
    reference = Reference(mean=(65.0, 5.0, 3.0), std=(6.0, 2.0, 2.0))
    result = cellda.normalizers.create("reinhard", space="lab", reference=reference)(noise(3, 40, 30, 5))
    assert result.min() > 0
    assert result.max() < 1, "the reference clips: the test says nothing"
    measured = kornia.color.rgb_to_lab(result.double()).flatten(2)
    for found, wanted in ((measured.mean(2), reference.mean), (measured.std(2), reference.std)):
        torch.testing.assert_close(found, torch.tensor(wanted).double().expand(3, 3), atol=1e-3, rtol=0)


@pytest.mark.parametrize(("name", "space"), [("lalphabeta", LALPHABETA), ("lab", LAB)])
def test_the_source_reference_is_the_mean_of_the_statistics_of_single_images(name, space):
    source = [noise(3, 20, 20, 1), noise(2, 20, 20, 2, low=0.3), noise(1, 10, 30, 3)]
    normalizer = cellda.normalizers.create("reinhard", space=name, reference="source")
    assert normalizer.needs_fit
    normalizer.fit(iter(source))
    assert not normalizer.needs_fit
    single = [coordinates(image[None].double(), space) for batch in source for image in batch]
    mean = torch.stack([c.mean(2)[0] for c in single]).mean(0)
    std = torch.stack([c.std(2)[0] for c in single]).mean(0)
    torch.testing.assert_close(normalizer.reference_mean.double(), mean, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(normalizer.reference_std.double(), std, atol=1e-4, rtol=1e-5)


def test_fitting_again_replaces_the_reference():
    normalizer = cellda.normalizers.create("reinhard", reference="source")
    normalizer.fit([noise(2, 8, 8, 0)])
    normalizer.fit([noise(2, 8, 8, 1, low=0.5)])
    once = cellda.normalizers.create("reinhard", reference="source")
    once.fit([noise(2, 8, 8, 1, low=0.5)])
    assert torch.equal(normalizer.reference_mean, once.reference_mean)


def test_a_source_that_equals_its_own_reference_stays_as_it_is():
    image = noise(1, 32, 32, 0, low=0.1, high=0.9)
    normalizer = cellda.normalizers.create("reinhard", space="lab", reference="source")
    normalizer.fit([image])
    torch.testing.assert_close(normalizer(image), image, atol=1e-3, rtol=0)


def test_black_padding_of_the_source_stays_out_of_the_reference():
    images = noise(2, 40, 40, 0, low=0.65)
    padded = torch.zeros(2, 3, 40, 60)
    padded[..., :40] = images
    references = []
    for source in (images, padded):
        normalizer = cellda.normalizers.create("reinhard", reference="source")
        normalizer.fit([source])
        references.append((normalizer.reference_mean, normalizer.reference_std))
    torch.testing.assert_close(references[0], references[1], atol=1e-5, rtol=1e-4)


def test_a_given_or_published_reference_needs_no_source():
    def must_not_be_read():
        raise AssertionError("the source was read for nothing")
        yield

    for options in ({}, {"reference": {"mean": (0, 0, 0), "std": (1, 1, 1)}}):
        normalizer = cellda.normalizers.create("reinhard", **options)
        assert not normalizer.needs_fit
        before = normalizer.reference_mean.clone()
        normalizer.fit(must_not_be_read())
        assert torch.equal(normalizer.reference_mean, before)


def test_forward_before_fit_says_what_to_do():
    with pytest.raises(ConfigurationError, match=r"fit\(batches\)"):
        cellda.normalizers.create("reinhard", reference="source")(torch.rand(1, 3, 8, 8))


@pytest.mark.parametrize("source", [[], [torch.empty(0, 3, 8, 8)]])
def test_fitting_on_nothing_is_refused(source):
    normalizer = cellda.normalizers.create("reinhard", reference="source")
    with pytest.raises(DataError, match="no source images"):
        normalizer.fit(source)
    assert normalizer.needs_fit


def test_fitting_on_broken_images_changes_nothing():
    normalizer = cellda.normalizers.create("reinhard", reference="source")
    with pytest.raises(DataError, match="NaN"):
        normalizer.fit([noise(2, 8, 8, 0), torch.full((1, 3, 8, 8), torch.nan)])
    assert normalizer.needs_fit


def test_fitting_on_a_tensor_instead_of_batches_is_refused():
    with pytest.raises(DataError, match=r"\(B, 3, H, W\)"):
        cellda.normalizers.create("reinhard", reference="source").fit(torch.rand(4, 3, 8, 8))


@pytest.mark.parametrize("options", [{"space": "lab"}, {"space": "lab", "reference": "paper"}])
def test_the_papers_reference_in_lab_is_refused_with_the_remedy(options):
    with pytest.raises(ConfigurationError, match=r"l-alpha-beta statistics.*reference='source'"):
        cellda.normalizers.create("reinhard", **options)


@pytest.mark.parametrize(
    "reference",
    [
        {"mean": (0, 0, 0), "std": (1, 0, 1)},
        {"mean": (0, 0, 0), "std": (1, -1, 1)},
        {"mean": (0, math.nan, 0), "std": (1, 1, 1)},
        {"mean": (0, 0), "std": (1, 1, 1)},
        {"mean": (0, 0, 0)},
        "barcelona",
    ],
)
def test_impossible_references_are_refused(reference):
    with pytest.raises(ConfigurationError, match="reference"):
        cellda.normalizers.create("reinhard", reference=reference)


def test_options_are_shown():
    shown = repr(cellda.normalizers.create("reinhard", space="lab", reference="source", mask=None))
    assert shown == "Reinhard(space='lab', reference='source', mask=None)"


def test_a_grey_image_gets_no_colour_noise():
    # In float32 alpha and beta of a grey image are rounding; stretched to the reference they would be confetti.
    grey = (
        torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0)).expand(1, 3, 64, 64) * 0.8 + 0.1
    )
    for options in ({"reference": MILD}, {"space": "lab", "reference": LAB_REFERENCE}):
        result = cellda.normalizers.create("reinhard", **options)(grey.clone())
        order = grey[0, 0].flatten().argsort()
        jumps = result[0].flatten(1)[:, order].diff(dim=1)
        assert jumps.min() > -2e-3, "equal greys came out in different colours"
