"""Adapters that use unlabelled images, each against its formula written out."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.special import log_softmax, softmax
from scipy.stats import entropy
from sklearn.neighbors import NearestNeighbors, kneighbors_graph
from sklearn.preprocessing import normalize
from sklearn.semi_supervised import LabelSpreading
from torch import nn

import cellda.adapters
from cellda import CellClassifier
from cellda.adapters import AdaptContext, Features, Need, Offer, TargetView
from cellda.adapters.families import batchnorm as statistics
from cellda.adapters.families.entropy import OfLogits, marginal_entropy
from cellda.adapters.shot import pseudo_labels
from cellda.data.image_set import ImageSet
from cellda.errors import ConfigurationError
from cellda.models import heads
from cellda.models.heads.base import Head
from cellda.models.spec import Backbone
from cellda.models.timm_names import encoder_structure
from cellda.normalizers.identity import Identity
from cellda.normalizers.spec import NormalizerSpec
from cellda.taxonomies.base import UNLABELLED
from cellda.training.batches import REPEATS, Mix
from cellda.training.loop import Trainer
from cellda.training.objective import Step
from tiny import CLASSES, same, state

TRAINER = Trainer("cpu")
OFFER = Offer((2,) * 6, 40, 36, CLASSES, (), encoder_structure("test_efficientnet"))
WITH_BATCHNORM = ("adabn", "tent")
ON_FEATURES = ("t3a", "lame", "prior_correction", "label_propagation", "tim")
ALL = (*WITH_BATCHNORM, "shot", *ON_FEATURES)
SMALL = {
    "tent": {"epochs": 2, "batch_size": 32},
    "shot": {"epochs": 1, "batch_size": 16},
    "tim": {"epochs": 3},
}


def images(count: int, seed: int = 0, labels: torch.Tensor | None = None) -> ImageSet:
    """Noise of 32 x 32, brighter in later images; no labels unless given."""
    shade = torch.linspace(0, 150, count).view(-1, 1, 1, 1)
    noise = torch.randint(0, 100, (count, 3, 32, 32), generator=torch.Generator().manual_seed(seed))
    return ImageSet((noise + shade).to(torch.uint8), torch.arange(count), Identity(), labels)


SOURCES = (images(20, seed=3), images(16, seed=4))
CONTEXT = AdaptContext(TRAINER, 5, SOURCES)
POOL = images(40, seed=1)
SUPPORT = images(12, seed=2, labels=torch.arange(6).repeat(2))
VIEW = TargetView(SUPPORT, POOL)


class Darker(Identity):
    """Halves the intensity."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images / 2


@pytest.fixture(scope="module")
def source() -> CellClassifier:
    """A random network with non-trivial statistics and predictions."""
    torch.manual_seed(0)
    model = CellClassifier(
        Backbone(name="test_efficientnet", weights="none", image_size=32), NormalizerSpec(name="identity")
    )
    model.train()
    with torch.no_grad():
        for seed in range(5):
            model(model.normalized(images(32, seed=10 + seed).raw(range(32))))
        model.head[-1].weight.mul_(20)
    return model.eval()


def create(name: str, **options):
    return cellda.adapters.create(name, **{**SMALL.get(name, {}), **options})


def adapted(source: CellClassifier, name: str, **options) -> CellClassifier:
    adapter = create(name, **options)
    return adapter.adapt(deepcopy(source), VIEW.seen_by(adapter), CONTEXT)


def changed(source: CellClassifier, model: CellClassifier) -> set[str]:
    """Names of all weights and statistics that differ, ignoring the counts of batches."""
    before, after = state(source), state(model)
    return {
        key for key, value in before.items() if not torch.equal(after[key], value) and "tracked" not in key
    }


def norms(model: nn.Module) -> dict[str, nn.BatchNorm2d]:
    """The BatchNorms of the encoder by name."""
    return {
        f"encoder.{name}": part
        for name, part in model.encoder.named_modules()
        if isinstance(part, nn.BatchNorm2d)
    }


# ---------------------------------------------------------------------------------------------- all of them


