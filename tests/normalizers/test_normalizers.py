"""What every stain normalizer promises, checked on each registered one."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import cellda.normalizers
from cellda.errors import ConfigurationError, DataError, UnknownNameError
from cellda.normalizers import Normalizer

VARIANTS = {
    "identity": ("identity", {}),
    "reinhard": ("reinhard", {}),
    "reinhard source": ("reinhard", {"reference": "source"}),
    "reinhard lab source": ("reinhard", {"space": "lab", "reference": "source"}),
    "reinhard unmasked": ("reinhard", {"mask": None}),
    "modified_reinhard": ("modified_reinhard", {}),
    "macenko": ("macenko", {}),
    "vahadane": ("vahadane", {}),
    "histogram": ("histogram", {}),
    "fda": ("fda", {"cycles": 2}),
}


MEASURED = {"modified_reinhard", "macenko", "vahadane"}
"""What these measure on an image counts as constant in their gradients, which are those of the transfer alone."""


def smear(count: int = 3, height: int = 24, width: int = 24, seed: int = 0) -> Tensor:
    """Images of a bright background with a dark violet disc and noise, all channels well above 1/255."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    images = torch.empty(count, 3, height, width)
    for image in images:
        radius, tint = torch.rand(2, generator=generator)
        disc = (rows.square() + columns.square()).sqrt() < 0.3 + 0.4 * radius
        background = torch.tensor([0.85, 0.80, 0.75]) - 0.1 * tint
        nucleus = torch.tensor([0.35, 0.20, 0.55]) + 0.1 * tint
        image[:] = torch.where(disc, nucleus[:, None, None], background[:, None, None])
    return (images + 0.03 * torch.randn(images.shape, generator=generator)).clamp(0.02, 0.98)


def build(variant: str) -> Normalizer:
    name, options = VARIANTS[variant]
    normalizer = cellda.normalizers.create(name, **options)
    if normalizer.needs_fit:
        normalizer.fit([smear(4, seed=7), smear(2, seed=8)])
    return normalizer


@pytest.fixture(params=VARIANTS)
def normalizer(request: pytest.FixtureRequest) -> Normalizer:
    return build(request.param)


def test_every_registered_normalizer_is_covered_and_named_like_its_file():
    assert {name for name, _ in VARIANTS.values()} == set(cellda.normalizers.names())
    for name in cellda.normalizers.names():
        cls = cellda.normalizers.get(name)
        assert cls.name == name
        assert cls.__module__.rsplit(".", 1)[-1] == name
        assert cls.__doc__.startswith(cellda.normalizers.summary(name))
        assert len(cellda.normalizers.summary(name)) > 20


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("size", [(24, 24), (17, 40), (1, 1), (1, 9)])
def test_keeps_shape_dtype_and_range(normalizer, dtype, size):
    images = smear(2, *size).to(dtype)
    before = images.clone()
    result = normalizer(images)
    assert result.shape == images.shape
    assert result.dtype == dtype
    assert result.device == images.device
    assert result.isfinite().all()
    assert result.min() >= 0
    assert result.max() <= 1
    assert torch.equal(images, before), "the input was written to"


def test_low_precision_only_rounds_the_ends(normalizer):
    images = smear(2).half()
    torch.testing.assert_close(normalizer(images).float(), normalizer(images.float()), atol=1e-3, rtol=0)


@settings(max_examples=40)
@given(
    variant=st.sampled_from(sorted(VARIANTS)),
    colour=st.tuples(*[st.sampled_from([0.0, 1e-6, 1 / 255, 0.08, 0.5, 0.999, 1.0])] * 3),
    noise=st.sampled_from([0.0, 1e-7, 1e-4, 1e-2, 1.0]),
    height=st.integers(1, 12),
    width=st.integers(1, 12),
)
def test_flat_dark_bright_and_noisy_images_stay_finite(variant, colour, noise, height, width):
    base = torch.tensor(colour)[None, :, None, None].expand(2, 3, height, width)
    generator = torch.Generator().manual_seed(height * width)
    images = (base + noise * torch.randn(base.shape, generator=generator)).clamp(0, 1)
    result = build(variant)(images)
    assert result.isfinite().all()
    assert result.min() >= 0
    assert result.max() <= 1


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_a_constant_image_comes_out_constant(normalizer, level):
    result = normalizer(torch.full((1, 3, 32, 32), level))
    assert result.std((2, 3)).max() < 1e-3


