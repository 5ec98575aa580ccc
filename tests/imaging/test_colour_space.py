"""The two forms of CIELAB: cellda's on a CPU, kornia's on an accelerator; they must be the same to a user."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

import cellda.normalizers
import cellda.normalizers.reinhard
from cellda.imaging.colour_space import KORNIA_LAB, LAB, LALPHABETA, ColourSpace, colour_space, shear, unshear
from cellda.normalizers import Normalizer

REFERENCE = {"mean": (70.0, 12.0, -8.0), "std": (14.0, 9.0, 11.0)}


def random(seed: int = 0) -> Tensor:
    """Any colour, black, white and both sides of the curves' thresholds among them."""
    images = torch.rand(4, 3, 40, 40, generator=torch.Generator().manual_seed(seed))
    images[0, :, :4], images[1, :, :4], images[2] = 0, 1, images[2] * 0.05
    return images


def coordinates(images: Tensor, space: ColourSpace) -> Tensor:
    planes = shear(space.curve(images.flatten(2)), space.steps)[:, space.order]
    return planes * images.new_tensor(space.scale)[:, None] + images.new_tensor(space.offset)[:, None]


def in_the_form(space: ColourSpace, monkeypatch: pytest.MonkeyPatch) -> Normalizer:
    """A normalizer that uses this form of CIELAB, whatever the device."""
    monkeypatch.setattr(cellda.normalizers.reinhard, "colour_space", lambda *_: space)
    return cellda.normalizers.create("reinhard", space="lab", reference=REFERENCE)


def both(images: Tensor, monkeypatch: pytest.MonkeyPatch) -> tuple[Tensor, Tensor]:
    ours = in_the_form(LAB, monkeypatch)(images)
    return ours, in_the_form(KORNIA_LAB, monkeypatch)(images)


@pytest.mark.parametrize("device", ["cuda", "mps", "xpu"])
def test_an_accelerator_uses_kornia_for_cielab_and_a_cpu_does_not(device):
    assert colour_space("lab", torch.device(device)) is KORNIA_LAB
    assert colour_space("lab", torch.device("cpu")) is LAB
    assert colour_space("lalphabeta", torch.device(device)) is LALPHABETA


class Asked(Exception):
    """Which form of the space was asked for; it ends the computation, for which a meta tensor has no values."""


def test_reinhard_asks_for_the_form_of_the_device_that_the_images_are_on(monkeypatch):
    def asked(space: str, device: torch.device) -> None:
        raise Asked(space, device.type)

    monkeypatch.setattr(cellda.normalizers.reinhard, "colour_space", asked)
    normalizer = cellda.normalizers.create("reinhard", space="lab", reference=REFERENCE)
    assert normalizer.reference_mean.device.type == "cpu"
    for device in ("meta", "cpu"):
        images = random().to(device)
        with pytest.raises(Asked) as measured:
            normalizer.measure(images, torch.ones_like(images[:, 0], dtype=torch.bool))
        with pytest.raises(Asked) as transferred:
            normalizer.transfer(images, {})
        assert measured.value.args == transferred.value.args == ("lab", device)


def test_both_forms_have_the_same_coordinates():
    images = random()
    torch.testing.assert_close(
        coordinates(images, KORNIA_LAB), coordinates(images, LAB), atol=2e-3, rtol=0
    )  # of 100 and more
    exact = coordinates(images.double(), KORNIA_LAB), coordinates(images.double(), LAB)
    torch.testing.assert_close(
        *exact, atol=0.02, rtol=0
    )  # kornia rounds 7.787 and 4 / 29 where the curves meet


def test_kornias_form_comes_back_to_where_it_started():
    rgb = random().flatten(2)
    lab = shear(KORNIA_LAB.curve(rgb), KORNIA_LAB.steps)
    torch.testing.assert_close(KORNIA_LAB.uncurve(unshear(lab, KORNIA_LAB.steps)), rgb, atol=1e-4, rtol=0)


@pytest.mark.parametrize("seed", range(3))
def test_both_forms_normalize_alike(seed, monkeypatch):
    images = random(seed)
    torch.testing.assert_close(*both(images, monkeypatch), atol=1e-4, rtol=0)
    images[3, :, :12] = 0  # padding
    torch.testing.assert_close(*both(images, monkeypatch), atol=1e-4, rtol=0)


@pytest.mark.parametrize("space", [LAB, KORNIA_LAB], ids=["cellda", "kornia"])
def test_gradients_are_finite_in_both_forms_and_alike(space, monkeypatch):
    images = random().requires_grad_()
    in_the_form(space, monkeypatch)(images).square().sum().backward()
    assert images.grad is not None
    assert images.grad.isfinite().all()


def test_the_reference_fitted_in_either_form_is_the_same(monkeypatch):
    fitted = []
    for space in (LAB, KORNIA_LAB):
        monkeypatch.setattr(cellda.normalizers.reinhard, "colour_space", lambda *_, space=space: space)
        normalizer = cellda.normalizers.create("reinhard", space="lab", reference="source")
        normalizer.fit([random(1), random(2)])
        fitted.append(torch.stack([normalizer.reference_mean, normalizer.reference_std]))
    torch.testing.assert_close(*fitted, atol=1e-3, rtol=0)


@pytest.mark.real
@pytest.mark.parametrize("folder", ["barcelona", "bccd/images/TRAIN", "raabin/Train", "jiangxi_tecom"])
def test_both_forms_normalize_photographs_alike(data_root: Path, folder: str, monkeypatch):
    files = sorted(f for f in (data_root / folder).rglob("*") if f.suffix in {".jpg", ".jpeg", ".bmp"})
    files = [f for f in files if not f.name.startswith(".")][:: max(1, len(files) // 12)]
    images = torch.stack(
        [
            v2.functional.resize(v2.functional.pil_to_tensor(Image.open(f).convert("RGB")), [128, 128]) / 255
            for f in files
        ]
    )
    torch.testing.assert_close(*both(images, monkeypatch), atol=1e-4, rtol=0)
