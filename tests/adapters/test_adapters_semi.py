"""Methods that learn from unlabelled and source images as well as the support: each core step written out again."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.special import log_softmax, softmax
from scipy.stats import entropy
from torch import Generator, Tensor, nn
from torch.nn import functional as F

import cellda.adapters
from cellda import CellClassifier
from cellda.adapters.base import AdaptContext, Offer, TargetView
from cellda.adapters.coral import coral
from cellda.adapters.dann import Adversary
from cellda.adapters.families.aligning import Distance, standardised
from cellda.adapters.families.gradient_reversal import reverse
from cellda.adapters.families.mixing import Mixing
from cellda.adapters.families.ramps import ramp_up, rising
from cellda.adapters.families.two_views import Views, split
from cellda.adapters.fixmatch import MEMORY, PseudoLabels
from cellda.adapters.mcc import Confusion, class_confusion
from cellda.adapters.mean_teacher import Consistency
from cellda.adapters.mmd import BANDWIDTHS, mmd
from cellda.adapters.mme import MinimaxEntropy
from cellda.errors import ConfigurationError
from cellda.imaging.augment import CUTOUT, random_cutout, random_strong
from cellda.models.heads.linear import NEVER
from cellda.models.spec import Backbone
from cellda.models.timm_names import encoder_structure
from cellda.normalizers.spec import NormalizerSpec
from cellda.taxonomies.base import UNLABELLED
from cellda.training.epoch import freeze_batchnorm
from cellda.training.examples import ImageExamples
from cellda.training.loop import Trainer
from cellda.training.modes import evaluating
from cellda.training.objective import CrossEntropy, Step
from tiny import CLASSES, brightness_set, same, small_net, state

SEMI = ["fixmatch", "mean_teacher", "mcc", "mme"]
ALIGNING = ["coral", "dann", "mmd"]
VIEWS = ["fixmatch", "mean_teacher"]


class Net(nn.Module):
    """Embedding and head, as the objectives see a classifier; both linear."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.embedding, self.head = nn.Linear(7, 5), nn.Linear(5, 6)

    def embed(self, inputs: Tensor) -> Tensor:
        return self.embedding(inputs)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.embed(inputs))

    def folded(self) -> "Net":
        return self


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=Generator().manual_seed(seed))


def semi_step(views: int = 1, progress: float = 1.0) -> Step:
    """Four labelled and four unlabelled examples in turn, and further views of the unlabelled ones."""
    labels = torch.tensor([0, UNLABELLED, 3, UNLABELLED, 3, UNLABELLED, 5, UNLABELLED])
    return Step(3 * drawn(4 + 4 * views, 7), labels, (0, 1) * 4, progress)


def create(name: str, **options):
    return cellda.adapters.create(name, **options)


def numbers(values: Tensor) -> np.ndarray:
    return values.detach().double().numpy()


def cross_entropy(logits: np.ndarray, labels, smoothing: float) -> float:
    log = log_softmax(logits, axis=1)
    truth = np.eye(logits.shape[1])[np.asarray(labels)]
    return float(-(((1 - smoothing) * truth + smoothing / logits.shape[1]) * log).sum(1).mean())


# ---------------------------------------------------------------------------------------------- what they share


def classifier() -> CellClassifier:
    backbone = Backbone(name="test_efficientnet", weights="none", image_size=32)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return CellClassifier(backbone, NormalizerSpec(name="identity"))


def view(classes: int = 6) -> TargetView:
    pool = replace(brightness_set(per_class=5, seed=1), known_labels=None)
    return TargetView(brightness_set(per_class=2, classes=classes), pool)


SOURCES = (brightness_set(per_class=3, seed=2), brightness_set(per_class=3, seed=3))
OFFER = Offer((2,) * 6, 30, 36, CLASSES, (), encoder_structure("test_efficientnet"))


def options(name: str) -> dict:
    return {"epochs": 2, **({"source_images": 24} if name in ALIGNING else {})}


class Spy(Trainer):
    """Records the arguments of `fit`, and trains nothing."""

    def fit(self, module, examples, settings, **options):
        self.call = SimpleNamespace(module=module, examples=examples, settings=settings, **options)
        return []


