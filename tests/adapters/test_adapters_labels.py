"""Adapters that use labels only: what each computes, against formulas written out, and what each changes."""

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.special import softmax
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, normalize
from torch import Tensor, nn
from torch.nn import functional as F

import cellda.adapters
from cellda import CellClassifier
from cellda.adapters import AdaptContext, Adapter, Features, Offer, TargetView
from cellda.adapters.bss import SmallestSingularValues
from cellda.adapters.delta import FeatureMaps, channel_attention
from cellda.adapters.l2_sp import StartingPoint
from cellda.data.image_set import ImageSet
from cellda.errors import ConfigurationError
from cellda.models import heads
from cellda.models.blocks import block_ends, block_parameters
from cellda.models.spec import Backbone
from cellda.models.timm_names import encoder_structure
from cellda.normalizers.spec import NormalizerSpec
from cellda.training.loop import Trainer
from cellda.training.objective import CrossEntropy, Step
from tiny import CLASSES, brightness_set, prepared, recipe, same, state

CNN, VIT = "test_efficientnet", "test_vit"


def classifier(name: str = CNN, seed: int = 0) -> CellClassifier:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return CellClassifier(
            Backbone(name=name, weights="none", image_size=32), NormalizerSpec(name="identity")
        ).eval()


def cells(per_class: int = 2, **fields) -> ImageSet:
    """12 images of 32 x 32, the input size of the transformers here."""
    images = brightness_set(per_class, **fields)
    return replace(images, pixels=images.pixels.repeat_interleave(2, 2).repeat_interleave(2, 3))


def offer(encoder: nn.Module) -> Offer:
    return Offer((2,) * 6, 0, 0, CLASSES, (), encoder)


def build(name: str, **options) -> Adapter:
    return cellda.adapters.create(name, **options)


def adapted(adapter: Adapter, model: CellClassifier, trainer: Trainer | None = None) -> CellClassifier:
    return adapter.adapt(model, TargetView(cells()), AdaptContext(trainer or Trainer("cpu"), seed=5))


class Watching(Trainer):
    """Records the arguments of `fit` and the state of the module at that time; trains nothing."""

    def __init__(self) -> None:
        super().__init__("cpu")
        self.calls: list[dict] = []

    def fit(self, module, examples, settings, **options):
        self.calls.append(
            {"module": module, "settings": settings, "state": state(module), "examples": examples, **options}
        )
        return []


def step(model: CellClassifier) -> Step:
    images = cells(per_class=1)
    return Step(model.normalized(images.raw(range(6))), images.labels, (0,) * 6, 0.0)


# ---------------------------------------------------------------------------------------------- blocks


@pytest.mark.parametrize("name", [CNN, VIT, "test_byobnet", "test_convnext", "test_resnet", "test_mambaout"])
def test_blocks_hold_every_parameter_once_in_order(name) -> None:
    encoder = classifier(name).encoder
    blocks = block_parameters(encoder)
    assert len(blocks) == len(block_ends(encoder)) >= 3
    assert all(blocks)
    given = [parameter for block in blocks for parameter in block]
    assert len(set(given)) == len(given)
    assert set(given) == {parameter for parameter, _ in encoder.named_parameters()}


def test_blocks_of_an_encoder_that_lists_none_are_its_parts() -> None:
    encoder = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Sequential(nn.Conv2d(4, 4, 3)), nn.Flatten())
    assert block_ends(encoder) == ["0", "2"]
    assert block_parameters(encoder) == [["0.weight", "0.bias"], ["2.0.weight", "2.0.bias"]]


# ---------------------------------------------------------------------------------------------- some weights only

FIRST = {
    CNN: ("conv_stem", "bn1", "blocks.0."),
    VIT: ("cls_token", "pos_embed", "patch_embed", "blocks.0."),
}
MIDDLE = {CNN: ("blocks.2.",), VIT: ("blocks.3.",)}
LAST = {CNN: ("blocks.4.", "conv_head", "bn2"), VIT: ("blocks.5.", "norm.", "fc_norm.")}


