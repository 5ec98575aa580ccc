"""The one training loop: against a loop written out in plain torch, and across seeds, interruptions and BatchNorm."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from cellda.data.image_set import ImageSet
from cellda.errors import CelldaError
from cellda.imaging.augment import random_degrade, random_dihedral, random_stain, random_zoom
from cellda.models.classifier import CellClassifier
from cellda.models.finite import DivergedError
from cellda.models.spec import Backbone
from cellda.normalizers.base import Normalizer
from cellda.normalizers.spec import NormalizerSpec
from cellda.runtime.device import DevicePlan
from cellda.runtime.work import Stage, Work
from cellda.training import checkpoints
from cellda.training.batches import Batches, Mix
from cellda.training.epoch import freeze_batchnorm
from cellda.training.examples import FeatureExamples, ImageExamples
from cellda.training.loop import Trainer
from cellda.training.settings import Training
from tiny import brightness_set, quick, same, small_net, state


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    return Trainer("cpu")


class Halve(Normalizer):
    """A normalizer that can be told from another."""

    name = "halve"

    def forward(self, images, mask=None):
        return images / 2


# ---------------------------------------------------------------------------------------------- what is learnt


def test_a_learnable_problem_is_learnt(trainer) -> None:
    images, net = brightness_set(per_class=8, classes=3), small_net(classes=3)
    losses = trainer.fit(net, ImageExamples(images), quick(epochs=25, lr=3e-2), seed=0)
    assert len(losses) == 25
    assert losses[-1] < 0.5 * losses[0]
    assert not net.training
    found = net(images.raw(range(len(images))).float() / 255).argmax(1)
    assert float((found == images.labels).float().mean()) > 0.9


def features(count: int = 21, seed: int = 0) -> FeatureExamples:
    generator = Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    return FeatureExamples(torch.randn(count, 5, generator=generator) + labels[:, None], labels)


def perceptron() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return nn.Sequential(nn.BatchNorm1d(5), nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))


@pytest.mark.parametrize(
    "fields",
    [
        {"optimizer": "adam"},
        {"optimizer": "adam", "weight_decay": 0.1},
        {"optimizer": "adamw", "weight_decay": 0.1},
        {"optimizer": "adamw", "one_cycle": True},
        {"optimizer": "adam", "label_smoothing": 0.2},
    ],
    ids=str,
)
def test_weights_equal_those_of_a_plain_torch_loop(trainer, fields) -> None:
    examples, net, plain = features(), perceptron(), perceptron()
    settings = quick(epochs=3, batch_size=4, **fields)
    losses = trainer.fit(net, examples, settings, seed=5)

    order = Batches(Mix((21,)), 4, seed=5)
    optimizers = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    optimizer = optimizers[settings.optimizer](
        plain.parameters(), lr=1e-2, weight_decay=settings.weight_decay
    )
    schedule = None
    if settings.one_cycle:
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=3 * 6)
    wanted = []
    plain.train()
    for epoch in range(3):
        order.epoch = epoch
        total = 0.0
        for batch in order:
            optimizer.zero_grad()
            log_p = plain(examples.features[batch]).log_softmax(1)
            truth = F.one_hot(examples.labels[batch], 3).float()
            # Label smoothing e mixes the truth with the uniform distribution: (1 - e) one-hot + e / classes.
            truth = (1 - settings.label_smoothing) * truth + settings.label_smoothing / 3
            loss = -(truth * log_p).sum(1).mean()
            loss.backward()
            optimizer.step()
            if settings.one_cycle:
                schedule.step()
            total += float(loss.detach()) * len(batch)
        wanted.append(total / 21)
    assert losses == pytest.approx(wanted, rel=1e-5)
    for mine, other in zip(net.state_dict().values(), plain.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, other, atol=1e-6, rtol=1e-5)


def test_parameters_without_gradient_stay_as_they_are(trainer) -> None:
    net = small_net()
    net[0].requires_grad_(False)
    before = state(net)
    trainer.fit(net, ImageExamples(brightness_set()), quick(optimizer="adamw", weight_decay=0.5), seed=0)
    after = state(net)
    assert torch.equal(before["0.weight"], after["0.weight"])
    assert torch.equal(before["0.bias"], after["0.bias"])
    assert not torch.equal(before["7.weight"], after["7.weight"])


# ---------------------------------------------------------------------------------------------- BatchNorm


@pytest.mark.parametrize("bn", ["frozen", "train"])
def test_frozen_keeps_the_encoders_statistics_and_trains_the_heads(trainer, bn) -> None:
    net = small_net()
    before = state(net)
    trainer.fit(net, ImageExamples(brightness_set()), quick(bn=bn), seed=0)
    after = state(net)

    def moved(*names: str) -> list[bool]:
        return [not torch.equal(before[name], after[name]) for name in names]

    encoder = moved("1.running_mean", "1.running_var", "1.num_batches_tracked")
    assert encoder == [bn == "train"] * 3
    assert all(moved("1.weight", "1.bias"))  # affine weights train either way
    assert all(moved("5.running_mean", "5.running_var", "5.weight", "5.bias"))


def test_freezing_reaches_the_batchnorm_of_timm_encoders() -> None:
    import timm

    encoder = timm.create_model("test_efficientnet", num_classes=0).train()
    before = {name: value.clone() for name, value in encoder.named_buffers()}
    freeze_batchnorm(encoder)
    encoder(torch.rand(4, 3, 32, 32))
    assert before
    assert all(torch.equal(before[name], value) for name, value in encoder.named_buffers())


# ---------------------------------------------------------------------------------------------- randomness


def trained(trainer, seed: int = 0, **fields) -> dict[str, Tensor]:
    net = small_net()
    trainer.fit(net, ImageExamples(brightness_set(degrade=True)), quick(**fields), seed=seed)
    return state(net)


def test_a_seed_decides_everything(trainer) -> None:
    torch.manual_seed(1)
    first = trained(trainer, seed=3)
    torch.manual_seed(2)
    assert same(first, trained(trainer, seed=3))
    assert not same(first, trained(trainer, seed=4))


def random_states() -> tuple:
    # Not Python's own generator: the shape checks that these tests run under draw from it.
    return torch.get_rng_state().tolist(), str(np.random.get_state())  # noqa: NPY002


def test_the_callers_random_state_is_left_alone(trainer, tmp_path) -> None:
    before = random_states()
    trained(trainer)
    assert random_states() == before
    # Nor does going on from a checkpoint, which holds random states of its own, touch it.
    with pytest.raises(KeyboardInterrupt):
        interrupted_fit(trainer, tmp_path / "checkpoints", quick(epochs=3), stop_in=2)
    np.random.random()  # noqa: NPY002
    before = random_states()
    trainer.fit(
        small_net(),
        ImageExamples(brightness_set()),
        quick(epochs=3),
        seed=0,
        checkpoints=tmp_path / "checkpoints",
    )
    assert random_states() == before


# ---------------------------------------------------------------------------------------------- interruption


class Interrupted(ImageExamples):
    """Stops the user's patience in the middle of one epoch."""

    def __init__(self, images: ImageSet, at: int) -> None:
        super().__init__(images)
        self.left = at

    def prepare(self, batch, generator):
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return super().prepare(batch, generator)


