"""Normalizers with a reference from the source, against known dyes, formulas written out, scikit-image and scikit-learn."""

import numpy as np
import pytest
import skimage.exposure
import torch
from sklearn.decomposition import NMF
from torch import Tensor

import cellda.normalizers
from cellda.errors import ConfigurationError, DataError
from cellda.normalizers.families.stain_separation import TYPICAL

FITTED = ("fda", "histogram", "macenko", "modified_reinhard", "vahadane")
AZURE, EOSIN = (0.60, 0.72, 0.34), (0.15, 0.80, 0.58)
OTHER_AZURE, OTHER_EOSIN = (0.45, 0.80, 0.40), (0.22, 0.70, 0.68)


def unit(*colours: tuple[float, ...]) -> np.ndarray:
    """Columns of length 1."""
    matrix = np.array(colours).T
    return matrix / np.linalg.norm(matrix, axis=0)


def amounts(seed: int = 0, side: int = 48) -> np.ndarray:
    """`(2, side, side)`: a third empty, the rest mostly one dye, the azure one in the middle."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side - 0.5
    away = np.hypot(x, y)
    azure = np.where(away < 0.25, random.uniform(0.8, 1.6, (side, side)), 0)
    eosin = np.where((away >= 0.25) & (away < 0.42), random.uniform(0.4, 0.9, (side, side)), 0)
    mixed = (away < 0.3) & (away > 0.2)
    return np.stack(
        [azure + 0.2 * mixed * random.random((side, side)), eosin + 0.2 * mixed * random.random((side, side))]
    )


def stained(
    dyes: np.ndarray, light: tuple[float, ...] = (0.92, 0.88, 0.84), seed: int = 0, strength: float = 1.0
) -> Tensor:
    """`(1, 3, S, S)`: what Beer and Lambert say of these dyes under this light."""
    density = np.tensordot(dyes, strength * amounts(seed), 1)
    return torch.from_numpy(np.array(light)[:, None, None] * np.exp(-density))[None]


def fitted(name: str, *images: Tensor, **options: object) -> cellda.normalizers.Normalizer:
    normalizer = cellda.normalizers.create(name, **options)
    normalizer.fit(list(images))
    return normalizer


# --- all of them


@pytest.mark.parametrize("name", FITTED)
def test_unfitted_it_refuses_to_normalize_and_says_what_to_do(name):
    normalizer = cellda.normalizers.create(name)
    assert normalizer.needs_fit
    with pytest.raises(ConfigurationError, match=rf"{name}: .*fit\(batches\)"):
        normalizer(torch.rand(1, 3, 8, 8))
    with pytest.raises(DataError, match=f"{name}: there are no source images"):
        normalizer.fit([])
    with pytest.raises(DataError, match=f"{name}: there are no source images"):
        normalizer.fit([torch.rand(0, 3, 16, 16)])
    with pytest.raises(DataError, match="NaN"):
        normalizer.fit([torch.full((1, 3, 8, 8), torch.nan)])
    assert normalizer.needs_fit


@pytest.mark.parametrize("name", FITTED)
def test_the_reference_is_the_mean_over_images_however_they_are_batched(name):
    images = [stained(unit(AZURE, EOSIN), seed=seed, strength=0.8 + 0.2 * seed) for seed in range(3)]
    one, other = fitted(name, torch.cat(images)), fitted(name, images[0], torch.cat(images[1:]))
    alone = [fitted(name, image).state_dict() for image in images]
    for key, value in one.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[key])
        if key != "fitted":
            torch.testing.assert_close(value, torch.stack([single[key] for single in alone]).mean(0))


@pytest.mark.parametrize("name", FITTED)
def test_the_source_itself_stays_nearly_as_it_is(name):
    image = stained(unit(AZURE, EOSIN))
    assert (fitted(name, image)(image) - image).abs().mean() < 0.012


@pytest.mark.parametrize("name", FITTED)
def test_black_padding_does_not_count_and_is_filled_with_background(name):
    image = stained(unit(AZURE, EOSIN))
    padded = image.clone()
    padded[:, :, :, :4] = 0
    normalizer = fitted(name, stained(unit(OTHER_AZURE, OTHER_EOSIN), light=(0.95, 0.9, 0.8)))
    result = normalizer(padded)
    assert (result - normalizer(image))[..., 8:].abs().mean() < 0.02
    assert (result[..., :4] - result[..., -2:-1, -2:-1]).abs().max() < 0.12


@pytest.mark.parametrize("name", FITTED)
def test_a_mask_replaces_the_search_for_padding(name):
    image = stained(unit(AZURE, EOSIN))
    spoilt = image.clone()
    spoilt[:, :, :, :6] = 0.5
    inside = torch.ones(1, 48, 48, dtype=torch.bool)
    inside[:, :, :6] = False
    cleared = fitted(name, image)(spoilt, mask=inside)
    assert (cleared - image)[..., 6:].abs().mean() < 0.03
    assert (fitted(name, image)(spoilt)[..., :6] - image[..., :6]).abs().mean() > 0.1


# --- stain separation


@pytest.mark.parametrize("name", ["macenko", "vahadane"])
@pytest.mark.parametrize("dyes", [(AZURE, EOSIN), (OTHER_AZURE, OTHER_EOSIN)])
def test_the_dyes_that_an_image_was_made_with_are_found(name, dyes):
    found = fitted(name, stained(unit(*dyes))).colours.numpy()
    angles = np.degrees(
        np.arccos(np.clip((found * unit(*dyes)).sum(0) / np.linalg.norm(found, axis=0), -1, 1))
    )
    assert angles.max() < (4 if name == "vahadane" else 3)  # the penalty draws it to the pure pixels
    typical = np.degrees(np.arccos((unit(*zip(*TYPICAL, strict=True)) * unit(*dyes)).sum(0)))
    assert typical.max() > 5, "the start is as near as what is found"


@pytest.mark.parametrize("name", ["macenko", "vahadane"])
def test_an_image_of_other_dyes_light_and_strength_becomes_the_sources(name):
    source = stained(unit(AZURE, EOSIN), light=(0.95, 0.92, 0.9))
    other = stained(unit(OTHER_AZURE, OTHER_EOSIN), light=(0.8, 0.85, 0.95), strength=0.6)
    before, after = ((image - source).abs().mean() for image in (other, fitted(name, source)(other)))
    assert after < 0.015
    assert before > 5 * after


@pytest.mark.parametrize("name", ["macenko", "vahadane"])
def test_amounts_are_scaled_to_the_references_99th_percentile(name):
    normalizer = fitted(name, stained(unit(AZURE, EOSIN)))
    expected = np.quantile(amounts().reshape(2, -1), 0.99, axis=1)
    tolerance = 0.15 if name == "vahadane" else 0.06
    np.testing.assert_allclose(normalizer.most.numpy(), expected, rtol=tolerance)
    stronger = fitted(name, stained(unit(AZURE, EOSIN), strength=1.5))
    np.testing.assert_allclose(stronger.most.numpy(), 1.5 * expected, rtol=tolerance)


def test_macenko_finds_what_torchstain_finds():
    torchstain = pytest.importorskip("torchstain", reason="needs the extra peers")
    image = stained(unit(AZURE, EOSIN), light=(240 / 255,) * 3, seed=3)
    theirs = torchstain.normalizers.MacenkoNormalizer(backend="torch")
    theirs.fit((image[0] * 255).round())
    ours = fitted("macenko", image).colours
    torch.testing.assert_close(ours, theirs.HERef.to(ours), atol=0.03, rtol=0)


def test_vahadane_minimises_as_well_as_scikit_learn():
    """The same objective: scikit-learn scales its L1 term by the number of features, and does not fix the colours' length."""
    image = stained(unit(OTHER_AZURE, OTHER_EOSIN))
    density = -(image[0].double() / torch.tensor([0.92, 0.88, 0.84])[:, None, None]).log().flatten(1).numpy()
    density = density[:, (density > 0.15).all(0)]
    theirs = NMF(2, init="nndsvda", solver="mu", alpha_W=0.0, alpha_H=0.0, max_iter=2000, tol=1e-8).fit(
        density.T
    )
    residual = np.linalg.norm(density.T - theirs.transform(density.T) @ theirs.components_)
    ours = fitted("vahadane", image, sparsity=0.0, steps=400).colours.double().numpy()
    mine = density - ours @ np.clip(np.linalg.pinv(ours) @ density, 0, None)
    assert np.linalg.norm(mine) < residual + 0.01 * np.linalg.norm(density)


