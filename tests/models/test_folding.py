"""Folding frozen BatchNorm into convolutions: the same outputs, gradients and trainings, in fewer operations."""

import pytest
import timm
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from cellda.models.folding import Folded, find_pairs
from cellda.models.folding import folded as folded_by
from cellda.training.batches import Batches, Mix
from cellda.training.epoch import freeze_batchnorm
from cellda.training.examples import ImageExamples
from cellda.training.loop import Trainer
from tiny import brightness_set, quick, same, state


def scrambled(net: nn.Module, seed: int = 0) -> nn.Module:
    """Statistics and affine weights as a long training leaves them, not those of a fresh network."""
    generator = Generator().manual_seed(seed)
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d) and part.track_running_stats:
            part.running_mean.copy_(torch.randn(part.num_features, generator=generator) * 0.3)
            part.running_var.copy_(torch.rand(part.num_features, generator=generator) + 0.5)
            with torch.no_grad():
                part.weight.copy_(torch.rand(part.num_features, generator=generator) + 0.5)
                part.bias.copy_(torch.randn(part.num_features, generator=generator) * 0.3)
    return net


def images(count: int = 4, side: int = 48) -> Tensor:
    """Noise in steps of 8 bits, as predictions take it."""
    return torch.randint(0, 256, (count, 3, side, side), generator=Generator().manual_seed(1)) / 255


def folded(net: nn.Module, few: Tensor) -> nn.Module:
    return folded_by(net, find_pairs(net, few))


@pytest.fixture
def norms_run(monkeypatch) -> list[int]:
    """Grows by one with every BatchNorm that is computed on its own."""
    runs: list[int] = []
    own = F.batch_norm
    monkeypatch.setattr(F, "batch_norm", lambda *a, **k: (runs.append(1), own(*a, **k))[1])
    return runs


CONVOLUTIONAL = ["test_efficientnet", "test_resnet", "test_byobnet", "tf_efficientnet_lite0"]


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_outputs_and_gradients_are_those_of_the_network_itself(name, norms_run) -> None:
    torch.manual_seed(0)
    net = scrambled(timm.create_model(name, num_classes=3)).eval()
    wanted = net(images())
    torch.autograd.backward(wanted.square().sum())
    gradients = [weight.grad.clone() for weight in net.parameters()]
    net.zero_grad()
    other = folded(net, images(2)).eval()
    norms_run.clear()
    found = other(images())
    torch.autograd.backward(found.square().sum())
    assert norms_run == []  # no BatchNorm was left to compute
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)
    for weight, gradient in zip(net.parameters(), gradients, strict=True):
        torch.testing.assert_close(weight.grad, gradient, atol=2e-3 * float(gradient.abs().max()), rtol=1e-2)


def test_the_module_itself_is_left_alone_and_its_tensors_are_shared() -> None:
    net = scrambled(timm.create_model("test_efficientnet", num_classes=3)).train()
    net.blocks[0].eval()
    before, modes = state(net), [part.training for part in net.modules()]
    random = torch.get_rng_state()
    other = folded(net, images(2))
    other.eval()(images())
    assert same(before, state(net))
    assert modes == [part.training for part in net.modules()]
    assert torch.equal(random, torch.get_rng_state())
    mine, its = list(net.parameters()), list(other.parameters())
    assert all(one is two for one, two in zip(mine, its, strict=True))
    net.eval()
    wanted = net(images())
    torch.testing.assert_close(other(images()), wanted, atol=1e-4, rtol=1e-4)
    with torch.no_grad():
        net.conv_stem.weight.mul_(2)  # seen by both
    assert not torch.allclose(net(images()), wanted, atol=1e-3)
    torch.testing.assert_close(other(images()), net(images()), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(other.fixed()(images()), net(images()), atol=1e-4, rtol=1e-4)
    with torch.no_grad():
        net.conv_stem.weight.mul_(2)
    assert not torch.allclose(other(images()), net(images()), atol=1e-3)  # computed for good


class Twofold(nn.Module):
    """Reads a convolution beside its BatchNorm, which therefore cannot be folded."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        made = self.conv(x)
        return self.norm(made) + made


class Shared(nn.Module):
    """One BatchNorm behind two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.norm = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.one(x)) + self.norm(self.two(x))