def interrupted_fit(trainer, folder, settings: Training, *, stop_in: int) -> None:
    """Train until the second batch of epoch `stop_in` (from 0), and no further."""
    images = brightness_set(degrade=True)
    steps = len(Batches(Mix((len(images),)), settings.batch_size, 0))
    trainer.fit(small_net(), Interrupted(images, stop_in * steps + 1), settings, seed=0, checkpoints=folder)


@pytest.mark.parametrize(
    "fields", [{"optimizer": "adam"}, {"optimizer": "adamw", "one_cycle": True}], ids=str
)
@pytest.mark.parametrize("stop_in", [0, 1, 3])
def test_an_interrupted_training_goes_on_to_the_very_same_weights(trainer, tmp_path, fields, stop_in) -> None:
    settings = quick(epochs=4, **fields)
    folder = tmp_path / "checkpoints"
    whole = small_net()
    losses = trainer.fit(whole, ImageExamples(brightness_set(degrade=True)), settings, seed=0)

    with pytest.raises(KeyboardInterrupt):
        interrupted_fit(trainer, folder, settings, stop_in=stop_in)
    assert [entry.name for entry in folder.glob("*")] == [f"epoch_{stop_in:05d}"] * (stop_in > 0)

    resumed = small_net(seed=99)  # what it starts from does not matter where there is a checkpoint
    if stop_in == 0:
        resumed = small_net()
    rest = trainer.fit(
        resumed, ImageExamples(brightness_set(degrade=True)), settings, seed=0, checkpoints=folder
    )
    assert same(state(resumed), state(whole))
    assert rest == losses  # of the epochs before the interruption as well
    assert not folder.exists()