@pytest.mark.parametrize("name", SEMI + ALIGNING)
def test_batches_hold_support_pool_and_sources_in_equal_parts(name) -> None:
    spy, target, model = Spy("cpu"), view(), classifier()
    adapter = create(name, **options(name))
    adapter.adapt(model, target, AdaptContext(spy, 5, SOURCES))
    call = spy.call
    assert call.module is model
    assert call.seed == 5
    assert call.order.per_epoch == 12
    assert call.examples.sets[:2] == (target.support, target.pool)
    assert call.order.lengths == (12, 30, 24)[: 3 if name in ALIGNING else 2]
    assert len(call.examples) == sum(call.order.lengths)
    assert type(call.examples) is (Views if name in VIEWS else ImageExamples)
    assert call.examples.stain_jitter == adapter.stain_jitter == 1.0
    for source in call.examples.sets[2:]:  # in equal parts of every class of every source
        assert torch.bincount(source.labels).tolist() == [2] * 6


@pytest.mark.parametrize("name", SEMI + ALIGNING)
def test_images_that_pass_the_backbone_are_those_announced_and_all_weights_move(name, monkeypatch) -> None:
    seen = 0
    embed = CellClassifier.embed

    def counted(self, images):
        nonlocal seen
        seen += len(images)
        return embed(self, images)

    monkeypatch.setattr(CellClassifier, "embed", counted)
    adapter, model = create(name, **options(name)), classifier()
    before = state(model)
    after = state(adapter.adapt(model, view(), AdaptContext(Trainer("cpu"), 0, SOURCES)))
    assert seen == adapter.image_passes(OFFER)
    for key, value in after.items():
        assert value.isfinite().all()
        if key.startswith(("encoder.", "head.")) and "running" in key:
            assert torch.equal(before[key], value) == key.startswith("encoder.")  # frozen statistics
        elif key.endswith("weight"):
            assert not torch.equal(before[key], value)


@pytest.mark.parametrize("name", SEMI + ALIGNING)
@pytest.mark.parametrize("pool", [30, 1000])
def test_the_defaults_cost_about_as_much_as_full_whatever_the_pool(name, pool) -> None:
    for labelled in range(20, 101):
        offer = replace(OFFER, support=(labelled,), unlabelled=pool, source=20_000)
        assert 1500 <= create(name).image_passes(offer) <= 2900


@pytest.mark.parametrize("name", ALIGNING)
def test_more_source_images_than_there_are_are_refused(name) -> None:
    with pytest.raises(ConfigurationError, match=rf"{name} wants source_images=300.*at most 36"):
        create(name).check(OFFER)
    create(name, source_images=36).check(OFFER)


def test_all_are_mixing() -> None:
    assert all(issubclass(cellda.adapters.get(name), Mixing) for name in SEMI + ALIGNING)


def test_schedules() -> None:
    assert ramp_up(0) == pytest.approx(math.exp(-5))
    assert ramp_up(0.2) == pytest.approx(math.exp(-1.25))
    assert ramp_up(0.4) == ramp_up(0.99) == 1
    assert rising(0) == 0
    assert rising(0.1) == pytest.approx(2 / (1 + math.exp(-1)) - 1)
    assert 0.999 < rising(1) < 1


def test_reversal_keeps_values_and_turns_the_gradient() -> None:
    one, other = (drawn(3, 4).requires_grad_() for _ in range(2))
    assert torch.equal(reverse(one, 0.3), one)
    for values, seen in ((one, reverse(one, 0.3)), (other, other)):
        (seen.sin() * drawn(3, 4, seed=1)).sum().backward()
        assert values.grad is not None
    torch.testing.assert_close(one.grad, -0.3 * other.grad)


def test_evaluating_gives_every_layer_its_mode_back() -> None:
    net = small_net().train()
    freeze_batchnorm(net)
    modes = [part.training for part in net.modules()]
    assert True in modes
    assert False in modes
    with evaluating(net):
        assert not any(part.training for part in net.modules())
        assert not net(torch.rand(2, 3, 16, 16)).requires_grad
    assert [part.training for part in net.modules()] == modes
    assert torch.is_grad_enabled()


