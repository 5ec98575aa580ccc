"""Self-training on the cells that all views agree on."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from cellda import CellClassifier
from cellda.adapters import AdaptContext, Offer, TargetView, create
from cellda.adapters.families.agreement import FURTHER, ZOOMS, agreed, half, in_turn
from cellda.adapters.families.embeddings import regression
from cellda.errors import ConfigurationError
from cellda.imaging.augment import zoom
from cellda.models.blocks import block_parameters
from cellda.training.loop import Trainer
from tiny import brightness_set, same, small_model, state

TRAINER = Trainer("cpu")
CLEAR = brightness_set(per_class=8)
NOISE = torch.rand(48, 3, 16, 16, generator=torch.Generator().manual_seed(1))
PIXELS = CLEAR.pixels * 0.6 + NOISE * torch.linspace(0, 120, 8).repeat(6).view(-1, 1, 1, 1)
POOL = replace(CLEAR, pixels=PIXELS.to(torch.uint8), known_labels=None)
"""Of each class, images of growing noise, whose class depends on the view."""
THRESHOLD = 0.75
VIEW = TargetView(replace(brightness_set(per_class=2), known_labels=None), POOL)


@pytest.fixture(scope="module")
def source() -> CellClassifier:
    """A random network with a head that has learned the classes of the pool."""
    model = small_model()
    embeddings = TRAINER.embeddings(model, POOL)
    scale = embeddings.std(0)
    head = regression((embeddings - embeddings.mean(0)) / scale, CLEAR.labels, 0.1, width=128, classes=6)
    head.shift.copy_(embeddings.mean(0))
    head.scale.copy_(scale)
    model.head = head
    return model


def adapted(source: CellClassifier, **options) -> CellClassifier:
    adapter = create("self_training", **{"threshold": THRESHOLD, "epochs": 1, **options})
    return adapter.apply(deepcopy(source), VIEW, AdaptContext(TRAINER, 5))


def moved(source: CellClassifier, model: CellClassifier) -> set[str]:
    before, after = state(source), state(model)
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_the_most_confident_half_of_each_class_comes_in_turn() -> None:
    confidence = [(0, 0.9), (0, 0.6), (1, 0.5), (0, 0.8), (0, 0.7), (1, 0.95), (2, 0.55), (0, 0.65)]
    found = torch.zeros(8, 3)
    for row, (label, share) in enumerate(confidence):
        found[row] = (1 - share) / 2
        found[row, label] = share
    # Of five cells of class 0 three, of two of class 1 one, of one of class 2 that one.
    assert in_turn(found, 8).tolist() == [0, 5, 6, 3, 4]
    assert in_turn(found, 2).tolist() == [0, 5]
    assert in_turn(found, half(8)).tolist() == [0, 5, 6, 3]


def test_a_class_that_is_everywhere_does_not_take_over() -> None:
    found = torch.full((100, 6), 0.01)
    found[:95, 2] = 0.9
    found[95:, 4] = 0.5
    chosen = in_turn(found, 6)
    assert (chosen >= 95).sum() == 3  # the half of five, against three of 95


def test_what_is_agreed_on_has_one_class_in_every_view(source) -> None:
    rows, labels = agreed(TRAINER, source, POOL, 24, THRESHOLD)
    images = POOL.raw(range(len(POOL))).float() / 255
    quarters = [torch.rot90(images, turns, (2, 3)) for turns in range(4)]
    turned = [view for quarter in quarters for view in (quarter, quarter.flip(3))]
    zoomed = [zoom(images, torch.full((len(images),), factor)) for factor in ZOOMS]
    with torch.no_grad():
        views = [source.for_inference()(view).softmax(1) for view in (*turned, *zoomed)]
    assert len(views) == 1 + FURTHER
    said = torch.stack(views)
    confidence, wanted = said.mean(0).max(1)
    one_class = (said.argmax(2) == wanted).all(0)
    chosen = in_turn(views[0], 24)
    kept = [row for row in chosen.tolist() if one_class[row] and confidence[row] >= THRESHOLD]
    assert rows.tolist() == kept
    assert labels.tolist() == wanted[kept].tolist()
    assert 0 < len(kept) < int(one_class[chosen].sum()) < len(chosen)


def test_no_statistics_move_and_everything_else_learns(source) -> None:
    found = moved(source, adapted(source))
    assert not any("running" in name or "tracked" in name for name in found)
    assert "head.linear.weight" in found
    assert {"embedding.weight", "encoder.conv_stem.weight"} <= found


def test_the_first_block_alone_learns_if_told(source) -> None:
    first = {f"encoder.{name}" for name in block_parameters(source.encoder)[0]}
    found = moved(source, adapted(source, block="first"))
    assert found
    assert found <= first
    assert "encoder.conv_stem.weight" in found


def test_the_weights_are_averaged_with_those_before(source) -> None:
    before, alone, half_way, most = (
        state(source),
        *(state(adapted(source, source_share=share)) for share in (0.0, 0.5, 0.8)),
    )
    for name in dict(source.named_parameters()):
        torch.testing.assert_close(half_way[name], (before[name] + alone[name]) / 2)
        torch.testing.assert_close(most[name], 0.8 * before[name] + 0.2 * alone[name])
    assert moved(source, adapted(source, source_share=0.0))


def test_each_round_trains_on_what_is_agreed_on_then(source, monkeypatch) -> None:
    given, fit = [], Trainer.fit

    def watched(self, module, examples, *rest, **options):
        [part] = examples.sets
        wanted = agreed(TRAINER, module, POOL, 24, THRESHOLD)
        assert part.rows.tolist() == wanted[0].tolist()
        assert part.labels.tolist() == wanted[1].tolist()
        given.append((options["seed"], len(options["order"])))
        return fit(self, module, examples, *rest, **options)

    monkeypatch.setattr(Trainer, "fit", watched)
    adapted(source, lr=1e-5)
    assert given == [(10, 24), (11, 24)]  # few cells come again, so that a round costs the same


def test_a_handful_of_images_is_refused(source) -> None:
    adapter = create("self_training")
    adapter.check(Offer((0,) * 6, 20, 0, source.classes, (), source.encoder))
    with pytest.raises(ConfigurationError, match=r"19 show too few: give it at least 20, or .*'lame'"):
        adapter.check(Offer((0,) * 6, 19, 0, source.classes, (), source.encoder))


def test_where_nothing_is_agreed_on_the_model_stays_and_says_so(source) -> None:
    with pytest.warns(UserWarning, match=r"round 1: on no cell do all views agree.*0\.999"):
        model = adapted(source, threshold=0.999)
    assert same(state(source), state(model))