@pytest.mark.parametrize(
    "net",
    [
        Twofold(),
        Shared(),
        nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3)),
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)),
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4)),
        timm.create_model("test_vit", num_classes=3, img_size=48),
    ],
    ids=lambda net: type(net).__name__,
)
def test_what_cannot_be_folded_is_left_alone(net) -> None:
    scrambled(net).eval()
    wanted = net(images())
    assert folded(net, images(2)) is net
    assert torch.equal(net(images()), wanted)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_every_kind_of_pair(affine, bias) -> None:
    norm = nn.BatchNorm2d(4, affine=affine, eps=0.1)
    norm.running_mean.uniform_(-1, 1)
    norm.running_var.uniform_(0.5, 2)
    net = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=bias), norm, nn.ReLU()).eval()
    wanted = net(images())
    other = folded(net, images(2))
    assert isinstance(other, Folded)
    torch.testing.assert_close(other(images()), wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(other.fixed()(images()), wanted, atol=1e-5, rtol=1e-5)


def test_frozen_training_gives_the_weights_of_a_plain_loop_with_batchnorm_in_evaluation_mode() -> None:
    torch.manual_seed(0)
    net = scrambled(timm.create_model("test_efficientnet", num_classes=6))
    plain = timm.create_model("test_efficientnet", num_classes=6)
    plain.load_state_dict(net.state_dict())
    examples = ImageExamples(brightness_set())
    settings = quick(epochs=2, lr=1e-3, bn="frozen", optimizer="adam")
    losses = Trainer("cpu").fit(net, examples, settings, seed=3)

    optimizer = torch.optim.Adam(plain.parameters(), lr=1e-3)
    order, wanted = Batches(Mix((24,)), 8, seed=3), []
    for epoch in range(2):
        order.epoch = epoch
        generator, total = Generator().manual_seed(3 * 1_000_003 + epoch), 0.0
        plain.train()
        freeze_batchnorm(plain)
        for batch in order:
            fetched = examples.__getitems__(batch)
            optimizer.zero_grad()
            loss = F.cross_entropy(plain(examples.prepare(fetched, generator)), fetched[1])
            torch.autograd.backward(loss)
            optimizer.step()
            total += float(loss.detach()) * len(batch)
        wanted.append(total / 24)
    assert losses == pytest.approx(wanted, rel=1e-3)
    trained, reference = state(net), state(plain)
    assert trained.keys() == reference.keys()
    for name, value in reference.items():
        # Adam divides by the gradient's size, so that a tiny gradient may move a weight by lr either way.
        torch.testing.assert_close(trained[name], value, atol=2e-3, rtol=1e-2, msg=name)


class Looker:
    """Has a method as a hook."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def look(self, _part: nn.Module, _given: object, made: Tensor) -> None:
        self.seen.append(made)


def test_hooks_see_what_they_would_without_folding() -> None:
    from cellda.models import Backbone, CellClassifier
    from cellda.normalizers.spec import NormalizerSpec

    backbone = Backbone(name="test_efficientnet", weights="none", image_size=48)
    model = CellClassifier(backbone, NormalizerSpec(name="identity")).eval()
    wanted = model.predict(images()).probabilities
    looker = Looker()
    hook = model.encoder.conv_stem.register_forward_hook(looker.look)
    found = model.predict(images()).probabilities
    assert len(looker.seen) == 1
    inputs = (images() - model.mean) / model.std
    hook.remove()
    torch.testing.assert_close(looker.seen[0], model.encoder.conv_stem(inputs), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
    assert folded(model.encoder, images(2)) is not model.encoder


def test_a_copy_for_inference_predicts_the_same_and_is_not_saved(tmp_path) -> None:
    from cellda.errors import ConfigurationError
    from cellda.models import Backbone, CellClassifier
    from cellda.normalizers.spec import NormalizerSpec

    backbone = Backbone(name="test_efficientnet", weights="none", image_size=48)
    model = CellClassifier(backbone, NormalizerSpec(name="identity")).train()
    names = list(model.state_dict())
    wanted = model.predict(images()).probabilities
    quick = model.for_inference()
    torch.testing.assert_close(quick.predict(images()).probabilities, wanted, atol=1e-6, rtol=1e-5)
    with pytest.raises(ConfigurationError, match="save the model it was made from"):
        quick.save(tmp_path)
    assert model.training
    assert list(model.state_dict()) == names
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(images()).softmax(1), wanted, atol=1e-5, rtol=1e-4)


def classifier():
    from cellda.models import Backbone, CellClassifier
    from cellda.normalizers.spec import NormalizerSpec

    backbone = Backbone(name="test_efficientnet", weights="none", image_size=48)
    model = CellClassifier(backbone, NormalizerSpec(name="identity"))
    scrambled(model.encoder)
    return model.eval()


class Shifted(nn.BatchNorm2d):
    """A BatchNorm of somebody's own."""

    def forward(self, values: Tensor) -> Tensor:
        return super().forward(values) + 1


def changed_norms(model: nn.Module) -> None:
    for part in list(model.encoder.modules()):
        for name, norm in list(part.named_children()):
            if isinstance(norm, nn.BatchNorm2d):
                other = Shifted(norm.num_features)
                other.load_state_dict(norm.state_dict())
                setattr(part, name, other.eval())


def statistics_removed(model: nn.Module) -> None:
    for part in model.encoder.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean = part.running_var = None
            part.track_running_stats = False


def wrapped_stem(model: nn.Module) -> None:
    model.encoder.conv_stem = nn.Sequential(model.encoder.conv_stem, nn.Hardtanh())


def parametrized(kind):
    def change(model: nn.Module) -> None:
        for part in list(model.encoder.modules()):
            if isinstance(part, nn.Conv2d):
                kind(part)

    return change


class Doubled(nn.Module):
    """A parametrization that cannot be undone, as low-rank additions are."""

    def forward(self, weight: Tensor) -> Tensor:
        return 2 * weight


CHANGES = {
    "norms of one's own": changed_norms,
    "without statistics": statistics_removed,
    "a layer in between": wrapped_stem,
    "parametrized": parametrized(
        lambda conv: nn.utils.parametrize.register_parametrization(conv, "weight", Doubled())
    ),
    "spectral norm": parametrized(nn.utils.parametrizations.spectral_norm),
    "weight norm": parametrized(nn.utils.parametrizations.weight_norm),
    "weight norm of old": parametrized(nn.utils.weight_norm),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("predicted_before", [False, True])
def test_a_model_that_was_changed_predicts_what_it_computes(change, predicted_before) -> None:
    torch.manual_seed(0)  # doubled weights make some random networks too steep for the tolerance
    model = classifier()
    if predicted_before:
        model.predict(images())
    change(model)
    model.eval()
    with torch.no_grad():
        wanted = model(images()).softmax(1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = model.predict(images()).probabilities
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
    after = model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_pairs_are_looked_for_once_and_travel_with_copies(monkeypatch) -> None:
    from copy import deepcopy

    from cellda.models import classifier as module

    looked = []
    monkeypatch.setattr(module, "find_pairs", lambda *given: (looked.append(1), find_pairs(*given))[1])
    model = classifier()
    model.predict(images())
    assert isinstance(model.for_inference().encoder, Folded)
    other = deepcopy(model)
    assert isinstance(other.for_inference().encoder, Folded)
    assert isinstance(other.folded().encoder, Folded)
    assert looked == [1]
