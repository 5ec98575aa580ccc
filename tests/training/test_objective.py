"""What the loop minimises, at which rates, and how much of a set an epoch takes."""

import pytest
import torch
from torch import Generator, nn
from torch.nn import functional as F

from cellda.errors import ConfigurationError
from cellda.taxonomies import create
from cellda.taxonomies.base import UNLABELLED
from cellda.training.batches import Batches, Mix
from cellda.training.examples import ImageExamples
from cellda.training.loop import Trainer
from cellda.training.objective import CrossEntropy, OverTree, Step, objective_of
from cellda.training.settings import SourceTraining
from tiny import brightness_set, quick, same, small_net, state


class Counting(CrossEntropy):
    """Notes the steps, and trains a number of its own."""

    def __init__(self) -> None:
        super().__init__(0.1)
        self.own = nn.Parameter(torch.tensor(3.0))
        self.steps: list[Step] = []
        self.after = 0

    def loss(self, module: nn.Module, step: Step) -> torch.Tensor:
        self.steps.append(step)
        return super().loss(module, step) + self.own**2

    def parameters(self):
        return [self.own]

    def after_step(self) -> None:
        self.after += 1


def test_an_objective_sees_every_step_and_its_own_parameters_train() -> None:
    from dataclasses import replace

    labelled, pool = brightness_set(per_class=2), replace(brightness_set(seed=1), known_labels=None)
    examples, objective = ImageExamples(labelled, pool), Counting()
    Trainer("cpu").fit(
        small_net(), examples, quick(epochs=3), seed=0, order=Mix((12, 24), per_epoch=16), objective=objective
    )
    assert len(objective.steps) == objective.after == 3 * (2 * 16 // 8)
    assert objective.own.item() < 3
    progress = torch.tensor([step.progress for step in objective.steps])
    torch.testing.assert_close(progress, torch.arange(12) / 12)
    for step in objective.steps:
        assert step.parts.count(0) == step.parts.count(1) == 4
        assert set(step.labels[step.of(1)].tolist()) == {UNLABELLED}
        assert UNLABELLED not in step.labels[step.of(0)].tolist()


def test_cross_entropy_leaves_unlabelled_examples_out() -> None:
    logits, labels = torch.randn(5, 6), torch.tensor([1, UNLABELLED, 3, UNLABELLED, 0])
    found = CrossEntropy(0.1).loss(nn.Identity(), Step(logits, labels, (0,) * 5, 0.0))
    log = logits[[0, 2, 4]].log_softmax(1)
    wanted = -(0.9 * log[range(3), [1, 3, 0]] + 0.1 * log.mean(1)).mean()
    torch.testing.assert_close(found, wanted)


def test_the_objective_left_out_is_cross_entropy() -> None:
    nets = [small_net(), small_net()]
    for net, objective in zip(nets, (None, CrossEntropy(0.2)), strict=True):
        Trainer("cpu").fit(
            net, ImageExamples(brightness_set()), quick(label_smoothing=0.2), seed=0, objective=objective
        )
    assert same(state(nets[0]), state(nets[1]))


@pytest.mark.parametrize("one_cycle", [False, True])
def test_rates_slow_down_what_their_name_begins_with(one_cycle) -> None:
    net = small_net()
    before = state(net)
    settings = quick(
        epochs=6, batch_size=24, lr=1e-2, optimizer="adamw", weight_decay=0.0, one_cycle=one_cycle
    )
    Trainer("cpu").fit(
        net,
        ImageExamples(brightness_set()),
        settings,
        seed=0,
        objective=CrossEntropy(rates={"0": 0.0, "7": 0.1, "7.bias": 1.0}),
    )
    moved = {
        name: float((value.detach() - before[name]).abs().max()) for name, value in net.named_parameters()
    }
    assert moved["0.weight"] == moved["0.bias"] == 0
    # At first Adam moves every weight by about the rate, whatever its gradient.
    assert 0.05 < moved["7.weight"] / moved["7.bias"] < 0.15


def test_an_epoch_takes_as_many_as_it_is_told_of_every_set() -> None:
    batches = Batches(Mix((5, 100), per_epoch=20), 10, 0)
    seen = [i for batch in batches for i in batch]
    assert len(batches) == 4
    assert sorted(i for i in seen if i < 5) == sorted(list(range(5)) * 4)
    pool = [i for i in seen if i >= 5]
    assert len(pool) == len(set(pool)) == 20
    batches.epoch = 1
    assert set(pool) != {i for batch in batches for i in batch if i >= 5}


def test_several_views_of_an_image_reach_the_objective() -> None:
    class TwoViews(ImageExamples):
        def prepare(self, batch, generator):
            return torch.cat([super(TwoViews, self).prepare(batch, generator) for _ in range(2)])

    class Agreement(CrossEntropy):
        def loss(self, module: nn.Module, step: Step) -> torch.Tensor:
            one, other = module(step.inputs).chunk(2)
            assert len(one) == len(step.labels)
            return F.mse_loss(one, other) + F.cross_entropy(one, step.labels)

    losses = Trainer("cpu").fit(
        small_net(), TwoViews(brightness_set()), quick(epochs=4), seed=0, objective=Agreement()
    )
    assert losses[-1] < losses[0]


def test_images_are_compared_among_the_classes_of_their_source() -> None:
    """Against the definition, computed for each image alone."""
    held = torch.tensor([[True] * 6, [False, False, True, False, False, True]])
    logits = torch.randn(4, 6, generator=Generator().manual_seed(0), requires_grad=True)
    labels, parts, smoothing = torch.tensor([0, 3, 2, 5]), (0, 0, 1, 1), 0.1
    expected = []
    for row, label, part in zip(logits, labels, parts, strict=True):
        chosen = held[part].nonzero()[:, 0]
        place = int((chosen == label).nonzero())
        expected.append(F.cross_entropy(row[chosen][None], torch.tensor([place]), label_smoothing=smoothing))
    found = OverTree(torch.eye(6, dtype=torch.bool), held, smoothing).loss(
        nn.Identity(), Step(logits, labels, parts, 0.0)
    )
    torch.testing.assert_close(found, torch.stack(expected).mean())
    found.backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert (
        logits.grad[2:, [0, 1, 3, 4]] == 0
    ).all()  # a source says nothing of the classes that it does not hold


def test_with_all_classes_in_every_source_nothing_changes() -> None:
    labels = [torch.arange(6), torch.arange(6).flip(0)]
    logits = torch.randn(12, 6, generator=Generator().manual_seed(1))
    step = Step(logits, torch.cat(labels), (0,) * 6 + (1,) * 6, 0.0)
    settings = SourceTraining(compared="own")
    torch.testing.assert_close(
        objective_of(settings, labels, "ab", create("paper6")).loss(nn.Identity(), step),
        objective_of(SourceTraining(), labels, "ab", create("paper6")).loss(nn.Identity(), step),
    )
    assert isinstance(objective_of(settings, labels, "ab", create("paper6")), OverTree)


def test_a_source_of_one_class_cannot_be_compared_within_itself() -> None:
    labels = [torch.arange(6), torch.tensor([2, 2, 2])]
    with pytest.raises(ConfigurationError, match="at least two classes, and erythroblasts has one"):
        objective_of(SourceTraining(compared="own"), labels, ["whole", "erythroblasts"], create("paper6"))
    assert (
        type(objective_of(SourceTraining(), labels, ["whole", "erythroblasts"], create("paper6")))
        is CrossEntropy
    )


@pytest.mark.parametrize("compared", ["all", "own"])
def test_a_coarse_label_teaches_that_it_is_one_of_its_kinds(compared) -> None:
    """Against the definition, computed for each image alone."""
    taxonomy = create("wbc13")
    number = len(taxonomy.classes)
    labels = [torch.tensor([0, 3, 11, 12, number]), torch.tensor([1, 2, 11, number + 1])]
    logits = torch.randn(9, number, generator=Generator().manual_seed(3), requires_grad=True)
    step = Step(logits, torch.cat(labels), (0,) * 5 + (1,) * 4, 0.0)
    settings = SourceTraining(compared=compared, label_smoothing=0.1)
    found = objective_of(settings, labels, "ab", taxonomy).loss(nn.Identity(), step)
    kinds = {number: [11, 12], number + 1: [8, 9, 10]}  # neutrophils, immature granulocytes
    expected = []
    for row, label, part in zip(logits, torch.cat(labels).tolist(), step.parts, strict=True):
        among = sorted({one for own in labels[part].tolist() for one in kinds.get(own, [own])})
        chosen = among if compared == "own" else list(range(number))
        p = row[chosen].softmax(0)
        wanted = sum(p[chosen.index(one)] for one in kinds.get(label, [label]))
        expected.append(-0.9 * wanted.log() - 0.1 * p.log().mean())
    torch.testing.assert_close(found, torch.stack(expected).mean())
    found.backward()
    assert logits.grad.isfinite().all()
