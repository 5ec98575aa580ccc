"""No adapter knows how many classes there are."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

import cellda.adapters
from cellda import CellClassifier
from cellda.adapters import Adapter
from cellda.adapters.base import AdaptContext, TargetView
from cellda.models import Backbone
from cellda.models.judged import seen_of
from cellda.normalizers.spec import NormalizerSpec
from cellda.training.loop import Trainer
from tiny import brightness_set

SMALL = {"epochs": 1, "probe_epochs": 1, "source_images": 8, "threshold": 0.01, "min_steps": 2}
BACKBONE = Backbone(name="test_efficientnet", weights="none", image_size=32)


def model_of(classes: Sequence[str]) -> CellClassifier:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = CellClassifier(BACKBONE, NormalizerSpec(name="identity"), classes).eval()
    shown = brightness_set(per_class=3, classes=len(classes), seed=9)
    embeddings = Trainer("cpu").embeddings(model, shown)
    model.seen = seen_of(embeddings, shown.labels, torch.ones(len(shown), dtype=torch.bool), [0.0], [])
    return model


def small(name: str) -> Adapter:
    fields = cellda.adapters.get(name).model_fields
    return cellda.adapters.create(name, **{key: value for key, value in SMALL.items() if key in fields})


@pytest.mark.parametrize("number", [2, 5, 13])
@pytest.mark.parametrize("name", cellda.adapters.names())
def test_an_adapter_works_with_any_number_of_classes(tmp_path, name, number) -> None:
    classes = [f"class {place}" for place in range(number)]
    sets = [brightness_set(per_class=4, classes=number, seed=seed) for seed in range(4)]
    support, pool, source, held = sets
    pool = replace(pool, known_labels=None)
    context = AdaptContext(Trainer("cpu"), 0, (source,), (held,))
    model = small(name).apply(model_of(classes), TargetView(support, pool), context)
    found = Trainer("cpu").probabilities(model, pool)
    assert found.shape == (4 * number, number)
    torch.testing.assert_close(found.sum(1), torch.ones(len(found)))
    kept = CellClassifier.load(model.save(tmp_path / "m"))
    assert kept.classes == tuple(classes)
    torch.testing.assert_close(Trainer("cpu").probabilities(kept, pool), found, atol=1e-5, rtol=1e-4)