def in_encoder(*beginnings: str):
    return lambda name: any(name.startswith(f"encoder.{beginning}") for beginning in beginnings)


def is_norm(name: str) -> bool:
    """By the names that timm and the head give normalization layers."""
    layer = name.split(".")[-2]
    return "bn" in layer or "norm" in layer or name.startswith(("head.0.", "head.4."))


def is_changed_by_lora(name: str) -> bool:
    """Weights of more than one dimension, except those of depthwise convolutions and position embeddings."""
    plain = name.startswith("encoder.") and name.endswith(".weight") and "conv_dw" not in name
    return name.startswith("head.") or (plain and not is_norm(name))


PARTIAL = [
    *[
        (f"surgical-{block}-{name}", build("surgical", block=block, epochs=2), name, in_encoder(*of[name]))
        for block, of in (("first", FIRST), ("middle", MIDDLE), ("last", LAST))
        for name in (CNN, VIT)
    ],
    (
        "surgical-embedding",
        build("surgical", block="embedding", epochs=2),
        CNN,
        lambda n: n.startswith("embedding."),
    ),
    *[(f"norm_only-{name}", build("norm_only", epochs=2), name, is_norm) for name in (CNN, VIT)],
    *[
        (
            f"bitfit-{name}",
            build("bitfit", epochs=2),
            name,
            lambda n: n.endswith(".bias") or n.startswith("head."),
        )
        for name in (CNN, VIT)
    ],
    *[(f"lora-{name}", build("lora", epochs=2), name, is_changed_by_lora) for name in (CNN, VIT)],
]


@pytest.mark.parametrize(
    ("adapter", "name", "trains"), [case[1:] for case in PARTIAL], ids=[c[0] for c in PARTIAL]
)
def test_a_partial_method_moves_its_weights_and_no_others(adapter, name, trains) -> None:
    model = classifier(name)
    before = state(model)
    after = adapted(adapter, model)
    weights = dict(after.named_parameters())
    moved = {key for key, value in weights.items() if not torch.equal(value, before[key])}
    assert moved == {key for key in weights if trains(key)}
    assert len(moved) < len(weights)
    # The encoder's statistics stay, and the structure is plain.
    statistics = [key for key in before if key.startswith("encoder.") and "running" in key]
    assert all(torch.equal(before[key], after.state_dict()[key]) for key in statistics)
    assert after.state_dict().keys() == before.keys()


def test_an_encoder_without_what_is_tuned_is_refused_before_any_training(tmp_path) -> None:
    unfit = {"adapter": "norm_only", "backbone": {"name": "test_nfnet"}}
    with pytest.raises(ConfigurationError, match=r"norm_only .* this backbone has none .*'bitfit'"):
        prepared(recipe(**unfit), tmp_path)
    with pytest.raises(ConfigurationError, match=r"norm_only .* this backbone has none .*'bitfit'"):
        prepared(recipe(**unfit | {"adapter": ("head_only", "norm_only")}), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [CNN, VIT])
@pytest.mark.parametrize("adapter", ["norm_only", "bitfit", "surgical", "lora"])
def test_encoders_with_what_is_tuned_are_let_through(adapter, name) -> None:
    """`check` lets an encoder pass exactly where weights of it would train."""
    made, model = build(adapter), classifier(name)
    made.check(offer(encoder_structure(name)))
    before = state(model)
    weights = dict(adapted(made, model).named_parameters())
    assert any(key.startswith("encoder.") and not torch.equal(weights[key], before[key]) for key in weights)


def test_bitfit_lora_and_surgical_refuse_encoders_without_what_they_tune() -> None:
    unbiased = offer(nn.Sequential(nn.Conv2d(3, 8, 3, bias=False)))
    with pytest.raises(ConfigurationError, match=r"has none.*'norm_only'"):
        build("bitfit").check(unbiased)
    with pytest.raises(
        ConfigurationError, match=r"three blocks, but .* has 1; set adapter\.block='embedding'"
    ):
        build("surgical").check(unbiased)
    build("surgical", block="embedding").check(unbiased)
    build("lora").check(unbiased)
    with pytest.raises(ConfigurationError, match=r"without groups.*has none; .*'full'"):
        build("lora").check(offer(nn.Sequential(nn.Conv2d(3, 3, 3, groups=3))))