def test_a_half_written_checkpoint_is_not_trusted(trainer, tmp_path) -> None:
    folder = tmp_path / "checkpoints"
    with pytest.raises(KeyboardInterrupt):
        interrupted_fit(trainer, folder, quick(epochs=3), stop_in=2)
    (folder / "writing").mkdir()
    (folder / "writing" / "model.safetensors").write_bytes(b"half")
    whole, resumed = small_net(), small_net()
    examples = ImageExamples(brightness_set(degrade=True))
    trainer.fit(whole, examples, quick(epochs=3), seed=0)
    trainer.fit(resumed, examples, quick(epochs=3), seed=0, checkpoints=folder)
    assert same(state(resumed), state(whole))


def test_a_loss_that_is_not_finite_is_refused_in_a_sentence(trainer, tmp_path) -> None:
    examples = features()
    examples.features[3] = float("nan")
    with pytest.raises(
        CelldaError, match=r"training \(my job\): the loss is no longer finite in epoch 1 of 2.*lr=0\.01"
    ):
        trainer.fit(
            perceptron(),
            examples,
            quick(),
            seed=0,
            work=Work(Stage.TRAIN, "my job"),
            checkpoints=tmp_path / "c",
        )
    assert not list(tmp_path.glob("c/epoch_*"))


# ---------------------------------------------------------------------------------------------- examples


def test_sources_are_mixed_in_equal_parts(trainer) -> None:
    seen = []

    class Watched(ImageExamples):
        def prepare(self, batch, generator):
            seen.append(torch.bincount(torch.tensor(batch[2]), minlength=2).tolist())
            return super().prepare(batch, generator)

    sets = brightness_set(per_class=4), brightness_set(per_class=1)
    trainer.fit(small_net(), Watched(*sets), quick(epochs=1), seed=0, order=Mix((24, 6), ("large", "small")))
    assert seen == [[4, 4]] * 6


def test_a_tiny_source_is_warned_about_once_a_training(trainer) -> None:
    sets = brightness_set(per_class=11, classes=4), brightness_set(per_class=1, classes=2)
    with pytest.warns(UserWarning, match="'small' has only 2 images") as caught:
        trainer.fit(
            small_net(), ImageExamples(*sets), quick(), seed=0, order=Mix((44, 2), ("large", "small"))
        )
    assert len(caught) == 1


def test_image_examples_fetch_what_they_are_asked_for() -> None:
    one, two = brightness_set(per_class=3, seed=1), brightness_set(per_class=2, seed=2)
    examples = ImageExamples(one, two)
    assert len(examples) == 30
    pixels, labels, parts = examples.__getitems__([18, 0, 29, 7])
    wanted = [two.pixels[0], one.pixels[0], two.pixels[11], one.pixels[7]]
    assert torch.equal(pixels, torch.stack(wanted))
    assert pixels.dtype == torch.uint8
    assert labels.tolist() == [0, 0, 5, 2]
    assert parts == (1, 0, 1, 0)