@pytest.mark.parametrize("most", [1000, 15])
@pytest.mark.parametrize("name", ALL)
def test_as_many_images_are_sent_through_the_backbone_as_was_told(source, monkeypatch, name, most) -> None:
    seen = []
    raw = ImageSet.raw

    def watched(self, positions):
        seen.extend(
            (self.pixels is POOL.pixels, row) for row in self.rows[torch.as_tensor(positions)].tolist()
        )
        return raw(self, positions)

    monkeypatch.setattr(ImageSet, "raw", watched)
    adapted(source, name, pool_images=most)
    assert len(seen) == create(name, pool_images=most).image_passes(OFFER)
    assert len({row for of_pool, row in seen if of_pool}) == min(most, 40)


def test_the_part_of_a_large_pool_is_drawn_by_the_seed_alone() -> None:
    part = create("lame", pool_images=15).part(POOL, 5)
    assert part.rows.tolist() == sorted(set(part.rows.tolist()))
    assert len(part) == 15
    assert part.rows.tolist() == create("tent", pool_images=15).part(POOL, 5).rows.tolist()
    assert part.rows.tolist() != create("lame", pool_images=15).part(POOL, 6).rows.tolist()
    assert create("lame", pool_images=40).part(POOL, 5) is POOL


@pytest.mark.parametrize("name", ["lame", "label_propagation"])
def test_images_that_were_not_looked_at_are_predicted_as_new_ones(source, name) -> None:
    adapter = create(name, pool_images=15)
    model = adapter.adapt(deepcopy(source), VIEW.seen_by(adapter), CONTEXT)
    alone = replace(VIEW, unlabelled=adapter.part(POOL, CONTEXT.seed)).seen_by(adapter)
    wanted = create(name).adapt(deepcopy(source), alone, CONTEXT)
    raw = POOL.raw(range(40))
    assert torch.equal(model.predict(raw).probabilities, wanted.predict(raw).probabilities)


@pytest.mark.parametrize("name", ["tent", "shot"])
@pytest.mark.parametrize("pool", [30, 5000])
def test_an_epoch_takes_no_more_of_the_pool_than_it_says(name, pool) -> None:
    adapter = create(name)
    passes = adapter.image_passes(replace(OFFER, unlabelled=pool))
    part = min(pool, {"tent": 800, "shot": 600}[name])
    assert (
        passes
        == {
            "tent": 36 + 3 * part,
            "shot": 2 * (part + min(part, 400)),
        }[name]
    )


@pytest.mark.parametrize("name", ALL)
def test_a_target_with_few_of_the_classes_is_no_trouble(source, name) -> None:
    labels = torch.tensor([1, 5]).repeat(6)
    adapter = create(name)
    view = TargetView(replace(SUPPORT, known_labels=labels), POOL).seen_by(adapter)
    model = adapter.adapt(deepcopy(source), view, CONTEXT)
    assert model.predict(POOL.raw(range(40))).probabilities.isfinite().all()


@pytest.mark.parametrize(
    "steps",
    [
        ("adabn", "t3a", "lame", "prior_correction"),
        ("tim", "prior_correction", "lame"),
        ("label_propagation", "prior_correction"),
    ],
    ids=str,
)
def test_they_go_on_from_any_head_and_what_is_saved_says_the_same(source, tmp_path, steps) -> None:
    chain = cellda.adapters.build(steps)
    model = chain.adapt(deepcopy(source), VIEW, CONTEXT)
    raw = images(7, seed=3).raw(range(7))
    said = model.predict(raw).probabilities
    assert said.isfinite().all()
    assert not torch.allclose(said, source.predict(raw).probabilities, atol=1e-4)
    kept = CellClassifier.load(model.save(tmp_path))
    torch.testing.assert_close(kept.predict(raw).probabilities, said, atol=1e-6, rtol=1e-5)


# ---------------------------------------------------------------------------------------------- BatchNorm


@pytest.mark.parametrize("name", WITH_BATCHNORM)
def test_an_encoder_without_batchnorm_and_a_pool_of_one_are_refused(name) -> None:
    adapter = create(name)
    adapter.check(OFFER)
    with pytest.raises(ConfigurationError, match=f"{name} works on the BatchNorm.*this backbone has none"):
        adapter.check(replace(OFFER, encoder=encoder_structure("test_vit")))
    with pytest.raises(ConfigurationError, match="takes more than one image"):
        adapter.check(replace(OFFER, unlabelled=1))