# ---------------------------------------------------------------------------------------------- lora


class Drawn(Watching):
    """Sets the low-rank updates, as training would, and records them and the model's outputs."""

    def fit(self, module, examples, settings, **options):
        super().fit(module, examples, settings, **options)
        generator = torch.Generator().manual_seed(1)
        for name, weight in module.named_parameters():
            if ".lora_B." in name:
                weight.data = 0.1 * torch.randn(weight.shape, generator=generator)
        self.weights = state(module)
        with torch.no_grad():
            self.logits = module.eval()(step(module).inputs)
        return []


@pytest.mark.parametrize(
    ("name", "layer"), [(CNN, "blocks.1.0.conv_exp"), (CNN, "blocks.1.0.conv_pwl"), (VIT, "blocks.2.mlp.fc1")]
)
def test_lora_adds_the_product_of_its_matrices_to_the_weights(name, layer) -> None:
    trainer, model = Drawn(), classifier(name)
    before = state(model)
    after = adapted(build("lora", rank=4, scale=8), model, trainer)
    down, up = (
        trainer.weights[f"encoder.{layer}.lora_{part}.default.weight"].double().numpy() for part in "AB"
    )
    assert down.shape[0] == up.shape[1] == 4
    change = np.einsum("or,r...->o...", up.reshape(len(up), 4), down)
    weight = before[f"encoder.{layer}.weight"].double().numpy()
    wanted = torch.from_numpy(weight + 8 / 4 * change)
    torch.testing.assert_close(
        after.state_dict()[f"encoder.{layer}.weight"].double(), wanted, atol=1e-5, rtol=1e-5
    )
    with torch.no_grad():
        torch.testing.assert_close(after.eval()(step(after).inputs), trainer.logits, atol=1e-3, rtol=1e-3)


def test_lora_starts_from_the_model_and_draws_by_its_seed() -> None:
    found = []
    for outside in (1, 2):
        torch.manual_seed(outside)
        trainer, model = Watching(), classifier()
        before = state(model)
        after = adapted(build("lora"), model, trainer)
        assert same(state(after), before)  # B is zero
        found.append(trainer.calls[0]["state"])
        assert torch.initial_seed() == outside
    assert any(".lora_A." in name for name in found[0])
    assert same(*found)


def test_lora_without_peft_is_refused_before_any_training(tmp_path, monkeypatch) -> None:
    from cellda.adapters import lora

    monkeypatch.setattr(lora, "find_spec", lambda name: None if name == "peft" else find_spec(name))
    with pytest.raises(ConfigurationError, match=r"needs the package peft: pip install 'cellda\[lora\]'"):
        prepared(recipe(adapter="lora"), tmp_path)
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------------------------------- lp_ft


def test_lp_ft_trains_the_head_first_and_then_all_weights_the_deeper_the_slower() -> None:
    trainer, model = Watching(), classifier()
    adapter = build(
        "lp_ft", probe_epochs=7, probe_lr=2e-3, epochs=3, decay=0.6, label_smoothing=0.3, weight_decay=0
    )
    adapted(adapter, model, trainer)
    probe, tune = trainer.calls
    assert probe["module"] is model.head
    assert (probe["settings"].epochs, probe["settings"].lr) == (7, 2e-3)
    assert (probe["settings"].label_smoothing, probe["settings"].weight_decay) == (0.3, 0)
    with torch.no_grad():
        wanted = model.embed(model.normalized(cells().raw(range(12))))
    torch.testing.assert_close(probe["examples"].features, wanted, atol=1e-5, rtol=1e-5)
    assert tune["module"] is model
    assert tune["settings"] == adapter
    rates = tune["objective"].rates
    assert not any(name.startswith(("head.", "embedding.")) for name in rates)
    for name, _ in model.encoder.named_parameters():
        block = {"conv_stem": 0, "bn1": 0, "conv_head": 4, "bn2": 4}.get(name.split(".")[0])
        depth = 4 - (int(name.split(".")[1]) if block is None else block)
        assert rates[f"encoder.{name}"] == pytest.approx(0.6**depth)


