"""Adapters on a user's own model and tensors."""

from copy import deepcopy

import pytest
import timm
import torch
from torch import nn

import cellda
import cellda.adapters
from cellda.adapters import Effect, Need, Start
from cellda.errors import CelldaError, ConfigurationError, DataError
from tiny import same, state

NAMES = cellda.adapters.names()
SMALL = {"epochs": 2, "probe_epochs": 2, "source_images": 12, "threshold": 0.01}
LABELS = torch.arange(3).repeat_interleave(6)
NOISE = torch.randint(0, 60, (18, 3, 32, 32), generator=torch.Generator().manual_seed(0))
IMAGES = (NOISE + 70 * LABELS.view(-1, 1, 1, 1)).to(torch.uint8)
POOL = IMAGES.flip(0).repeat(2, 1, 1, 1)


def network(outputs: int = 3) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return timm.create_model("test_efficientnet", num_classes=outputs).eval()


def small(name: str) -> dict:
    fields = cellda.adapters.get(name).model_fields
    return {"name": name, **{key: value for key, value in SMALL.items() if key in fields}}


def adapted(model: nn.Module, name: str = "l2_sp", **given):
    return cellda.adapt_model(model, IMAGES, LABELS, **{"adapter": small(name), "device": "cpu", **given})


@pytest.mark.parametrize("name", NAMES)
def test_every_adapter_changes_what_it_says_and_not_the_model(name: str):
    model, method = network(), cellda.adapters.get(name)
    before = state(model)
    found = adapted(model, name, pool=POOL, source=(IMAGES, LABELS))
    assert same(state(model), before)
    probabilities = found.predict_proba(IMAGES)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(18))
    torch.testing.assert_close(found(IMAGES).softmax(1).detach(), probabilities, rtol=1e-4, atol=1e-5)
    own = model(found.network.normalized(IMAGES).sub(found.network.mean).div(found.network.std)).softmax(1)
    moved = not torch.allclose(probabilities, own.detach(), atol=1e-5)
    assert moved == (method.effects != frozenset() or name == "second_view")


@pytest.mark.parametrize("name", NAMES)
def test_what_an_adapter_lacks_is_named(name: str):
    needs = cellda.adapters.get(name).needs
    statistics = Effect.SOURCE_STATISTICS in cellda.adapters.get(name).effects
    if Need.UNLABELLED in needs:
        with pytest.raises(ConfigurationError, match="pool=images"):
            adapted(network(), name, source=(IMAGES, LABELS))
    if Need.SOURCE in needs or statistics:
        with pytest.raises(ConfigurationError, match="source=\\(images, labels\\)"):
            adapted(network(), name, pool=POOL)


@pytest.mark.parametrize("name", NAMES)
def test_without_a_classifier_an_adapter_learns_one_or_says_so(name: str):
    method = cellda.adapters.create(name)
    given = {"pool": POOL, "source": (IMAGES, LABELS)}
    if method.makes_head:
        assert adapted(network(0), name, **given).predict_proba(IMAGES).shape == (18, 3)
    else:
        with pytest.raises(ConfigurationError, match="needs a classifier that is already trained"):
            adapted(network(0), name, **given)


def test_a_classifier_is_taken_over_unchanged():
    model = network()
    found = adapted(model, "none", classes=["a", "b", "c"])
    inputs = (IMAGES.float() / 255 - found.network.mean) / found.network.std
    torch.testing.assert_close(found(IMAGES), model(inputs), rtol=1e-4, atol=1e-5)
    assert found.classes == ("a", "b", "c")
    assert cellda.adapters.get("from_scratch").start is Start.PRETRAINED


class Encoder(nn.Module):
    """Somebody's own, which computes in single precision only."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8)

    def forward(self, images):
        return self.norm(self.conv(images.float())).relu().mean((2, 3))


def test_any_encoder_learns_the_classes_and_gives_gradients():
    found = adapted(Encoder(), "logistic")
    assert (found.predict_proba(IMAGES).argmax(1) == LABELS).all()
    images = (IMAGES.float() / 255).requires_grad_()
    found(images).sum().backward()
    assert images.grad.abs().sum() > 0
    assert adapted(Encoder(), "full").predict_proba(IMAGES).shape == (18, 3)
    again = adapted(Encoder(), "logistic")
    again.load_state_dict(deepcopy(found.state_dict()))
    torch.testing.assert_close(again.predict_proba(IMAGES), found.predict_proba(IMAGES))


def test_floats_are_as_bytes_and_the_seed_decides():
    model = network()
    one = adapted(model, seed=3).predict_proba(IMAGES)
    assert torch.equal(
        cellda.adapt_model(
            model, IMAGES / 255, LABELS.tolist(), adapter=small("l2_sp"), seed=3, device="cpu"
        ).predict_proba(IMAGES),
        one,
    )
    assert not torch.equal(adapted(model, seed=4).predict_proba(IMAGES), one)


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (IMAGES[0], LABELS, "got \\(3, 32, 32\\)"),
        (IMAGES.permute(0, 2, 3, 1), LABELS, "Move the channels"),
        (IMAGES[..., :30], LABELS, "must be square"),
        (IMAGES.int(), LABELS, "uint8, or float"),
        (IMAGES.float(), LABELS, "finite and in \\[0, 1\\]"),
        (torch.full((18, 3, 32, 32), torch.nan), LABELS, "finite and in"),
        (IMAGES.numpy(), LABELS, "must be a tensor"),
        (IMAGES, LABELS[:5], "one class index for each of 18 images"),
        (IMAGES, LABELS.float(), "whole numbers"),
        (IMAGES, LABELS - 1, "from 0 on"),
        (IMAGES, ["a"] * 18, "whole numbers"),
    ],
)
def test_wrong_tensors_are_refused(images, labels, said: str):
    with pytest.raises(DataError, match=said):
        cellda.adapt_model(network(), images, labels)


@pytest.mark.parametrize(
    ("model", "given", "said"),
    [
        (network(1000), {}, "1,000 outputs, and the labels name 3 classes"),
        (nn.Conv2d(3, 4, 3), {}, "Pool and flatten"),
        (nn.Linear(3, 4), {}, "does not take images"),
        (network(), {"classes": ["a", "a"]}, "two different names"),
        (network(), {"classes": ["a", "b"]}, "is 2, and the indices"),
        (network(), {"normalizer": "macenco"}, "did you mean 'macenko'"),
        (network(), {"normalizer": "histogram"}, "source=\\(images, labels\\)"),
        (network(), {"std": [0, 1, 1]}, "above 0"),
        (network(), {"pool": POOL[..., :16, :16]}, "must have 32 x 32 pixels"),
        ("resnet18", {}, "torch.nn.Module"),
    ],
)
def test_what_cannot_work_is_refused(model, given: dict, said: str):
    with pytest.raises(CelldaError, match=said):
        adapted(model, **given)