@pytest.mark.parametrize("batch", [64, 12])
@pytest.mark.parametrize("alpha", [1.0, 0.25])
def test_adabn_takes_the_exact_mean_and_variance_of_the_pool(source, monkeypatch, batch, alpha) -> None:
    monkeypatch.setattr(statistics, "BATCH", batch)
    centred = deepcopy(source)
    statistics.keep_to_source(centred, SOURCES)
    watched = deepcopy(centred)
    seen: dict[str, list[np.ndarray]] = {name: [] for name in norms(watched)}
    for name, layer in norms(watched).items():
        layer.train().register_forward_pre_hook(lambda _, given, n=name: seen[n].append(given[0].numpy()))
    parts = -(-40 // batch)  # every n-th image, so that a batch is not of one class
    with torch.no_grad():
        for first in range(parts):
            watched.embed(watched.normalized(POOL.raw(range(first, 40, parts))))

    model = adapted(source, "adabn", alpha=alpha)
    for name, layer in norms(model).items():
        values = np.concatenate(seen[name]).astype(np.float64)
        before = norms(centred)[name]
        for found, own, wanted in (
            (layer.running_mean, before.running_mean, values.mean((0, 2, 3))),
            (layer.running_var, before.running_var, values.var((0, 2, 3), ddof=1)),
        ):
            blended = (1 - alpha) * own.double().numpy() + alpha * wanted
            np.testing.assert_allclose(found.numpy(), blended, rtol=1e-4, atol=1e-5)


def test_keeping_to_the_source_takes_its_statistics_and_changes_no_output(source, monkeypatch) -> None:
    monkeypatch.setattr(statistics, "SOURCE_IMAGES", 9)
    monkeypatch.setattr(statistics, "BATCH", 4)
    # Sources that have a normalizer of their own.
    dark = replace(SOURCES[1], normalizer=Darker())
    rows = [0, 4, 8, 13, 17], [1, 6, 10, 15]  # every 35/8th of 20 and 16
    seen = torch.cat([SOURCES[0].raw(rows[0]) / 255, SOURCES[1].raw(rows[1]) / 510])
    before = {name: [] for name in norms(source)}
    watched = deepcopy(source).eval()
    for name, layer in norms(watched).items():
        layer.register_forward_pre_hook(lambda _, given, n=name: before[n].append(given[0].double().numpy()))
    with torch.no_grad():
        logits = watched(seen)
    model = deepcopy(source)
    statistics.keep_to_source(model, (SOURCES[0], dark))
    assert changed(source, model) == {
        f"{name}.{kind}"
        for name in norms(source)
        for kind in ("weight", "bias", "running_mean", "running_var")
    }
    for name, layer in norms(model).items():
        (values,) = before[name]
        np.testing.assert_allclose(layer.running_mean, values.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(layer.running_var, values.var((0, 2, 3), ddof=1), rtol=1e-3, atol=1e-6)
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(seen), logits, atol=1e-3, rtol=1e-3)


def test_adabn_of_the_source_itself_changes_little_whatever_statistics_it_was_trained_with(source) -> None:
    strange = deepcopy(source)
    generator = torch.Generator().manual_seed(0)
    for layer in norms(strange).values():  # as if ImageNet's had stayed
        layer.running_mean += torch.randn(layer.running_mean.shape, generator=generator)
        layer.running_var *= torch.rand(layer.running_var.shape, generator=generator).mul(2).exp()
    pool = images(40, seed=6)
    adapter, raw = create("adabn"), pool.raw(range(40))
    context = replace(CONTEXT, source=(pool,))
    model = adapter.adapt(deepcopy(strange), TargetView(pool, pool), context)
    said, wanted = (one.predict(raw).probabilities for one in (model, strange))
    plain = deepcopy(strange)
    statistics.take_statistics(plain, pool)
    gone = float((plain.predict(raw).probabilities - wanted).abs().mean())
    assert float((said - wanted).abs().mean()) < 0.1 * gone


def test_adabn_changes_batchnorm_alone_and_predictions_use_it(source) -> None:
    source.predict(POOL.raw(range(2)))  # finds what can be folded
    model, raw = adapted(source, "adabn"), POOL.raw(range(5))
    assert changed(source, model) == {
        f"{name}.{kind}"
        for name in norms(source)
        for kind in ("weight", "bias", "running_mean", "running_var")
    }
    as_it_was = adapted(source, "adabn", alpha=0.0).predict(raw).probabilities
    torch.testing.assert_close(as_it_was, source.predict(raw).probabilities, atol=1e-4, rtol=1e-3)
    with torch.no_grad():
        logits = model(model.normalized(raw))
    torch.testing.assert_close(model.predict(raw).probabilities, logits.softmax(1), atol=1e-5, rtol=1e-4)


def test_tent_trains_batchnorm_and_leaves_the_statistics_of_the_pool(source) -> None:
    model = adapted(source, "tent")
    assert changed(source, model) == {
        f"{name}.{kind}"
        for name in norms(source)
        for kind in ("weight", "bias", "running_mean", "running_var")
    }
    again = deepcopy(model)
    statistics.take_statistics(again, POOL)
    for name in norms(model):
        torch.testing.assert_close(norms(again)[name].running_var, norms(model)[name].running_var)


def test_tent_minimises_the_entropy_of_what_the_head_in_use_says_of_normalized_batches(source) -> None:
    adapter = create("tent")
    inputs = source.normalized(POOL.raw(range(40)))
    step = Step(inputs, torch.full((40,), UNLABELLED), (0,) * 40, 0.0)
    found = OfLogits(adapter.loss, head_in_use=True).loss(deepcopy(source).train(), step)
    by_hand = deepcopy(source)
    for layer in norms(by_hand).values():
        layer.train()
    with torch.no_grad():
        said = softmax(by_hand(inputs).double().numpy(), axis=1)
    assert found.item() == pytest.approx(entropy(said, axis=1).mean(), rel=1e-4)

    def uncertainty(model: CellClassifier) -> float:
        return float(entropy(model.predict(POOL.raw(range(40))).probabilities.numpy(), axis=1).mean())

    assert (
        uncertainty(adapted(source, "tent", epochs=10, lr=1e-2))
        < uncertainty(adapted(source, "adabn")) - 0.05
    )


# ---------------------------------------------------------------------------------------------- information


def test_entropies_of_the_mean_prediction() -> None:
    logits = torch.randn(9, 6, generator=torch.Generator().manual_seed(0)) * 2
    mean = softmax(logits.numpy(), axis=1).mean(0)
    assert float(marginal_entropy(logits, 1.0)) == pytest.approx(entropy(mean), rel=1e-5)
    assert float(marginal_entropy(logits, 2.0)) == pytest.approx(1 - (mean**2).sum(), rel=1e-5)
    assert float(marginal_entropy(logits, 4.0)) == pytest.approx((1 - (mean**4).sum()) / 3, rel=1e-5)
    assert float(marginal_entropy(logits, 1.0001)) == pytest.approx(entropy(mean), rel=1e-2)


def test_a_higher_order_pulls_less_at_a_rare_class() -> None:
    rare = torch.tensor([[0.0, -5.0]]).repeat(4, 1)

    def pull(order: float) -> float:
        logits = rare.clone().requires_grad_()
        marginal_entropy(logits, order).backward()
        return float(logits.grad[0, 1])

    assert pull(1.0) > 2 * pull(2.0) > 0


def test_shots_pseudo_labels_are_those_of_centroids_twice() -> None:
    rng = np.random.default_rng(0)
    z, p = rng.normal(size=(50, 8)), softmax(rng.normal(size=(50, 6)) * 2, axis=1)
    p[:, 4] *= 0.01  # a class that is never predicted
    p /= p.sum(1, keepdims=True)
    assert 4 not in p.argmax(1)
    unit, weights = normalize(z), p
    for _ in range(2):
        centroids = np.stack(
            [(weights[:, [k]] * unit).sum(0) / max(weights[:, k].sum(), 1e-8) for k in range(6)]
        )
        distance = cdist(unit, centroids + 1e-30, "cosine")
        distance[:, 4] = np.inf
        wanted = distance.argmin(1)
        weights = np.eye(6)[wanted]
    found = pseudo_labels(torch.from_numpy(z).float(), torch.from_numpy(p).float())
    assert np.array_equal(found.numpy(), wanted)
    assert (wanted != p.argmax(1)).any()


def test_shot_gives_no_cell_to_a_class_that_is_left_without_cells() -> None:
    # Both classes have the same centroid at first, so that all cells go to the first; one lies opposite.
    z = torch.tensor([[1.0, 0.0]] * 10 + [[-1.0, 0.0]])
    p = torch.tensor([[0.6, 0.4]] * 10 + [[0.4, 0.6]])
    assert not pseudo_labels(z, p).any()


def tsallis(p: np.ndarray, order: float) -> np.ndarray:
    """Entropies of distributions in the last dimension."""
    return entropy(p, axis=-1) if order == 1 else (1 - (p**order).sum(-1)) / (order - 1)


@pytest.mark.parametrize("order", [1.0, 2.0, 4.0])
def test_shots_loss_is_its_formula(order) -> None:
    adapter = create("shot", pseudo=0.3, marginal=0.8, order=order)
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(size=(10, 6)), rng.integers(0, 6, 10)
    p = softmax(logits, axis=1)
    wanted = (
        tsallis(p, order).mean()
        - 0.8 * tsallis(p.mean(0), order)
        - 0.3 * log_softmax(logits, axis=1)[range(10), labels].mean()
    )
    found = adapter.loss(torch.from_numpy(logits), torch.from_numpy(labels))
    assert found.item() == pytest.approx(wanted)


def test_shot_trains_all_before_the_head_on_pseudo_labels(source, monkeypatch) -> None:
    given = []
    fit = Trainer.fit

    def watched(self, module, examples, *rest, **options):
        embeddings = TRAINER.embeddings(module, POOL)
        said = TRAINER.apply(module.head, embeddings).softmax(1)
        given.append((examples.sets[0].labels, pseudo_labels(embeddings, said), options["seed"]))
        return fit(self, module, examples, *rest, **options)

    monkeypatch.setattr(Trainer, "fit", watched)
    model = adapted(source, "shot")
    assert len(given) == 2
    assert given[0][2] != given[1][2]
    assert all(torch.equal(labels, wanted) for labels, wanted, _ in given)
    moved = changed(source, model)
    assert not any(key.startswith("head.") for key in moved)
    assert not any("running" in key for key in moved)
    trained = {f"encoder.{name}" for name, _ in source.encoder.named_parameters()} | {"embedding.weight"}
    assert {key for key in trained if key.endswith("weight")} <= moved
    assert POOL.known_labels is None


@pytest.mark.parametrize("order", [1.0, 2.0])
def test_tims_loss_is_its_formula(order) -> None:
    adapter = create("tim", marginal=2.0, conditional=0.5, order=order, label_smoothing=0.0)
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(12, 6))
    labels = np.where(np.arange(12) % 3 == 0, rng.integers(0, 6, 12), UNLABELLED)
    p = softmax(logits[labels < 0], axis=1)
    known = labels >= 0
    wanted = (
        -log_softmax(logits[known], axis=1)[range(known.sum()), labels[known]].mean()
        - 2.0 * tsallis(p.mean(0), order)
        + 0.5 * entropy(p, axis=1).mean()
    )
    found = adapter.loss(torch.from_numpy(logits), torch.from_numpy(labels))
    assert found.item() == pytest.approx(wanted)