def test_lp_ft_goes_on_from_the_probe() -> None:
    class OnlyTheProbe(Watching):
        def fit(self, module, examples, settings, **options):
            if not isinstance(module, CellClassifier):
                return Trainer.fit(self, module, examples, settings, **options)
            return super().fit(module, examples, settings, **options)

    trainer, model = OnlyTheProbe(), classifier()
    before = state(model)
    adapted(build("lp_ft", probe_epochs=2), model, trainer)
    (tune,) = trainer.calls
    moved = {name for name, value in tune["state"].items() if not torch.equal(value, before[name])}
    assert moved
    assert all(name.startswith("head.") for name in moved)


# ---------------------------------------------------------------------------------------------- penalties


def beyond_cross_entropy(objective: CrossEntropy, model: CellClassifier, at: Step | None = None) -> float:
    at = at or step(model)
    with torch.no_grad():
        total = objective.loss(model, at)
        log = model(at.inputs).log_softmax(1)
    chosen = -log[range(len(log)), at.labels]
    return float(total - (0.9 * chosen - 0.1 * log.mean(1)).mean())


def test_l2_sp_is_the_squared_distance_from_the_start() -> None:
    trainer, model = Watching(), classifier()
    adapter = build("l2_sp", alpha=0.3)
    assert adapter.weight_decay == 0
    adapted(adapter, model, trainer)
    objective = trainer.calls[0]["objective"]
    assert isinstance(objective, StartingPoint)
    start = [weight.detach().double().numpy().copy() for weight in model.parameters()]
    assert beyond_cross_entropy(objective, model) == pytest.approx(0, abs=1e-6)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.05 * torch.rand_like(weight)
    gone = sum(
        np.square(weight.detach().double().numpy() - at).sum()
        for weight, at in zip(model.parameters(), start, strict=True)
    )
    assert beyond_cross_entropy(objective, model) == pytest.approx(0.3 / 2 * gone, rel=1e-4)


def distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    names = [name for name in one if name.endswith(("weight", "bias"))]
    return float(sum((one[name] - other[name]).square().sum() for name in names))


def test_l2_sp_holds_the_weights_in_training() -> None:
    gone = []
    for alpha in (0.0, 100.0):
        model = classifier()
        before = state(model)
        gone.append(distance(state(adapted(build("l2_sp", alpha=alpha, epochs=4, lr=1e-3), model)), before))
    assert gone[1] < 0.5 * gone[0]


@pytest.mark.parametrize(("k", "batch"), [(1, 6), (3, 6), (4, 2)])
def test_bss_is_the_sum_of_the_smallest_squared_singular_values(k, batch) -> None:
    trainer, model = Watching(), classifier()
    adapted(build("bss"), model, trainer)
    assert isinstance(trainer.calls[0]["objective"], SmallestSingularValues)
    whole = step(model)
    at = Step(whole.inputs[:batch], whole.labels[:batch], (0,) * batch, 0.0)
    with torch.no_grad():
        embeddings = model.embed(at.inputs).double().numpy()
    values = np.sqrt(np.clip(np.linalg.eigvalsh(embeddings @ embeddings.T), 0, None))  # in ascending order
    objective = SmallestSingularValues(0.2, k, 0.1)
    wanted = 0.2 * np.square(values[: min(k, batch)]).sum()
    assert beyond_cross_entropy(objective, model, at) == pytest.approx(wanted, rel=1e-3, abs=1e-6)


