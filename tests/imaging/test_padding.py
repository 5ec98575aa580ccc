"""Black padding: what is recognised, what is left alone, and what the transform makes of it."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

import cellda.normalizers
from cellda.imaging.padding import background, find_smear


def bright(count: int = 2, height: int = 60, width: int = 60, seed: int = 0) -> Tensor:
    """Smear-like noise, no pixel of which could be taken for a blended rim."""
    generator = torch.Generator().manual_seed(seed)
    return 0.65 + 0.3 * torch.rand(count, 3, height, width, generator=generator)


def rotated(size: int = 96, blur: bool = False) -> tuple[Tensor, Tensor]:
    """One image with black corners, cut along a slanted edge, and the mask of its smear."""
    image = bright(1, size, size)
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    inside = ((rows + 0.3 * columns) > 0.3 * size) & ((rows + 0.3 * columns) < 1.1 * size)
    image = image * inside
    if blur:
        image = v2.functional.gaussian_blur(image, [3, 3], [0.6, 0.6])
    return image, inside[None]


def test_images_without_black_at_the_border_are_unpadded():
    images = bright()
    images[0, :, 20:40, 20:40] = 0
    assert find_smear(images) is None


def test_a_black_corner_is_found_exactly():
    images = bright(3)
    images[1, :, :15, 45:] = 0.05
    smear = find_smear(images)
    assert smear is not None
    expected = torch.ones(3, 60, 60, dtype=torch.bool)
    expected[1, :15, 45:] = False
    assert torch.equal(smear, expected)


@pytest.mark.parametrize("level", [0.079, 0.0801])
def test_near_black_ends_at_its_threshold(level):
    images = bright(1)
    images[0, 0, :10] = level
    images[0, 1:, :10] = 0
    assert (find_smear(images) is not None) == (level < 0.08)


def test_one_bright_channel_makes_a_pixel_bright():
    images = bright(1)
    images[0, :2, :10] = 0
    assert find_smear(images) is None


@pytest.mark.parametrize(
    ("level", "dark", "kept"),
    [
        (0.02, (slice(30, 40), slice(30, 40)), (slice(30, 40), slice(30, 40))),
        (0.4, (slice(10, 30), slice(20, 40)), (slice(12, 30), slice(20, 40))),
    ],
    ids=["a nucleus inside stays", "a cell at the padding loses its rim only"],
)
def test_what_is_dark_in_a_padded_image_is_not_padding(level, dark, kept):
    images = bright(1)
    images[0, :, :10] = 0
    images[0, :, *dark] = level
    smear = find_smear(images)
    assert smear is not None
    assert smear[0, *kept].all()
    assert not smear[0, :10].any()


@pytest.mark.parametrize(("pixels", "found"), [(17, False), (18, True)])
def test_less_than_half_a_percent_is_left_alone(pixels, found):
    images = bright(1)
    images[0, :, 0, :pixels] = 0
    assert (find_smear(images) is not None) == found


def test_four_small_corners_count_together():
    images = bright(1)
    for rows in (slice(0, 3), slice(-3, None)):
        for columns in (slice(0, 3), slice(-3, None)):
            images[0, :, rows, columns] = 0
    smear = find_smear(images)
    assert smear is not None
    assert (~smear).sum() == 36


def test_padding_does_not_leak_between_images():
    images = bright(2)
    images[0, :, :20] = 0
    images[1, :, 10:30, 10:30] = 0
    smear = find_smear(images)
    assert smear is not None
    assert smear[1].all()


def test_the_blended_rim_belongs_to_the_padding():
    image, inside = rotated(blur=True)
    smear = find_smear(image)
    assert smear is not None
    brightest = image[0].amax(0)
    assert ((brightest > 0.08) & (brightest < 0.55)).sum() > 50, "the image has no rim: the test says nothing"
    assert (brightest[smear[0]] < 0.55).sum() <= 2
    assert (smear & ~inside).sum() < 0.02 * inside.sum()
    assert (inside & ~smear).sum() < 0.05 * inside.sum()


def test_an_image_that_is_dark_all_over_is_no_padding():
    assert find_smear(torch.zeros(2, 3, 40, 40)) is None
    images = torch.zeros(1, 3, 40, 40)
    images[0, :, 20, 20] = 0.9
    assert find_smear(images) is None


def test_the_background_is_the_typical_bright_colour():
    images = torch.tensor([0.5, 0.3, 0.6])[None, :, None, None].repeat(2, 1, 30, 30)
    images[:, :, :12] = torch.tensor([0.9, 0.8, 0.85])[None, :, None, None]
    images[:, :, 20, :20] = 1.0
    smear = torch.ones(2, 30, 30, dtype=torch.bool)
    torch.testing.assert_close(background(images, smear), torch.tensor([[0.9, 0.8, 0.85]] * 2))


def test_the_background_ignores_what_lies_outside():
    images = torch.full((1, 3, 10, 10), 0.4)
    images[:, :, :5] = 1.0
    smear = torch.ones(1, 10, 10, dtype=torch.bool)
    smear[:, :5] = False
    torch.testing.assert_close(background(images, smear), torch.full((1, 3), 0.4))


@pytest.mark.parametrize(
    "options",
    [{}, {"space": "lab", "reference": {"mean": (70, 10, -10), "std": (15, 10, 8)}}],
    ids=["lalphabeta", "lab"],
)
def test_a_padded_image_comes_out_like_the_smear_alone(options):
    normalizer = cellda.normalizers.create("reinhard", **options)
    plain = bright(2, 40, 50)
    padded = torch.zeros(2, 3, 55, 70)
    padded[:, :, 5:45, 20:] = plain
    result = normalizer(padded)
    torch.testing.assert_close(result[:, :, 5:45, 20:], normalizer(plain), atol=1e-5, rtol=0)
    outside = result[:, :, 45:].flatten(2)
    assert outside.std(2).max() < 1e-6, "the padding must be filled with one colour"
    assert (outside.mean(2) >= result[:, :, 5:45, 20:].flatten(2).median(2).values).all()


def test_without_the_mask_black_counts():
    image, _ = rotated()
    masked = cellda.normalizers.create("reinhard")(image)
    unmasked = cellda.normalizers.create("reinhard", mask=None)(image)
    assert (masked - unmasked).abs().mean() > 0.1


def test_a_given_mask_replaces_the_search():
    images = bright(2)
    images[:, :, :20] *= 0.5
    images[1, :, 50:] = 0
    mask = torch.ones(2, 60, 60, dtype=torch.bool)
    mask[:, :20] = False
    result = cellda.normalizers.create("reinhard")(images, mask=mask)
    unsearched = cellda.normalizers.create("reinhard", mask=None)
    torch.testing.assert_close(result[:, :, 20:], unsearched(images[:, :, 20:]), atol=1e-5, rtol=0)
    assert result[:, :, :20].flatten(2).std(2).max() < 1e-6


def test_an_empty_given_mask_takes_the_whole_image():
    images = bright(2)
    nothing = torch.zeros(2, 60, 60, dtype=torch.bool)
    normalizer = cellda.normalizers.create("reinhard", mask=None)
    torch.testing.assert_close(normalizer(images, mask=nothing), normalizer(images), atol=1e-5, rtol=0)


@pytest.mark.real
def test_padded_photographs_keep_their_contrast(data_root: Path):
    files = sorted((data_root / "bccd/images/TRAIN/NEUTROPHIL").glob("*.jpeg"))[::15]
    images = torch.stack(
        [
            v2.functional.resize(v2.functional.pil_to_tensor(Image.open(f).convert("RGB")), [128, 128]) / 255
            for f in files
        ]
    )
    smear = find_smear(images)
    assert smear is not None
    padded = ~smear.flatten(1).all(1)
    assert padded.float().mean() > 0.8
    # Cells and background, away from the corners.
    centre = (slice(None), slice(None), slice(32, 96), slice(32, 96))
    spread = cellda.normalizers.create("reinhard")(images)[padded][centre].std((2, 3)).mean(1)
    washed_out = cellda.normalizers.create("reinhard", mask=None)(images)[padded][centre].std((2, 3)).mean(1)
    assert (spread > washed_out).float().mean() > 0.95
    assert spread.mean() > 1.8 * washed_out.mean()


@pytest.mark.real
@pytest.mark.parametrize(
    "folder", ["barcelona/PBC_dataset_normal_DIB/lymphocyte", "raabin/Train/Monocyte", "jin_woo_choi/3"]
)
def test_photographs_without_padding_are_left_whole(data_root: Path, folder: str):
    files = [f for f in sorted((data_root / folder).glob("*.jpg")) if not f.name.startswith(".")][::10]
    for file in files:
        image = v2.functional.pil_to_tensor(Image.open(file).convert("RGB"))[None] / 255
        assert find_smear(image) is None, file.name