def test_sparsity_draws_vahadanes_dyes_to_the_pure_pixels():
    """Without the penalty the factors may lie outside the cone of the pixels; with it they are drawn to its edges."""
    found = [fitted("vahadane", stained(unit(AZURE, EOSIN)), sparsity=s).colours.numpy() for s in (0.0, 0.1)]
    true = unit(AZURE, EOSIN)
    angles = [
        np.degrees(np.arccos(np.clip((f * true).sum(0) / np.linalg.norm(f, axis=0), -1, 1))).max()
        for f in found
    ]
    assert angles[1] < angles[0]


# --- histogram


def test_histogram_matching_equals_scikit_image():
    random = np.random.default_rng(0)
    source = (255 * random.beta(2, 3, (64, 64, 3))).astype(np.uint8)
    image = (255 * random.beta(4, 2, (64, 64, 3))).astype(np.uint8)
    expected = skimage.exposure.match_histograms(image, source, channel_axis=2)
    tensors = [torch.from_numpy(array).permute(2, 0, 1)[None].double() / 255 for array in (source, image)]
    result = 255 * fitted("histogram", tensors[0])(tensors[1])[0].permute(1, 2, 0).numpy()
    difference = np.abs(result - expected)
    assert difference.mean() < 1
    assert (
        np.quantile(difference, 0.99) < 3
    )  # the few extreme values are as far apart as the two conventions for them