def test_tim_trains_the_head_on_support_and_pool_in_equal_parts(source, monkeypatch) -> None:
    given = []
    fit = Trainer.fit

    def watched(self, module, examples, settings, **options):
        given.append((module, examples, options))
        return fit(self, module, examples, settings, **options)

    monkeypatch.setattr(Trainer, "fit", watched)
    model = adapted(source, "tim")
    ((module, examples, options),) = given
    assert module is model.head
    assert options["order"] == Mix((12, 40), per_epoch=40)
    assert torch.equal(examples.labels, torch.cat([SUPPORT.labels, torch.full((40,), UNLABELLED)]))
    torch.testing.assert_close(examples.features[12:], TRAINER.embeddings(source, POOL))
    moved = changed(source, model)
    assert moved
    assert all(key.startswith("head.") for key in moved)


def test_tim_repeats_a_small_support_no_more_than_is_sound() -> None:
    # The loop warns of sets that are repeated more often, and warnings are errors here.
    features = Features(torch.randn(2, 8), torch.tensor([0, 3]), torch.randn(REPEATS * 2 + 30, 8))
    create("tim").fit_head(heads.create("linear", 8, 6), features, CONTEXT)


def test_tim_makes_predictions_of_the_pool_more_certain_than_labels_alone_do() -> None:
    features = features_of(0)

    def uncertainty(name: str) -> float:
        head = create(name, epochs=30, lr=1e-2).fit_head(some_head(), features, CONTEXT)
        return float(entropy(said_by(head, features.pool), axis=1).mean())

    assert uncertainty("tim") < 0.8 * uncertainty("head_only")