def test_bss_pulls_along_the_smallest_singular_vectors() -> None:
    class Through(nn.Module):
        """Embeddings are the inputs; the head's outputs are constant."""

        def embed(self, inputs: Tensor) -> Tensor:
            return inputs

        def head(self, embeddings: Tensor) -> Tensor:
            return 0 * embeddings[:, :6]

    inputs = torch.randn(5, 9, generator=torch.Generator().manual_seed(0)).requires_grad_()
    at = Step(inputs, torch.zeros(5, dtype=torch.int64), (0,) * 5, 0.0)
    SmallestSingularValues(0.5, 2, 0.0).loss(Through(), at).backward()
    left, values, right = np.linalg.svd(inputs.detach().double().numpy(), full_matrices=False)
    wanted = sum(0.5 * 2 * values[i] * np.outer(left[:, i], right[i]) for i in (-1, -2))
    torch.testing.assert_close(inputs.grad.double(), torch.from_numpy(wanted), atol=1e-5, rtol=1e-4)


# ---------------------------------------------------------------------------------------------- delta


TRIFLE = 1e-6
"""Share of a channel that is removed in finite differences."""


@pytest.mark.parametrize("name", [CNN, VIT])
def test_delta_attends_to_channels_by_what_the_loss_rises_without_them(name) -> None:
    """Against finite differences: each channel of a block is weakened slightly, one after the other."""
    model = classifier(name).double()
    images, labels = step(classifier(name)).inputs[:2].double(), torch.tensor([0, 3])
    found = channel_attention(model, images, labels)
    assert len(found) == len(block_ends(model.encoder))
    for place in (0, -1):
        block = model.encoder.get_submodule(block_ends(model.encoder)[place])
        axis = 1 if name == CNN else 2

        def losses(channel: int | None, block: nn.Module = block, axis: int = axis) -> Tensor:
            def weaken(_, __, output: Tensor) -> Tensor:
                factor = torch.ones(output.shape[axis], dtype=output.dtype)
                if channel is not None:
                    factor[channel] -= TRIFLE
                return output * factor.view([-1 if at == axis else 1 for at in range(output.ndim)])

            hook = block.register_forward_hook(weaken)
            with torch.no_grad():
                values = F.cross_entropy(model(images), labels, reduction="none")
            hook.remove()
            return values

        whole = losses(None)
        rises = torch.stack([(losses(channel) - whole) / TRIFLE for channel in range(len(found[place]))])
        wanted = softmax(rises.numpy(), axis=0).mean(1)
        torch.testing.assert_close(found[place], torch.from_numpy(wanted), atol=1e-6, rtol=1e-4)
        assert float(found[place].max()) > 1.0001 / len(found[place])  # not all the same