def test_views_are_weak_ones_of_all_and_strong_ones_of_the_unlabelled() -> None:
    target = view()
    views, plain = (kind(target.support, target.pool, stain_jitter=1.0) for kind in (Views, ImageExamples))
    batch = plain.__getitems__([0, 12, 13, 5])
    assert batch[2] == (0, 1, 1, 0)
    generator, again = (Generator().manual_seed(3) for _ in range(2))
    weak = plain.prepare(batch, again)
    strong = random_strong(weak[[1, 2]], again)
    found = views.prepare(batch, generator)
    assert torch.equal(found, torch.cat([weak, strong]))
    parts = split(Step(found, batch[1], batch[2], 0.0))
    for part, wanted in zip(parts, (weak[[0, 3]], weak[[1, 2]], strong), strict=True):
        assert torch.equal(part, wanted)
    assert float((strong - weak[[1, 2]]).abs().mean()) > 0.01


def test_cutout_covers_a_square_with_the_mean_colour() -> None:
    before = torch.rand(200, 3, 20, 20, generator=Generator().manual_seed(0))
    after = random_cutout(before, Generator().manual_seed(1))
    changed = (after != before).any(1)
    mean = before.mean((2, 3), keepdim=True).expand_as(before)
    assert torch.equal(after[changed[:, None].expand_as(after)], mean[changed[:, None].expand_as(after)])
    rows, columns = changed.any(2), changed.any(1)
    assert torch.equal(changed, rows[:, :, None] & columns[:, None])  # a rectangle
    sides = torch.cat([rows.sum(1), columns.sum(1)])
    assert 0.75 * CUTOUT * 20 < int(sides.max()) <= CUTOUT * 20
    assert int(sides.min()) == 0


# ---------------------------------------------------------------------------------------------- fixmatch


@pytest.mark.parametrize("alignment", [0.0, 0.25, 1.0])
def test_fixmatch_aligns_with_the_running_mean(alignment) -> None:
    shares = torch.tensor([0.5, 0.25, 0.25, 0.0])
    objective = PseudoLabels(create("fixmatch", alignment=alignment), shares)
    mean = shares.numpy().astype(float)
    for seed in range(3):
        found = drawn(5, 4, seed=seed).softmax(1)
        mean = MEMORY * mean + (1 - MEMORY) * numbers(found).mean(0)
        wanted = numbers(found) * (shares.numpy() / mean) ** alignment
        wanted /= wanted.sum(1, keepdims=True)
        aligned = objective.aligned(found)
        np.testing.assert_allclose(aligned, wanted, rtol=1e-5)
    # Without alignment, predictions are unchanged; with it, a class without support is never a pseudo-label.
    if alignment == 0:
        torch.testing.assert_close(aligned, found)
    else:
        assert not aligned[:, 3].any()


@pytest.mark.parametrize("progress", [0.1, 0.9])
@pytest.mark.parametrize("alignment", [0.0, 0.5])
def test_fixmatch_learns_confident_pseudo_labels_on_strong_views(alignment, progress) -> None:
    net, step = Net(), semi_step(views=2, progress=progress)
    step.inputs.requires_grad_()
    adapter = create("fixmatch", threshold=0.6, weight=0.7, alignment=alignment)
    shares = np.array([0.3, 0.1, 0.1, 0.3, 0.1, 0.1])
    loss = PseudoLabels(adapter, torch.from_numpy(shares).float()).loss(net, step)
    logits = numbers(net(step.inputs))
    believed = softmax(logits[[1, 3, 5, 7]], axis=1)
    believed *= (shares / (MEMORY * shares + (1 - MEMORY) * believed.mean(0))) ** alignment
    believed /= believed.sum(1, keepdims=True)
    confident = believed.max(1) >= 0.6
    assert 0 < confident.sum() < 4
    strong = -log_softmax(logits[8:], axis=1)[range(4), believed.argmax(1)]
    weight = 0.7 * ramp_up(progress)
    wanted = cross_entropy(logits[[0, 2, 4, 6]], [0, 3, 3, 5], 0.1) + weight * (strong * confident).mean()
    assert loss.item() == pytest.approx(wanted, rel=1e-5)
    loss.backward()
    moved = step.inputs.grad.abs().sum(1) > 0
    assert moved.tolist() == [True, False] * 4 + confident.tolist()