def test_matched_images_have_the_references_quantiles():
    source, other = stained(unit(AZURE, EOSIN)), stained(unit(OTHER_AZURE, OTHER_EOSIN), strength=0.6, seed=5)
    result = fitted("histogram", source)(other)
    shares = torch.linspace(0.02, 0.98, 25, dtype=torch.float64)
    for channel in range(3):
        wanted, got = (torch.quantile(image[0, channel].flatten(), shares) for image in (source, result))
        assert (wanted - got).abs().mean() < 0.01


# --- FDA


def test_fda_equals_the_papers_formula():
    """Numpy, with shifted spectra and a central square, as the paper writes it; one symmetric source image."""
    random = np.random.default_rng(0)
    quarter = random.random((3, 16, 16))
    half = np.concatenate([quarter, quarter[:, :, ::-1]], 2)
    source = np.concatenate([half, half[:, ::-1]], 1)
    source = (source + source.transpose(0, 2, 1)) / 2
    image = 0.35 + 0.3 * random.random((3, 32, 32))
    spectrum, reference = (np.fft.fftshift(np.fft.fft2(x), axes=(1, 2)) for x in (image, source))
    amplitude, phase = np.abs(spectrum), np.angle(spectrum)
    amplitude[:, 16 - 2 : 16 + 3, 16 - 2 : 16 + 3] = np.abs(reference)[:, 16 - 2 : 16 + 3, 16 - 2 : 16 + 3]
    expected = np.fft.ifft2(np.fft.ifftshift(amplitude * np.exp(1j * phase), axes=(1, 2))).real.clip(0, 1)
    normalizer = fitted("fda", torch.from_numpy(source)[None], cycles=2)
    np.testing.assert_allclose(normalizer(torch.from_numpy(image)[None])[0].numpy(), expected, atol=1e-5)


def test_fda_without_cycles_exchanges_the_mean_colour_alone():
    source, image = 0.3 + 0.2 * torch.rand(1, 3, 20, 20), 0.4 + 0.2 * torch.rand(1, 3, 30, 24)
    result = fitted("fda", source, cycles=0)(image)
    expected = image - image.mean((2, 3), True) + source.mean((2, 3), True)
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=0)


# --- modified Reinhard


def test_how_much_of_the_frame_a_cell_fills_does_not_matter():
    """The same cell in a frame twice as wide: the anchored transform gives it the same colours, Reinhard's does not."""
    near = stained(unit(AZURE, EOSIN), seed=2).float()
    wide = near[:, :, :1, :1].expand(1, 3, 96, 96).clone()
    wide[:, :, 24:72, 24:72] = near
    source = stained(unit(OTHER_AZURE, OTHER_EOSIN)).float()
    changes = {}
    for name, normalizer in (
        ("modified", fitted("modified_reinhard", source)),
        ("plain", fitted("reinhard", source, reference="source")),
    ):
        changes[name] = float((normalizer(wide)[:, :, 24:72, 24:72] - normalizer(near)).abs().mean())
    assert changes["modified"] < 0.005
    assert changes["plain"] > 10 * changes["modified"]


def test_modified_reinhard_equals_its_formula():
    source, image = (
        stained(unit(OTHER_AZURE, OTHER_EOSIN)),
        stained(unit(AZURE, EOSIN), light=(0.9, 0.8, 0.7)),
    )
    to_lms = np.array([[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]])
    back = np.array([[4.4679, -3.5873, 0.1193], [-1.2186, 2.3809, -0.1624], [0.0497, -0.2439, 1.2045]])
    to_lab = np.array([[1, 1, 1], [1, 1, -2], [1, -1, 0]]) / np.sqrt([[3], [6], [2]])

    def measured(picture: Tensor, light: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rgb = picture[0].flatten(1).numpy()
        coordinates, empty = (to_lab @ np.log(to_lms @ x) for x in (rgb, np.array(light)[:, None]))
        dark = np.log(rgb).mean(0) < np.log(light).mean() - 0.15
        return coordinates, empty, np.sqrt(((coordinates - empty)[:, dark] ** 2).mean(1, keepdims=True))

    _, source_empty, source_spread = measured(source, (0.92, 0.88, 0.84))
    x, empty, spread = measured(image, (0.9, 0.8, 0.7))
    y = (x - empty) * source_spread / spread + source_empty
    expected = (back @ np.exp(to_lab.T @ y)).clip(0, 1).reshape(3, 48, 48)
    result = fitted("modified_reinhard", source)(image)[0].numpy()
    np.testing.assert_allclose(result, expected, atol=1e-3)