def test_delta_takes_the_attention_of_the_whole_support_and_keeps_the_source_as_it_was() -> None:
    trainer, model = Watching(), classifier()
    with torch.no_grad():
        model.head[-1].weight *= 300  # so that the loss rises differently in different images
    before = state(model)
    adapted(build("delta", batch_size=5), model, trainer)
    objective = trainer.calls[0]["objective"]
    assert isinstance(objective, FeatureMaps)
    images = cells()
    whole = channel_attention(model, model.normalized(images.raw(range(12))), images.labels)
    for one, other in zip(objective.attention, whole, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
        assert float(one.sum()) == pytest.approx(1)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    untouched = objective.source.embed(step(model).inputs)
    model.load_state_dict(before)
    torch.testing.assert_close(untouched, model.embed(step(model).inputs), atol=1e-4, rtol=1e-4)


def test_delta_is_the_attended_distance_of_feature_maps() -> None:
    source, model = classifier(seed=0), classifier(seed=1)
    images = step(model).inputs
    scaled = (images - model.mean) / model.std
    generator = torch.Generator().manual_seed(0)
    attention = [torch.rand(n, generator=generator).softmax(0) for n in (16, 24, 32, 48, 64)]
    wanted = 0.0
    with torch.no_grad():
        maps = [one.encoder.forward_intermediates(scaled, intermediates_only=True) for one in (model, source)]
    for ours, theirs, weights in zip(*maps, attention, strict=True):
        ours, theirs, weights = (value.double().numpy() for value in (ours, theirs, weights))
        per_channel = np.square(ours - theirs).mean((2, 3))
        wanted += len(weights) * (per_channel * weights).sum(1).mean()
    objective = FeatureMaps(source.for_inference(), attention, 0.4, 0.1)
    assert wanted > 0
    assert beyond_cross_entropy(objective, model) == pytest.approx(0.4 / 2 * wanted, rel=1e-3)
    # The loop trains a folded copy; its feature maps are the same.
    assert beyond_cross_entropy(objective, model.folded()) == pytest.approx(0.4 / 2 * wanted, rel=1e-3)
    assert beyond_cross_entropy(FeatureMaps(source, attention, 0.4, 0.1), source) == pytest.approx(
        0, abs=1e-5
    )


def test_delta_holds_the_feature_maps_in_training() -> None:
    gone = []
    for alpha in (0.0, 10.0):
        model = classifier()
        inputs = (step(model).inputs - model.mean) / model.std
        with torch.no_grad():
            before = model.encoder.forward_intermediates(inputs, intermediates_only=True)[-1]
        after = adapted(build("delta", alpha=alpha, epochs=4, lr=1e-3), model)
        with torch.no_grad():
            found = after.encoder.forward_intermediates(inputs, intermediates_only=True)[-1]
        gone.append(float((found - before).square().mean()))
    assert gone[1] < 0.5 * gone[0]


def test_delta_counts_the_passes_of_both_encoders(monkeypatch) -> None:
    adapter = build("delta", epochs=3)
    passes = 0
    embed = CellClassifier.embed

    def counted(self, images):
        nonlocal passes
        passes += len(images)
        return embed(self, images)

    monkeypatch.setattr(CellClassifier, "embed", counted)
    adapted(adapter, classifier())
    assert passes == adapter.image_passes(offer(encoder_structure(CNN))) == 2 * 3 * 12 + 12


# ---------------------------------------------------------------------------------------------- embeddings

WIDTH = 7


def embeddings(*counts: int) -> tuple[Features, np.ndarray, np.ndarray]:
    """Features with these numbers of each class, away from the origin; the same as arrays."""
    generator = torch.Generator().manual_seed(len(counts))
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    centres = 3 * torch.randn(len(counts), WIDTH, generator=generator)
    support = 5 + centres[labels] + torch.randn(len(labels), WIDTH, generator=generator)
    shuffled = torch.randperm(len(labels), generator=generator)
    support, labels = support[shuffled], labels[shuffled]
    return (
        Features(support, labels, torch.empty(0, WIDTH)),
        support.double().numpy(),
        labels.numpy(),
    )


def fitted(adapter: Adapter, features: Features, classes: int = 6) -> nn.Module:
    head = heads.create("mlp", WIDTH, classes).eval()
    return adapter.fit_head(head, features, AdaptContext(Trainer("cpu"), 0)).eval()


QUERIES = 5 + 4 * torch.randn(200, WIDTH, generator=torch.Generator().manual_seed(9))


def said(head: nn.Module) -> np.ndarray:
    with torch.no_grad():
        return head(QUERIES).softmax(1).double().numpy()


@pytest.mark.parametrize("counts", [(3, 9, 2, 5, 4, 6), (3, 0, 2, 5, 0, 1), (0, 0, 4, 0, 0, 5)], ids=str)
def test_ncm_is_the_nearest_class_mean_of_centred_units(counts) -> None:
    features, support, labels = embeddings(*counts)
    present = [label for label, count in enumerate(counts) if count]
    centre = np.mean([support[labels == label].mean(0) for label in present], axis=0)
    units = normalize(support - centre)
    means = np.stack([units[labels == label].mean(0) for label in present])
    far = cdist(normalize(QUERIES.double().numpy() - centre), means, "sqeuclidean")
    found = said(fitted(build("ncm", temperature=0.2), features))
    np.testing.assert_allclose(found[:, present], softmax(-far / 0.4, axis=1), atol=1e-4)
    assert (found.argmax(1) == np.array(present)[far.argmin(1)]).all()
    assert set(found.argmax(1)) <= set(present)
    absent = [label for label in range(6) if label not in present]
    assert (found[:, absent] == 0).all()


def test_the_temperature_of_ncm_changes_no_prediction() -> None:
    features, *_ = embeddings(3, 9, 2, 5, 4, 6)
    cold, warm = (said(fitted(build("ncm", temperature=value), features)) for value in (0.02, 1.0))
    assert (cold.argmax(1) == warm.argmax(1)).all()
    assert cold.max(1).mean() > warm.max(1).mean() + 0.1


@pytest.mark.parametrize("counts", [(3, 9, 2, 5, 4, 6), (3, 0, 2, 5, 0, 1), (0, 0, 4, 0, 0, 5)], ids=str)
@pytest.mark.parametrize("strength", [0.01, 1.0])
def test_logistic_is_that_of_scikit_learn(counts, strength) -> None:
    features, support, labels = embeddings(*counts)
    reference = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000, tol=1e-8))
    wanted = reference.fit(support, labels).predict_proba(QUERIES.double().numpy())
    found = said(fitted(build("logistic", C=strength), features))
    present = reference.classes_
    np.testing.assert_allclose(found[:, present], wanted, atol=1e-3)
    absent = [label for label in range(6) if label not in present]
    assert (found[:, absent] == 0).all()