def test_fixmatch_takes_pseudo_labels_without_dropout_and_keeps_frozen_layers_frozen() -> None:
    net = nn.Sequential(nn.Linear(7, 6), nn.Dropout(0.5)).train()
    asked = []
    net[1].register_forward_hook(lambda layer, _, __: asked.append(layer.training))
    PseudoLabels(create("fixmatch"), torch.ones(6) / 6).loss(net, semi_step(views=2))
    assert asked == [False, True]
    assert net[1].training


def test_fixmatch_aligns_to_the_shares_of_the_support() -> None:
    spy, target = Spy("cpu"), view()
    support = target.support.subset([0, 1, 2, 4, 5, 6])
    create("fixmatch").adapt(classifier(), replace(target, support=support), AdaptContext(spy, 0))
    wanted = torch.tensor([2, 1, 2, 1, 0, 0]) / 6
    torch.testing.assert_close(spy.call.objective.shares, wanted)
    torch.testing.assert_close(spy.call.objective.mean, wanted)


# ---------------------------------------------------------------------------------------------- mean_teacher


@pytest.mark.parametrize("progress", [0.0, 0.2, 0.9])
def test_mean_teacher_measures_how_far_student_and_teacher_are_apart(progress) -> None:
    student, step = Net(), semi_step(views=2, progress=progress)
    objective = Consistency(create("mean_teacher", weight=4.0), student)
    objective.teacher.load_state_dict(Net(seed=1).state_dict())
    loss = objective.loss(student, step)
    logits = numbers(student(step.inputs))
    teacher = softmax(numbers(Net(seed=1)(step.inputs[[1, 3, 5, 7]])), axis=1)
    apart = ((softmax(logits[8:], axis=1) - teacher) ** 2).mean()
    wanted = cross_entropy(logits[[0, 2, 4, 6]], [0, 3, 3, 5], 0.1) + 4 * ramp_up(progress) * apart
    assert loss.item() == pytest.approx(wanted, rel=1e-5)
    loss.backward()
    assert all(weight.grad is None for weight in objective.teacher.parameters())


def test_mean_teacher_returns_the_moving_average_of_the_student(monkeypatch) -> None:
    seen: list[dict[str, Tensor]] = []
    after_step = Consistency.after_step

    def watched(self) -> None:
        seen.append(state(self.student))
        after_step(self)

    monkeypatch.setattr(Consistency, "after_step", watched)
    model = classifier()
    wanted = {name: numbers(value) for name, value in state(model).items()}
    teacher = create("mean_teacher", epochs=4, decay=0.7).adapt(
        model, view(), AdaptContext(Trainer("cpu"), 0)
    )
    assert len(seen) == 8
    for number, student in enumerate(seen, start=1):
        kept = min(0.7, 1 - 1 / (number + 1))
        for name, value in student.items():
            old = wanted[name] if value.is_floating_point() else numbers(value)
            wanted[name] = kept * old + (1 - kept) * numbers(value)
    assert teacher is not model
    assert not same(state(teacher), state(model))
    assert not teacher.training
    assert all(weight.requires_grad for weight in teacher.parameters())
    for name, value in state(teacher).items():
        np.testing.assert_allclose(value, wanted[name], rtol=1e-4, atol=1e-6, err_msg=name)


# ---------------------------------------------------------------------------------------------- mme


def test_mme_makes_the_head_unsure_and_what_lies_before_it_sure() -> None:
    net, step = Net(), semi_step()
    MinimaxEntropy(create("mme", weight=0.4)).loss(net, step).backward()

    def gradients(sign: float) -> list[Tensor]:
        plain = Net()
        logits = plain(step.inputs)
        p = logits[[1, 3, 5, 7]].softmax(1)
        entropy = -(p * p.log()).sum(1).mean()
        labels = torch.tensor([0, 3, 3, 5])
        loss = F.cross_entropy(logits[[0, 2, 4, 6]], labels, label_smoothing=0.1)
        (loss + sign * 0.4 * entropy).backward()
        return [plain.embedding.weight.grad, plain.head.weight.grad]

    torch.testing.assert_close(net.embedding.weight.grad, gradients(+1)[0])
    torch.testing.assert_close(net.head.weight.grad, gradients(-1)[1])