def test_tim_refuses_a_head_without_weights() -> None:
    head = heads.create("label_propagation", 8, 6, anchors=3)
    features = Features(torch.randn(4, 8), torch.arange(4), torch.randn(9, 8))
    with pytest.raises(ConfigurationError, match="'label_propagation' has none; put tim before"):
        create("tim").fit_head(head, features, CONTEXT)


# ---------------------------------------------------------------------------------------------- heads


def features_of(seed: int, support: int = 12, pool: int = 60, width: int = 8) -> Features:
    """Embeddings around six directions, with unequal class shares."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(6, width))
    labels = np.arange(support) % 6
    hidden = rng.choice(6, pool, p=[0.5, 0.3, 0.1, 0.05, 0.05, 0.0])

    def around(classes: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(directions[classes] + 0.7 * rng.normal(size=(len(classes), width))).float()

    return Features(around(labels), torch.from_numpy(labels), around(hidden))


def some_head(name: str = "mlp", width: int = 8) -> Head:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        head = heads.create(name, width, 6)
        with torch.no_grad():
            [part for part in head.modules() if isinstance(part, nn.Linear)][-1].weight.mul_(5)
    return head.eval()


def said_by(head: nn.Module, embeddings: torch.Tensor) -> np.ndarray:
    """Probabilities, in float64."""
    with torch.no_grad():
        return head.eval()(embeddings).double().softmax(1).numpy()


@pytest.mark.parametrize("name", ["mlp", "linear"])
@pytest.mark.parametrize("keep", [1, 5, 1000])
def test_t3a_is_its_formula(name, keep) -> None:
    head, features = some_head(name), features_of(0)
    before = state(head)
    with torch.no_grad():
        read = (
            (nn.Sequential(*list(head)[:-1])(features.pool) if name == "mlp" else features.pool)
            .double()
            .numpy()
        )
    last = "6" if name == "mlp" else "linear"
    weight, bias = (before[f"{last}.{kind}"].double().numpy() for kind in ("weight", "bias"))
    logits = read @ weight.T + bias
    own = entropy(softmax(weight @ weight.T + bias, axis=1), axis=1)
    uncertain = entropy(softmax(logits, axis=1), axis=1)
    prototypes = []
    for k in range(6):
        taken = logits.argmax(1) == k
        vectors = normalize(np.vstack([weight[k], read[taken]]))
        order = np.argsort(np.r_[own[k], uncertain[taken]])[:keep]
        mean = vectors[order].mean(0)
        prototypes.append(mean / np.linalg.norm(mean))
    wanted = read @ np.stack(prototypes).T * np.linalg.norm(weight, axis=1).mean()

    found = create("t3a", keep=keep).fit_head(head, features, CONTEXT)
    assert found is head
    with torch.no_grad():
        np.testing.assert_allclose(head(features.pool).numpy(), wanted, rtol=1e-3, atol=1e-4)
    after = state(head)
    assert {key for key in before if not torch.equal(before[key], after[key])} == {
        f"{last}.weight",
        f"{last}.bias",
    }


def test_t3a_keeps_the_direction_of_a_class_that_no_image_is_taken_for() -> None:
    head = some_head("linear")
    with torch.no_grad():
        head.linear.bias[2] = -100
    before = head.linear.weight[[2]].detach().clone()
    create("t3a").fit_head(head, features_of(1), CONTEXT)
    found = head.linear.weight[[2]].detach()
    np.testing.assert_allclose(normalize(found), normalize(before), rtol=1e-5)


def test_t3a_does_not_revive_a_class_that_the_head_rules_out() -> None:
    features = features_of(0)
    support = replace(features, labels=features.labels.clamp(max=3))
    head = create("ncm").fit_head(some_head(), support, CONTEXT)
    found = create("t3a").fit_head(head, features, CONTEXT)
    queries = torch.cat([features.pool, -features.pool])
    assert set(said_by(found, queries).argmax(1)) <= {0, 1, 2, 3}


@pytest.mark.parametrize("name", ["prior", "label_propagation"])
def test_t3a_refuses_a_head_that_does_not_end_in_a_linear_layer(name) -> None:
    options = {"inner": {"name": "mlp"}} if name == "prior" else {"anchors": 3}
    head = heads.create(name, 8, 6, **options)
    if name == "prior":
        head.log_ratio.copy_(torch.rand(6))
    with pytest.raises(ConfigurationError, match=f"'{name}' does not end in one"):
        create("t3a").fit_head(head, features_of(0), CONTEXT)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 2.0])
@pytest.mark.parametrize("trained_on", [None, (0.3, 0.3, 0.1, 0.1, 0.1, 0.1)])
def test_prior_correction_is_em_written_out(smoothing, trained_on) -> None:
    head, features = some_head(), features_of(0)
    p = said_by(head, features.pool)
    old = np.full(6, 1 / 6) if trained_on is None else np.array(trained_on)
    new = old.copy()
    for _ in range(1000):
        r = p * new / old
        r /= r.sum(axis=1, keepdims=True)
        new = (r.sum(axis=0) + smoothing * len(p) / 6) / (len(p) * (1 + smoothing))
    fresh = torch.randn(5, 8)
    wanted = said_by(head, fresh) * new / old
    wanted /= wanted.sum(1, keepdims=True)
    kept = state(head)
    found = create("prior_correction", smoothing=smoothing, trained_on=trained_on).fit_head(
        head, features, CONTEXT
    )
    np.testing.assert_allclose(said_by(found, fresh), wanted, atol=2e-4)
    assert found.inner is head
    assert same(state(head), kept)


def test_prior_correction_finds_the_shares_that_images_have() -> None:
    rng = np.random.default_rng(0)
    shares = np.array([0.6, 0.3, 0.06, 0.04, 0.0, 0.0])
    hidden = rng.choice(6, 3000, p=shares)
    z = np.eye(6)[hidden] * 2 + rng.normal(size=(3000, 6))
    # Of two unit Gaussians the posterior under equal shares is the softmax of 2 z.
    head = heads.create("linear", 6, 6)
    with torch.no_grad():
        head.linear.weight.copy_(2 * torch.eye(6))
        head.linear.bias.zero_()
    features = Features(torch.empty(0, 6), torch.empty(0, dtype=torch.int64), torch.from_numpy(z).float())
    found = create("prior_correction", smoothing=0.0).fit_head(head, features, CONTEXT)
    np.testing.assert_allclose(found.log_ratio.exp().numpy() / 6, shares, atol=0.04)
    before = (said_by(head, features.pool).argmax(1) == hidden).mean()
    assert (said_by(found, features.pool).argmax(1) == hidden).mean() > before + 0.03


@pytest.mark.parametrize(
    "shares", [(0.5, 0.5), (0.2,) * 6, (0.5, 0.5, 0.0, 0.0, 0.0, 0.0), ()], ids=["two", "sum", "zero", "none"]
)
def test_prior_correction_refuses_shares_that_are_none(shares) -> None:
    with pytest.raises(ConfigurationError, match=r"trained_on must be 6 shares above 0.*basophil"):
        create("prior_correction", trained_on=shares).check(OFFER)
    create("prior_correction", trained_on=(0.1, 0.1, 0.1, 0.1, 0.1, 0.5)).check(OFFER)


@pytest.mark.parametrize(("neighbours", "strength"), [(5, 1.0), (3, 0.4), (100, 0.1)])
def test_lame_is_its_fixed_point(neighbours, strength) -> None:
    head, features = some_head(), features_of(0)
    pool = normalize(features.pool.double().numpy())
    count = min(neighbours, len(pool) // 6)
    w = strength * kneighbors_graph(pool, count, include_self=False).toarray()
    p = said_by(head, features.pool)
    z = p
    for _ in range(1000):
        z = p * np.exp(w @ z)
        z /= z.sum(1, keepdims=True)
    kept = state(head)
    found = create("lame", neighbours=neighbours, strength=strength).fit_head(head, features, CONTEXT)
    np.testing.assert_allclose(said_by(found, features.pool), z, atol=1e-3)
    assert np.abs(z - p).max() > 0.05
    assert found.inner is head
    assert same(state(head), kept)

    fresh = torch.randn(5, 8)
    nearest = NearestNeighbors(n_neighbors=count).fit(pool)
    rows = nearest.kneighbors(normalize(fresh.numpy()), return_distance=False)
    step = said_by(head, fresh) * np.exp(strength * z[rows].sum(1))
    np.testing.assert_allclose(said_by(found, fresh), step / step.sum(1, keepdims=True), atol=1e-3)


def test_lame_does_not_make_one_class_of_a_small_pool() -> None:
    """Fourteen cells, well told apart, of which twenty neighbours each are asked for: without a limit, all get one class."""
    head, features = some_head(), features_of(0)
    sure = said_by(head, features.pool)
    chosen = np.concatenate([np.argsort(-sure[:, k])[:7] for k in np.unique(sure.argmax(1))[:2]])
    few = replace(features, pool=features.pool[torch.from_numpy(chosen)])
    found = create("lame", neighbours=20, strength=1.0).fit_head(head, few, CONTEXT)
    assert found.neighbours == 2
    assert len(set(said_by(found, few.pool).argmax(1))) > 1


def spread_graph(z: np.ndarray, k: int, gamma: float) -> np.ndarray:
    """The kNN graph of Iscen et al. and its transpose."""
    cosines = normalize(z) @ normalize(z).T
    a = np.zeros_like(cosines)
    for i, row in enumerate(cosines):
        nearest = [j for j in np.argsort(-row) if j != i][:k]
        a[i, nearest] = np.maximum(row[nearest], 0) ** gamma
    return a + a.T


@pytest.mark.parametrize(("neighbours", "alpha", "gamma"), [(10, 0.99, 3.0), (5, 0.5, 1.0)])
def test_label_propagation_is_the_closed_form_and_scikit_learns(neighbours, alpha, gamma) -> None:
    features = features_of(0)
    z = torch.cat([features.support, features.pool]).double().numpy()
    w = spread_graph(z, neighbours, gamma)
    root = np.diag(1 / np.sqrt(w.sum(1)))
    y = np.zeros((len(z), 6))
    y[range(12), features.labels] = 1
    f = (1 - alpha) * np.linalg.inv(np.eye(len(z)) - alpha * root @ w @ root) @ y

    head = some_head()
    found = create("label_propagation", neighbours=neighbours, alpha=alpha, gamma=gamma).fit_head(
        head, features, CONTEXT
    )
    said = said_by(found, features.pool)
    pool = f[12:] / f[12:].sum(1, keepdims=True)
    np.testing.assert_allclose(said, pool, atol=1e-3)

    labels = np.r_[features.labels, np.full(60, -1)]
    peer = LabelSpreading(kernel=lambda *_: w.copy(), alpha=alpha, max_iter=20_000, tol=1e-9).fit(z, labels)
    np.testing.assert_allclose(said, peer.label_distributions_[12:], atol=1e-3)

    # A new image is near to its own nearest, and to those whose nearest it would be among.
    fresh = torch.randn(5, 8)
    cosines = normalize(fresh.double().numpy()) @ normalize(z).T
    own = normalize(z) @ normalize(z).T
    np.fill_diagonal(own, -np.inf)
    reach = np.sort(own, axis=1)[:, -neighbours]
    theirs = np.sort(cosines, axis=1)[:, [-neighbours]]
    weight = np.maximum(cosines, 0) ** gamma * ((cosines >= theirs).astype(float) + (cosines >= reach))
    votes = weight @ root @ f
    np.testing.assert_allclose(said_by(found, fresh), votes / votes.sum(1, keepdims=True), atol=1e-3)


def test_label_propagation_knows_only_classes_that_are_labelled() -> None:
    features = features_of(0)
    features = replace(features, labels=features.labels.clamp(max=3))
    found = create("label_propagation").fit_head(some_head(), features, CONTEXT)
    assert set(said_by(found, features.pool).argmax(1)) <= {0, 1, 2, 3}
    assert said_by(found, features.pool)[:, 4:].max() < 1e-6


def test_what_each_is_given() -> None:
    both = frozenset({Need.LABELS, Need.UNLABELLED})
    for name in ALL:
        wanted = both if name in ("label_propagation", "tim") else frozenset({Need.UNLABELLED})
        if name in WITH_BATCHNORM:
            wanted |= {Need.SOURCE}
        assert cellda.adapters.get(name).needs == wanted