@pytest.mark.parametrize(("support", "width", "atol"), [(12, 128, 1e-3), (12, 3, None)], ids=["all", "few"])
def test_probe_is_the_logistic_regression_on_the_backbones_own_features(support, width, atol) -> None:
    model = CellClassifier(
        Backbone(name=CNN, weights="none", image_size=32, embedding=width), NormalizerSpec(name="identity")
    ).eval()
    cells = brightness_set(per_class=2).subset(range(support))
    queries = model.normalized(brightness_set(per_class=3, seed=5).raw(range(18)))
    with torch.no_grad():
        inputs, asked = (
            model.encoder((images - model.mean) / model.std).double().numpy()
            for images in (model.normalized(cells.raw(range(support))), queries)
        )
    steps = [
        StandardScaler(),
        *([] if atol else [PCA(width)]),
        LogisticRegression(C=0.1, max_iter=1000, tol=1e-8),
    ]
    wanted = make_pipeline(*steps).fit(inputs, cells.labels).predict_proba(asked)
    kept = state(model.encoder)
    found = build("probe").adapt(model, TargetView(cells), AdaptContext(Trainer("cpu"), 0))
    with torch.no_grad():
        np.testing.assert_allclose(found(queries).softmax(1), wanted, atol=atol or 1e-3)
    assert same(kept, state(found.encoder))
    assert found.embedding.out_features == width


def test_logistic_of_one_class_always_predicts_it() -> None:
    features, *_ = embeddings(0, 0, 0, 4)
    found = said(fitted(build("logistic"), features))
    assert (found[:, 3] == 1).all()


@pytest.mark.parametrize("counts", [(3, 9, 2, 5, 4, 6), (3, 0, 2, 5, 0, 1)], ids=str)
def test_tip_cache_adds_the_mean_affinity_of_each_class(counts) -> None:
    features, support, labels = embeddings(*counts)
    source = heads.create("linear", WIDTH, 6)
    head = build("tip_cache", alpha=2.0, beta=3.0).fit_head(source, features, AdaptContext(Trainer("cpu"), 0))
    queries = QUERIES[:20]
    with torch.no_grad():
        found, own = head(queries).numpy(), source(queries).numpy()
    for row, query in enumerate(queries.double().numpy()):
        for label in range(6):
            added = [
                np.exp(-3.0 * (1 - query @ key / (np.linalg.norm(query) * np.linalg.norm(key))))
                for key in support[labels == label]
            ]
            wanted = own[row, label] + (2.0 * np.mean(added) if added else 0.0)
            assert found[row, label] == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("name", ["ncm", "logistic", "tip_cache"])
def test_what_works_on_embeddings_leaves_the_encoder_alone(name) -> None:
    model = classifier()
    before = state(model)
    after = state(adapted(build(name), model))
    kept = [key for key in before if not key.startswith("head.")]
    assert all(torch.equal(before[key], after[key]) for key in kept)
    if name == "tip_cache":
        source = {key: value for key, value in before.items() if key.startswith("head.")}
        inner = {
            key.replace("head.inner.", "head."): value for key, value in after.items() if ".inner." in key
        }
        assert same(source, inner)