def test_mme_does_not_move_the_mean_of_embeddings_that_the_head_takes_away() -> None:
    """The head starts with a BatchNorm, which cancels the common mean: a gradient on it would make it drift without bound."""
    given = drawn(8, 5).requires_grad_()
    net = Net()
    net.embed = lambda inputs: given  # type: ignore[method-assign]
    net.head = nn.Sequential(nn.BatchNorm1d(5), nn.Linear(5, 6))
    MinimaxEntropy(create("mme", weight=0.4)).loss(net, semi_step()).backward()
    assert given.grad.abs().max() > 1e-3
    torch.testing.assert_close(given.grad.sum(0), torch.zeros(5), atol=1e-6, rtol=0)


# ---------------------------------------------------------------------------------------------- mcc


@pytest.mark.parametrize("rows", [[0, 1, 2, 3], [0, 2]])
@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_class_confusion_is_what_the_paper_sums(rows, temperature) -> None:
    logits = 3 * drawn(7, 4)
    p = softmax(numbers(logits) / temperature, axis=1)
    entropy = -(p * np.log(p)).sum(1)
    weight = 7 * (1 + np.exp(-entropy)) / (1 + np.exp(-entropy)).sum()
    confusion = np.zeros((4, 4))
    for j in range(4):
        for k in range(4):
            confusion[j, k] = sum(p[i, j] * weight[i] * p[i, k] for i in range(7))
    confusion /= confusion.sum(1, keepdims=True)
    wanted = np.mean([sum(confusion[j, k] for k in range(4) if k != j) for j in rows])
    found = class_confusion(logits, torch.tensor(rows), temperature)
    assert found.item() == pytest.approx(wanted, rel=1e-5)


def test_mcc_weighs_predictions_by_an_entropy_that_is_not_itself_made_small() -> None:
    logits = 3 * drawn(7, 4)
    found, other = (logits.clone().requires_grad_() for _ in range(2))
    class_confusion(found, torch.arange(4), 2.0).backward()
    p = (other / 2).softmax(1)
    weight = torch.from_numpy(1 + np.exp(-entropy(numbers(p), axis=1))).float()
    confusion = p.T @ (p * (7 * weight / weight.sum())[:, None])
    (1 - (confusion.diagonal() / confusion.sum(1)).mean()).backward()
    torch.testing.assert_close(found.grad, other.grad)


def test_a_class_that_the_head_rules_out_leaves_mcc_and_fixmatch_numbers() -> None:
    logits = torch.cat([drawn(5, 3), torch.full((5, 1), NEVER)], dim=1).requires_grad_()
    class_confusion(logits, torch.tensor([0, 1, 2]), 2.5).backward()
    assert logits.grad.isfinite().all()
    assert logits.grad[:, :3].any()
    objective = PseudoLabels(create("fixmatch"), torch.tensor([0.5, 0.25, 0.25, 0.0]))
    aligned = objective.aligned(logits.softmax(1))
    torch.testing.assert_close(aligned.sum(1), torch.ones(5))
    assert not aligned[:, 3].any()


def test_mcc_adds_the_confusion_of_the_pool() -> None:
    net, rows = Net(), torch.tensor([0, 3, 5])
    for progress in (0.1, 0.9):
        step = semi_step(progress=progress)
        logits = net(step.inputs)
        confusion = class_confusion(logits[[1, 3, 5, 7]], rows, 2.0).item()
        wanted = cross_entropy(numbers(logits[[0, 2, 4, 6]]), [0, 3, 3, 5], 0.1)
        loss = Confusion(create("mcc", temperature=2.0, weight=0.5), rows).loss(net, step)
        assert loss.item() == pytest.approx(wanted + 0.5 * ramp_up(progress) * confusion, rel=1e-5)