def test_stain_is_jittered_after_normalization() -> None:
    from dataclasses import replace

    examples = ImageExamples(replace(brightness_set(), normalizer=Halve()), stain_jitter=2.0)
    batch = examples.__getitems__([0, 3, 5])
    found = examples.prepare(batch, Generator().manual_seed(3))
    generator = Generator().manual_seed(3)
    wanted = random_dihedral(random_stain(batch[0].float() / 255 / 2, generator, 2.0), generator)
    torch.testing.assert_close(found, wanted)
    assert not torch.allclose(
        found, ImageExamples(*examples.sets).prepare(batch, Generator().manual_seed(3)), atol=0.02
    )


def test_each_set_keeps_its_own_normalizer_and_only_sharp_ones_are_degraded() -> None:
    from dataclasses import replace

    plain = replace(brightness_set(seed=1), normalizer=Halve())
    sharp = brightness_set(seed=2, degrade=True)
    examples = ImageExamples(plain, sharp)
    batch = examples.__getitems__([0, 24, 5, 30])
    found = examples.prepare(batch, Generator().manual_seed(3))

    generator = Generator().manual_seed(3)
    images = batch[0].float() / 255
    images[[0, 2]] = images[[0, 2]] / 2
    images[[1, 3]] = random_zoom(random_degrade(images[[1, 3]], generator), generator)
    wanted = random_dihedral(images, generator)
    torch.testing.assert_close(found, wanted)
    assert torch.equal(batch[0][0], plain.pixels[0])  # the cache is not written to


def test_features_are_handed_over_as_they_are() -> None:
    examples = features()
    batch = examples.__getitems__([4, 2])
    assert torch.equal(examples.prepare(batch, Generator()), examples.features[[4, 2]])
    assert batch[1].tolist() == [1, 2]


# ---------------------------------------------------------------------------------------------- inference


def test_probabilities_and_embeddings_come_in_the_order_of_the_set() -> None:
    trainer = Trainer("cpu", DevicePlan(inference_batch=7))
    backbone = Backbone(name="test_efficientnet", weights="none", image_size=32)
    model = CellClassifier(backbone, NormalizerSpec(name="identity"))
    images = brightness_set().subset([20, 3, 3, 11, 0, 5, 6, 17])
    found = trainer.probabilities(model, images)
    raw = images.pixels[[20, 3, 3, 11, 0, 5, 6, 17]].float() / 255
    with torch.no_grad():
        torch.testing.assert_close(found, model.eval()(raw).softmax(1), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(trainer.embeddings(model, images), model.embed(raw), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("broken", ["weights", "overflow"])
def test_numbers_that_are_not_finite_are_an_error_wherever_a_model_is_applied(trainer, broken: str) -> None:
    """Also after a training with finite losses: the last step can break the weights, and adapters need not train."""
    model = CellClassifier(
        Backbone(name="test_efficientnet", weights="none", image_size=32), NormalizerSpec(name="identity")
    )
    images = brightness_set(1)
    with torch.no_grad():
        if broken == "weights":
            model.embedding.weight[0, 0] = torch.nan
        else:
            model.embedding.bias.fill_(3e38)
            model.embedding.weight.fill_(3e38)
            model.head[0].weight.fill_(3e38)
    with pytest.raises(DivergedError, match=r"Predicting: the model gives NaN or infinite values for 6 of 6"):
        trainer.probabilities(model, images)
    with pytest.raises(DivergedError, match=r"Applying a head: .* for 2 of 2"):
        trainer.apply(model.head, torch.full((2, 128), torch.nan))
    if broken == "weights":
        with pytest.raises(DivergedError, match=r"Embedding: .* for 6 of 6"):
            trainer.embeddings(model, images)


def test_a_checkpoint_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch) -> None:
    def fill(folder: str) -> None:
        Path(folder).mkdir()
        (Path(folder) / "half").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        checkpoints.checkpoint(SimpleNamespace(save_state=fill), tmp_path, 3)
    assert not list(tmp_path.iterdir())
