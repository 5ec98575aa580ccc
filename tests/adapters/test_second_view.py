"""The adapter that lets trees on measurements correct the network."""

from dataclasses import replace

import pytest
import torch

import cellda.datasets
from cellda.adapters import AdaptContext, TargetView, create
from cellda.data.few_shot import draw_support
from cellda.data.image_set import ImageSet
from cellda.errors import ConfigurationError
from cellda.normalizers.identity import Identity
from cellda.training.loop import Trainer
from tiny import same, small_model, state

TRAINER = Trainer("cpu")


def rendered() -> tuple[ImageSet, ImageSet]:
    """Support and query of rendered cells at 96 px, six of each class labelled."""
    dataset = cellda.datasets.load("synthetic/1", per_class=14)
    draw = draw_support(dataset, 36)
    pixels, labels = dataset.read(range(len(dataset)), 96), dataset.labels
    support, query = torch.tensor(draw.support), torch.tensor(draw.query)
    return (
        ImageSet(pixels, support, Identity(), labels[support]),
        ImageSet(pixels, query, Identity(), labels[query]),
    )


def test_trees_alone_tell_rendered_cells_apart() -> None:
    support, query = rendered()
    model = create("second_view").apply(small_model(), TargetView(support), AdaptContext(TRAINER, 0))
    assert model.second_view is not None
    even = torch.full((len(query), 6), 1 / 6)
    found = model.second_view(even, query.raw(range(len(query)))).argmax(1)
    assert (found == query.labels).float().mean() > 0.6  # one in six by chance


def test_the_network_stays_as_it_is() -> None:
    support, _ = rendered()
    source = small_model()
    before = {name: value.clone() for name, value in state(source).items()}
    model = create("second_view").apply(source, TargetView(support), AdaptContext(TRAINER, 0))
    assert same(before, {name: value for name, value in state(model).items() if name in before})
    assert model.second_view.counts.tolist() == [6] * 6
    assert model.second_view.shape.trees == 100


def test_images_without_a_nucleus_are_left_out_and_refused_if_there_are_no_others() -> None:
    support, _ = rendered()
    pixels = support.raw(range(len(support))).clone()
    pixels[:9] = 230
    blank = replace(support, pixels=pixels, rows=torch.arange(len(pixels)))
    adapter = create("second_view")
    model = adapter.apply(small_model(), TargetView(blank), AdaptContext(TRAINER, 0))
    assert int(model.second_view.counts.sum()) == len(pixels) - 9
    nothing = replace(blank, pixels=torch.full_like(pixels, 230))
    with pytest.raises(ConfigurationError, match="none was found in the 36 labelled images"):
        adapter.apply(small_model(), TargetView(nothing), AdaptContext(TRAINER, 0))


def test_it_may_come_before_or_after_training() -> None:
    support, query = rendered()
    small = replace(support, pixels=torch.nn.functional.avg_pool2d(support.pixels.float(), 3).to(torch.uint8))
    raw = torch.nn.functional.avg_pool2d(query.raw(range(10)).float(), 3).to(torch.uint8)
    full, view = create("full", epochs=1), create("second_view")
    found = []
    for steps in ((full, view), (view, full)):
        model = small_model()
        for step in steps:
            model = step.apply(model, TargetView(small), AdaptContext(TRAINER, 0))
        found.append(model.predict(raw).probabilities)
    torch.testing.assert_close(*found)