@pytest.mark.parametrize("name", ["fixmatch", "mean_teacher", "mme", "mcc", *ALIGNING])
def test_each_minimises_its_own_objective_with_the_values_it_was_given(name) -> None:
    kinds = {
        "fixmatch": PseudoLabels,
        "mean_teacher": Consistency,
        "mme": MinimaxEntropy,
        "mcc": Confusion,
        "dann": Adversary,
        "coral": Distance,
        "mmd": Distance,
    }
    spy, adapter = Spy("cpu"), create(name, **options(name), weight=0.125, label_smoothing=0.25)
    adapter.adapt(classifier(), view(), AdaptContext(spy, 0, SOURCES))
    objective = spy.call.objective
    assert type(objective) is kinds[name]
    assert objective.label_smoothing == 0.25
    assert getattr(objective, "settings", objective).weight == 0.125
    assert spy.call.settings == adapter
    assert objective.rate == (10 if name == "dann" else 1)


@pytest.mark.parametrize("name", ["mcc", *ALIGNING])
def test_classes_without_support_are_left_out(name) -> None:
    spy = Spy("cpu")
    create(name, **options(name)).adapt(classifier(), view(classes=3), AdaptContext(spy, 0, SOURCES))
    objective = spy.call.objective
    assert (objective.rows if name == "mcc" else objective.classes).tolist() == [0, 1, 2]


# ---------------------------------------------------------------------------------------------- coral, mmd, dann


def mixed_step(progress: float = 0.3) -> Step:
    """Support, pool and source in turn; of the source, classes 0, 3 and 4."""
    labels = torch.tensor([0, UNLABELLED, 0, 3, UNLABELLED, 4, 3, UNLABELLED, 3])
    return Step(drawn(9, 7), labels, (0, 1, 2, 0, 1, 3, 0, 1, 2), progress)


SUPPORTED = torch.tensor([0, 3])
OF_SOURCE, OF_TARGET = [2, 8], [0, 1, 3, 4, 6, 7]
"""Rows of `mixed_step`; the source image of class 4 is on neither side."""


def scaled_by_hand(embeddings: Tensor) -> np.ndarray:
    values = numbers(embeddings)
    return (values - values.mean(0)) / np.sqrt(((values - values.mean(0)) ** 2).mean())


def test_coral_is_the_distance_of_covariances() -> None:
    source, target = drawn(6, 4), 2 * drawn(9, 4, seed=1) + 3
    apart = np.cov(numbers(source), rowvar=False) - np.cov(numbers(target), rowvar=False)
    assert float(coral(source, target)) == pytest.approx((apart**2).sum() / (4 * 16), rel=1e-5)
    assert float(coral(source, source + 5)) == pytest.approx(0, abs=1e-6)


