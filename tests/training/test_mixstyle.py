"""Source training with mixed feature statistics and with stain jitter."""

import pytest
import timm
import torch
from torch import Generator, Tensor, nn

from cellda import CellClassifier
from cellda.errors import ConfigurationError
from cellda.experiment.stages import fresh_model, source_model
from cellda.training.batches import Mix
from cellda.training.examples import ImageExamples
from cellda.training.loop import Trainer
from cellda.training.mixstyle import mix_style, mixed_styles
from tiny import CLASSES, prepared, recipe, same, state


def maps(seed: int, count: int = 4) -> Tensor:
    noise = torch.randn(count, 3, 6, 6, generator=Generator().manual_seed(seed))
    return noise * (1 + torch.arange(count).view(-1, 1, 1, 1)) + seed


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_statistics_lie_between_an_image_and_its_partner(share) -> None:
    one, other = maps(1), maps(2)
    found = mix_style(one, other, torch.full((4, 1, 1, 1), share)).numpy()
    for mine, partner, mixed in zip(one.numpy(), other.numpy(), found, strict=True):
        for channel in range(3):
            mean = share * mine[channel].mean() + (1 - share) * partner[channel].mean()
            deviation = share * mine[channel].std() + (1 - share) * partner[channel].std()
            assert mixed[channel].mean() == pytest.approx(mean, abs=1e-4)
            assert mixed[channel].std() == pytest.approx(deviation, rel=1e-4)
    if share == 1:
        torch.testing.assert_close(torch.tensor(found), one, atol=1e-4, rtol=1e-4)


def test_statistics_pass_no_gradient() -> None:
    values, partner = maps(1).requires_grad_(), maps(2).requires_grad_()
    mix_style(values, partner, torch.zeros(4, 1, 1, 1)).sum().backward()
    assert partner.grad is None
    wanted = partner.detach().std((2, 3), correction=0) / values.detach().std((2, 3), correction=0)
    torch.testing.assert_close(values.grad, wanted[:, :, None, None].expand_as(values), rtol=1e-4, atol=1e-4)


def encoder() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return timm.create_model("test_efficientnet", num_classes=0)


def test_the_early_stages_of_a_training_encoder_are_mixed_and_nothing_else() -> None:
    net, images = encoder(), torch.rand(8, 3, 32, 32, generator=Generator().manual_seed(0))
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eval()
    plain: list[Tensor] = []
    mixed: list[Tensor] = []
    probe = net.blocks[1].register_forward_hook(lambda _l, _i, found: plain.append(found.detach().clone()))
    with mixed_styles(net, 1.0):
        after = net.blocks[1].register_forward_hook(
            lambda _l, _i, found: mixed.append(found.detach().clone())
        )
        torch.manual_seed(0)
        trained = net(images)
        net.eval()
        quiet = net(images)
        after.remove()
    probe.remove()
    # What leaves the stage has the same pattern with other statistics.
    assert not torch.allclose(plain[0], mixed[0], atol=1e-3)

    def pattern(values: Tensor) -> Tensor:
        return (values - values.mean((2, 3), keepdim=True)) / (values.var((2, 3), keepdim=True) + 1e-6).sqrt()

    likeness = (pattern(plain[0]) * pattern(mixed[0])).mean((2, 3))
    assert float(likeness.quantile(0.5)) > 0.9
    assert torch.equal(plain[1], mixed[1])  # off in evaluation
    assert torch.equal(quiet, net(images))
    assert not torch.allclose(trained, quiet)


def test_hooks_are_gone_afterwards_and_none_are_made_for_nothing() -> None:
    net = encoder()

    def interrupted() -> None:
        with mixed_styles(net, 0.5):
            assert [len(stage._forward_hooks) for stage in net.blocks[:4]] == [0, 1, 1, 0]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with mixed_styles(net, 0.0):
        assert not any(part._forward_hooks for part in net.modules())
    assert not any(part._forward_hooks for part in net.modules())


def test_probability_is_how_often_a_batch_is_mixed() -> None:
    stage = nn.Identity()
    stage.feature_info = [{"module": "", "reduction": 4}]
    images, changed = maps(0), 0
    torch.manual_seed(0)
    with mixed_styles(stage, 0.25):
        for _ in range(400):
            changed += not torch.equal(stage(images), images)
    assert 70 < changed < 130


@pytest.mark.parametrize("name", ["test_vit", "vit_tiny_patch16_224"])
def test_a_transformer_is_refused(name) -> None:
    with torch.device("meta"):
        net = timm.create_model(name, num_classes=0)
    with (
        pytest.raises(ConfigurationError, match=r"training\.mixstyle.*VisionTransformer.*mixstyle=0"),
        mixed_styles(net, 0.5),
    ):
        pass


def trained(folder, **training) -> dict[str, Tensor]:
    case = prepared(recipe(training={"epochs": 1, "holdout": 0.0, **training}), folder)
    return state(CellClassifier.load(source_model(case, Trainer("cpu"))))


def test_source_training_honours_both_and_without_them_is_what_it_was(tmp_path) -> None:
    case = prepared(recipe(training={"epochs": 1, "holdout": 0.0}), tmp_path)
    model = fresh_model(case, CLASSES)
    sets = case.source_sets(model.normalizer)
    Trainer("cpu").fit(
        model, ImageExamples(*sets), case.recipe.training, seed=0, order=Mix(tuple(map(len, sets)))
    )
    plain = trained(tmp_path)
    assert same(plain, state(model))
    mixed, jittered = trained(tmp_path, mixstyle=1.0), trained(tmp_path, stain_jitter=1.0)
    assert plain.keys() == mixed.keys() == jittered.keys()
    assert not same(plain, mixed)
    assert not same(plain, jittered)
    assert not same(mixed, jittered)
    assert same(mixed, trained(tmp_path / "again", mixstyle=1.0))