def test_images_of_a_batch_do_not_influence_each_other(normalizer):
    images = smear(5)
    images[1, :, :8, :10] = 0
    images[3] = 0
    together = normalizer(images)
    apart = torch.cat([normalizer(image[None]) for image in images])
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=0)


def test_batches_larger_than_a_chunk(normalizer):
    images = smear(30, 112, 112)
    images[17, :, :40, :40] = 0
    torch.testing.assert_close(normalizer(images)[17:18], normalizer(images[17:18]), atol=1e-5, rtol=0)
    torch.testing.assert_close(normalizer(images)[29:], normalizer(images[29:]), atol=1e-5, rtol=0)


def test_an_empty_batch_stays_empty(normalizer):
    assert normalizer(torch.empty(0, 3, 8, 8)).shape == (0, 3, 8, 8)


def test_channels_last_changes_nothing_and_is_kept(normalizer):
    images = smear(3)
    images[0, :, :9, :9] = 0
    images = images.contiguous(memory_format=torch.channels_last)
    result = normalizer(images)
    assert result.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(result.contiguous(), normalizer(images.contiguous()), atol=1e-5, rtol=0)


def test_strided_views_are_handled(normalizer):
    images = smear(3, 48, 48)[:, :, ::2, 1::2]
    torch.testing.assert_close(normalizer(images), normalizer(images.contiguous()), atol=1e-5, rtol=0)


@pytest.mark.parametrize("turn", [lambda x: x.flip(3), lambda x: x.flip(2), lambda x: x.rot90(1, (2, 3))])
def test_flips_and_quarter_turns_commute(normalizer, turn):
    images = smear(2, 20, 28)
    images[1, :, -9:, :11] = 0
    torch.testing.assert_close(normalizer(turn(images)), turn(normalizer(images)), atol=1e-5, rtol=0)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_state_dict_loads_into_a_fresh_object(variant):
    fitted = build(variant)
    name, options = VARIANTS[variant]
    fresh = cellda.normalizers.create(name, **options)
    fresh.load_state_dict(fitted.state_dict())
    assert not fresh.needs_fit
    assert torch.equal(fresh(smear()), fitted(smear()))


def test_gradients_reach_the_images_and_are_right(normalizer, monkeypatch):
    images = smear(2, 4, 3).double().requires_grad_()
    if normalizer.name in MEASURED:
        # Of slightly darker images, so that no pixel is exactly as bright as the empty smear, where densities have a kink.
        measured = normalizer.measure(images.detach() * 0.97, torch.ones(2, 4, 3, dtype=torch.bool))
        monkeypatch.setattr(normalizer, "measure", lambda *_: measured)
    assert torch.autograd.gradcheck(lambda x: normalizer(x), (images,), eps=1e-6, atol=1e-4)


def test_gradients_are_finite_on_padded_and_flat_images(normalizer):
    images = smear(4)
    images[0, :, :8, :8] = 0
    images[1], images[2], images[3] = 0, 1, 0.5
    images.requires_grad_()
    normalizer(images).sum().backward()
    assert images.grad is not None
    assert images.grad.isfinite().all()


def test_with_and_without_gradients_the_result_is_the_same(normalizer):
    images = smear(3)
    torch.testing.assert_close(normalizer(images.clone().requires_grad_()).detach(), normalizer(images))


def test_inference_mode_and_training_can_alternate(normalizer):
    with torch.inference_mode():
        normalizer(smear())
    images = smear().requires_grad_()
    normalizer(images).sum().backward()
    assert images.grad is not None