def mmd_by_hand(source: np.ndarray, target: np.ndarray) -> float:
    both = np.concatenate([source, target])
    square = cdist(both, both, "sqeuclidean")
    width = square[~np.eye(len(both), dtype=bool)].mean()
    kernel = np.mean([np.exp(-square / (factor * width)) for factor in BANDWIDTHS], axis=0)
    n, m = len(source), len(target)
    one = sum(kernel[i, j] for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    other = sum(kernel[n + i, n + j] for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return one + other - 2 * kernel[:n, n:].mean()


def test_mmd_is_the_unbiased_estimate_and_grows_with_the_shift() -> None:
    source, target = drawn(6, 4), drawn(9, 4, seed=1)
    found = []
    for shift in (0.0, 1.0, 3.0):
        found.append(float(mmd(source, target + shift)))
        assert found[-1] == pytest.approx(mmd_by_hand(numbers(source), numbers(target + shift)), rel=1e-4)
    assert found[0] < found[1] < found[2]


def test_the_bandwidth_of_mmd_has_no_gradient() -> None:
    found, other = (drawn(6, 4).requires_grad_() for _ in range(2))
    target = drawn(9, 4, seed=1)
    mmd(found, target).backward()
    both = torch.cat([other, target])
    square = (both[:, None] - both).square().sum(2)
    width = cdist(numbers(both), numbers(both), "sqeuclidean").sum() / (15 * 14)
    kernel = torch.stack([(-square / (factor * width)).exp() for factor in BANDWIDTHS]).mean(0)
    (
        kernel[:6, :6].sum() / 30 - 2 * kernel[:6, 6:].mean()
    ).backward()  # ones on the diagonal have no gradient
    torch.testing.assert_close(found.grad, other.grad, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("measure", [coral, mmd])
@pytest.mark.parametrize("progress", [0.0, 0.3])
def test_alignment_compares_standardised_embeddings_of_supported_classes(measure, progress) -> None:
    net, step = Net(), mixed_step(progress)
    loss = Distance(0.1, 2.0, SUPPORTED, measure).loss(net, step)
    scaled = torch.tensor(scaled_by_hand(net.embed(step.inputs)))
    distance = measure(scaled[OF_SOURCE], scaled[OF_TARGET])
    labelled = [0, 2, 3, 5, 6, 8]
    supervised = cross_entropy(numbers(net(step.inputs)[labelled]), step.labels[labelled], 0.1)
    assert loss.item() == pytest.approx(supervised + 2 * rising(progress) * float(distance), rel=1e-5)


@pytest.mark.parametrize(("name", "measure"), [("coral", coral), ("mmd", mmd)])
def test_each_aligns_by_its_own_distance(name, measure) -> None:
    spy, adapter = Spy("cpu"), create(name, **options(name))
    adapter.adapt(classifier(), view(classes=3), AdaptContext(spy, 0, SOURCES))
    objective = spy.call.objective
    assert objective.distance is measure
    assert (objective.weight, objective.label_smoothing) == (adapter.weight, adapter.label_smoothing)


def test_alignment_needs_two_embeddings_of_each_side() -> None:
    net, step = Net(), mixed_step()
    alone = Distance(0.1, 2.0, torch.tensor([4]), coral).loss(net, step)  # one source image of class 4
    torch.testing.assert_close(alone, CrossEntropy(0.1).loss(net, step))


def test_standardised_embeddings_do_not_depend_on_scale_or_place() -> None:
    embeddings = drawn(8, 5)
    np.testing.assert_allclose(standardised(embeddings), scaled_by_hand(embeddings), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(standardised(7 * embeddings + 3), standardised(embeddings))


def test_no_gradient_moves_or_shrinks_what_is_standardised_anyway() -> None:
    embeddings, along = drawn(8, 5).double().requires_grad_(), drawn(8, 5, seed=1).double()
    assert torch.autograd.gradcheck(lambda rows: (standardised(rows) * along).sum(), (embeddings,))
    for value in ((standardised(embeddings) * along).sum(), coral(*standardised(embeddings).split([3, 5]))):
        (gradient,) = torch.autograd.grad(value, embeddings)
        assert gradient.abs().max() > 1e-3
        torch.testing.assert_close(gradient.sum(0), torch.zeros(5).double())
        assert float((gradient * embeddings.detach()).sum()) == pytest.approx(0, abs=1e-9)


def test_dann_trains_the_discriminator_and_turns_what_the_embeddings_learn() -> None:
    def discriminator() -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(2)
            return nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 1))

    sides = [drawn(3, 5, seed=3), drawn(6, 5, seed=4)]
    turned, plain = ([side.clone().requires_grad_() for side in sides] for _ in range(2))
    objective = Adversary(0.1, 1.0, SUPPORTED, discriminator())
    found = objective.term(*turned, 0.25)
    found.backward()

    judge = discriminator()
    logits = [judge(side)[:, 0] for side in plain]
    # Softplus: -log(1 - sigmoid(z)) for the source, -log sigmoid(z) for the target; each domain counts half.
    wanted = (F.softplus(logits[0]).mean() + F.softplus(-logits[1]).mean()) / 2
    wanted.backward()
    torch.testing.assert_close(found, wanted)
    for mine, other in zip(objective.parameters(), judge.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad)
    for mine, other in zip(turned, plain, strict=True):
        torch.testing.assert_close(mine.grad, -0.25 * other.grad)


def test_dann_draws_its_discriminator_by_seed_and_the_loop_trains_it() -> None:
    def objective(trainer: Trainer, seed: int) -> Adversary:
        kept = []
        fit = trainer.fit
        trainer.fit = lambda *given, **named: kept.append(named["objective"]) or fit(*given, **named)
        create("dann", **options("dann")).adapt(classifier(), view(), AdaptContext(trainer, seed, SOURCES))
        return kept[0]

    one, again, other = (state(objective(Spy("cpu"), seed).discriminator) for seed in (1, 1, 2))
    assert same(one, again)
    assert not same(one, other)
    trained = state(objective(Trainer("cpu"), 1).discriminator)
    assert all(not torch.equal(one[name], trained[name]) for name in one)
