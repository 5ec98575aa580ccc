"""Where it is known which classes can occur, every adapter works as if the model had only these."""

from copy import deepcopy
from dataclasses import replace
from functools import cache

import pytest
import torch

import cellda.adapters
from cellda import CellClassifier
from cellda.adapters import AdaptContext, Adapter, Need, TargetView
from cellda.data.image_set import ImageSet
from cellda.models.heads.mlp import Mlp
from cellda.models.heads.present import Present
from cellda.selection.candidates import Candidates
from cellda.selection.selectors import create as selector
from cellda.training.loop import Trainer
from tiny import CLASSES, brightness_set, small_model

KEPT = (1, 3, 5)
PRESENT = tuple(CLASSES[number] for number in KEPT)
GONE = [number for number in range(6) if number not in KEPT]
SMALL = {
    "epochs": 3,
    "lr": 3e-3,
    "min_steps": 0,
    "probe_epochs": 2,
    "rounds": 1,
    "pool_images": 40,
    "source_images": 12,
    "neighbours": 3,
    "threshold": 0.01,
}
NAMES = [
    *cellda.adapters.names(),
    "tta+lame",
    "full+tta",
    "logistic+prior_correction",
    "adabn+lp_ft",
    "tim+lame",
]


def small(name: str) -> Adapter:
    steps = []
    for step in name.split("+"):
        fields = cellda.adapters.get(step).model_fields
        steps.append({"name": step} | {key: value for key, value in SMALL.items() if key in fields})
    return cellda.adapters.build(steps)


def only(images: ImageSet) -> ImageSet:
    """Its images of the classes that can occur."""
    return images.subset([row for row, label in enumerate(images.labels.tolist()) if label in KEPT])


def renumbered(images: ImageSet) -> ImageSet:
    """The images of the classes that can occur, with these numbered from 0."""
    kept = only(images)
    return replace(kept, known_labels=torch.tensor([KEPT.index(label) for label in kept.labels.tolist()]))


@cache
def source() -> CellClassifier:
    """A random network whose head prefers the classes that cannot occur."""
    model = small_model()
    with torch.no_grad():
        model.head[-1].bias[GONE] += 5.0
    model.folded()  # what is found out about its layers is copied with it
    return model


def narrowed() -> CellClassifier:
    return deepcopy(source()).with_present(PRESENT)


def smaller() -> CellClassifier:
    """The same model without the other classes: its last layer has three rows."""
    model = deepcopy(source())
    head = Mlp(model.backbone.embedding, len(KEPT))
    weights = model.head.state_dict()
    last = f"{len(head) - 1}."
    head.load_state_dict(
        {name: value[list(KEPT)] if name.startswith(last) else value for name, value in weights.items()}
    )
    model.head, model.classes = head.eval(), PRESENT
    return model


SOURCES = (brightness_set(per_class=4, seed=2), brightness_set(per_class=3, seed=3))
SUPPORT = only(brightness_set(per_class=3))
POOL = replace(brightness_set(per_class=5, seed=1), known_labels=None)
"""Some of its images show classes that are said not to occur."""
NEW = replace(brightness_set(per_class=4, seed=4), known_labels=None)


class Watched(Trainer):
    """A trainer that notes the losses."""

    def __init__(self) -> None:
        super().__init__("cpu")
        self.losses: list[float] = []

    def fit(self, *given, **options):
        found = super().fit(*given, **options)
        self.losses += found
        return found


def adapted(adapter: Adapter, model: CellClassifier, support: ImageSet, sources, trainer=None):
    context = AdaptContext(trainer or Trainer("cpu"), 0, tuple(sources))
    return adapter.apply(model, TargetView(support, POOL), context)


@pytest.mark.parametrize("name", NAMES)
def test_no_absent_class_is_ever_predicted(name) -> None:
    trainer = Watched()
    model = adapted(small(name), narrowed(), SUPPORT, SOURCES, trainer)
    assert model.present == PRESENT
    found = trainer.probabilities(model, NEW)
    assert found.shape == (len(NEW), 6)
    assert found.isfinite().all()
    assert (found[:, GONE] == 0).all()
    torch.testing.assert_close(found.sum(1), torch.ones(len(NEW)))
    # With a class that cannot occur among the labels, or under the smoothing, it would be hundreds.
    assert all(abs(loss) < 20 for loss in trainer.losses)


