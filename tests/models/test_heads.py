"""Heads: saved by name and options, loaded as they were."""

import pytest
import torch
from sklearn.preprocessing import normalize

from cellda import CellClassifier
from cellda.models import heads
from cellda.models.heads.base import Head
from cellda.models.heads.linear import Linear
from cellda.models.spec import Backbone
from cellda.normalizers.spec import NormalizerSpec

BACKBONE = Backbone(name="test_efficientnet", weights="none", image_size=32)
OPTIONS = {
    "linear": {"unit": True},
    "cache": {"size": 5, "alpha": 2.0, "beta": 3.0, "inner": {"name": "linear", "unit": True}},
    "prior": {"inner": {"name": "mlp"}},
    "lame": {"inner": {"name": "linear", "unit": True}, "anchors": 9, "neighbours": 3, "strength": 0.5},
    "label_propagation": {"anchors": 9, "neighbours": 3, "gamma": 2.0},
}
"""Options other than the default, of the heads that have any."""


@pytest.mark.parametrize("name", heads.names())
def test_a_head_is_saved_and_loaded_with_the_model(tmp_path, name) -> None:
    model = CellClassifier(BACKBONE, NormalizerSpec(name="identity"))
    model.head = heads.create(name, BACKBONE.embedding, 6, **OPTIONS.get(name, {}))
    for value in model.head.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=torch.Generator().manual_seed(1)) + 0.5)
    pixels = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    wanted = model.eval().predict(pixels).probabilities
    kept = CellClassifier.load(model.save(tmp_path))
    assert isinstance(kept.head, heads.get(name))
    assert issubclass(heads.get(name), Head)
    assert kept.head.options() == model.head.options()
    torch.testing.assert_close(kept.predict(pixels).probabilities, wanted)


@pytest.mark.parametrize("unit", [False, True])
def test_the_linear_head_is_its_formula(unit) -> None:
    head = Linear(5, 3, unit=unit)
    head.shift.copy_(torch.rand(5))
    head.scale.copy_(torch.rand(5) + 0.5)
    z = torch.randn(7, 5)
    scaled = ((z - head.shift) / head.scale).numpy()
    wanted = torch.from_numpy(normalize(scaled) if unit else scaled) @ head.linear.weight.T + head.linear.bias
    torch.testing.assert_close(head(z), wanted)


def test_the_paper_head_is_found_in_models_saved_before_heads_had_names(tmp_path) -> None:
    import json

    model = CellClassifier(BACKBONE, NormalizerSpec(name="identity")).eval()
    file = model.save(tmp_path) / "classifier.json"
    description = json.loads(file.read_text())
    assert description.pop("head") == {"name": "mlp"}
    file.write_text(json.dumps(description))
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    torch.testing.assert_close(
        CellClassifier.load(tmp_path).predict(pixels).probabilities, model.predict(pixels).probabilities
    )
    assert [name for name in model.state_dict() if name.startswith("head.")][:1] == ["head.0.weight"]