def test_autocast_around_it_changes_nothing(normalizer):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = normalizer(smear())
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, normalizer(smear()))


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.rand(8, 8), r"\(B, 3, H, W\).*\(8, 8\)"),
        (torch.rand(4, 8, 8), r"\(B, 3, H, W\).*\(4, 8, 8\)"),
        (torch.rand(2, 4, 8, 8), r"\(2, 4, 8, 8\)"),
        (torch.rand(2, 3, 0, 8), r"\(2, 3, 0, 8\)"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), "uint8.*255"),
    ],
)
def test_anything_but_images_is_refused(normalizer, images, words):
    with pytest.raises(DataError, match=words):
        normalizer(images)


@pytest.mark.parametrize("mask", [torch.ones(2, 8, 8), torch.ones(2, 8, 7, dtype=torch.bool)])
def test_a_mask_that_does_not_fit_is_refused(normalizer, mask):
    with pytest.raises(DataError, match="mask"):
        normalizer(torch.rand(2, 3, 8, 8), mask=mask)
    with pytest.raises(DataError, match="mask"):
        normalizer(torch.rand(3, 8, 8), mask=mask[0])


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_one_image_comes_out_as_in_a_batch(normalizer, layout):
    images = smear(3)
    images[:, :, :8, :10] = 0
    images = images.contiguous(memory_format=layout)
    mask = torch.rand(3, 24, 24, generator=torch.Generator().manual_seed(0)) < 0.8
    for one, batch in (
        (normalizer(images[0]), normalizer(images)),
        (normalizer(images[0], mask[0]), normalizer(images, mask)),
        (normalizer(images[0], mask=mask[0]), normalizer(images, mask=mask)),
    ):
        assert one.shape == (3, 24, 24)
        assert one.stride() == images[0].stride()
        torch.testing.assert_close(one, batch[0], atol=1e-6, rtol=0)


def test_a_normalizer_that_is_written_for_batches_takes_one_image_too():
    class Brightest(Normalizer):
        """As a third party writes it: `forward` for a batch, of which it uses the shape."""

        def forward(self, images: Tensor, mask: Tensor | None = None) -> Tensor:
            count, _, height, width = images.shape
            counted = images if mask is None else images * mask[:, None]
            assert mask is None or mask.shape == (count, height, width)
            return (images / counted.amax((1, 2, 3), keepdim=True)).clamp(0, 1)

    images, inside = smear(2), torch.ones(2, 24, 24, dtype=torch.bool)
    inside[:, 4:] = False
    batch, masked = Brightest()(images), Brightest()(images, mask=inside)
    assert torch.equal(Brightest()(images[1]), batch[1])
    assert torch.equal(Brightest()(images[1], mask=inside[1]), masked[1])
    assert not torch.equal(batch, masked)
    with pytest.raises(DataError, match="255"):
        Brightest()((images * 255).to(torch.uint8))


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_values_that_are_not_finite_are_refused(normalizer, value, padded):
    if normalizer.name == "identity":
        pytest.skip("it measures nothing")
    images = smear(3, 40, 40)
    if padded:
        images[1, :, :8] = 0
    images[1, 0, 20, 20] = value
    with pytest.raises(DataError, match=f"{normalizer.name}: the images hold NaN"):
        normalizer(images)


def test_identity_clips_and_leaves_the_rest():
    images = smear()
    images[0, :, :9] = 0
    identity = cellda.normalizers.create("identity")
    assert torch.equal(identity(images), images)
    assert torch.equal(identity(images * 3 - 1), (images * 3 - 1).clamp(0, 1))


def test_unknown_names_and_options_are_refused_with_near_names():
    with pytest.raises(UnknownNameError, match="did you mean 'reinhard'"):
        cellda.normalizers.create("reinhart")
    with pytest.raises(ConfigurationError, match="did you mean 'space'"):
        cellda.normalizers.create("reinhard", spce="lab")
    with pytest.raises(ConfigurationError, match="space"):
        cellda.normalizers.create("reinhard", space="hsv")