@pytest.mark.parametrize("name", NAMES)
def test_an_adapter_works_as_on_a_model_that_has_only_these_classes(name) -> None:
    adapter = small(name)
    model = adapted(adapter, narrowed(), SUPPORT, SOURCES)
    if name == "mean_teacher":  # whose distance is a mean over classes
        adapter = adapter.model_copy(update={"weight": adapter.weight * len(KEPT) / 6})
    other = adapted(adapter, smaller(), renumbered(SUPPORT), map(renumbered, SOURCES))
    found, wanted = (Trainer("cpu").probabilities(one, NEW) for one in (model, other))
    if name == "t3a":  # whose scale is the mean length of all old weights, which changes no decision
        found, wanted = found[:, KEPT].argsort(1), wanted.argsort(1)
        assert torch.equal(found, wanted)
        return
    # Adam divides by the size of gradients, which makes rounding errors a thousand times as large. Smoothing over all classes,
    # or source images of all, would make twice this difference or more.
    torch.testing.assert_close(found[:, KEPT], wanted, atol=8e-3, rtol=0)


def test_the_test_would_notice_what_adapters_do() -> None:
    # Otherwise two models that nothing has changed would agree.
    before = Trainer("cpu").probabilities(narrowed(), NEW)
    moved = [
        name
        for name in cellda.adapters.names()
        if not torch.allclose(
            Trainer("cpu").probabilities(adapted(small(name), narrowed(), SUPPORT, SOURCES), NEW), before
        )
    ]
    # `second_view` says nothing of images without nuclei; test_second_view.py asks it about probabilities that are 0.
    assert set(cellda.adapters.names()) - set(moved) <= {"none", "second_view"}


def test_source_images_of_absent_classes_are_not_seen() -> None:
    seen = []

    class Noting(Adapter):
        effects = frozenset()
        needs = frozenset({Need.SOURCE})

        def adapt(self, model, target, context):
            seen.extend(context.source)
            return model

        def image_passes(self, offer) -> int:
            return 0

    Noting.name = "noting"
    without = brightness_set(per_class=2, classes=1)  # shows no class that can occur
    context = AdaptContext(Trainer("cpu"), 0, (*SOURCES, without))
    Noting().apply(narrowed(), TargetView(SUPPORT), context)
    assert [set(part.labels.tolist()) for part in seen] == [set(KEPT), set(KEPT)]
    assert [len(part) for part in seen] == [12, 9]
    Noting().apply(deepcopy(source()), TargetView(SUPPORT), context)
    assert [len(part) for part in seen[2:]] == [24, 18, 2]


@pytest.mark.parametrize("name", ["logistic", "label_propagation", "full", "tim"])
def test_trials_of_a_search_predict_no_absent_class_either(name) -> None:
    adapter = small(name)
    candidates = Candidates(
        adapter, narrowed, TargetView(SUPPORT, POOL), AdaptContext(Trainer("cpu"), 0, SOURCES)
    )
    rows = range(len(POOL))
    found = candidates.probabilities(adapter, None, POOL, rows)
    assert (found[:, GONE] == 0).all()
    wanted = Trainer("cpu").probabilities(adapted(adapter, narrowed(), SUPPORT, SOURCES), POOL)
    torch.testing.assert_close(found, wanted)
    for measure in ("entropy", "info_max", "snd"):
        score = selector(measure).measure(found)
        assert score == pytest.approx(selector(measure).measure(found[:, KEPT]))


def test_a_head_that_was_replaced_is_narrowed_like_the_one_before() -> None:
    model = adapted(small("label_propagation"), narrowed(), SUPPORT, SOURCES)
    assert isinstance(model.head, Present)
    assert model.head.inner.name == "label_propagation"
    far = torch.zeros(1, 128)  # an image without neighbours, for which all classes are equally probable
    assert model.head(far).softmax(1)[0, GONE].tolist() == [0.0, 0.0, 0.0]
