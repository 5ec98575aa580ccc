"""Heads: saved by name and options, loaded as they were."""

import json

import pytest
import torch
from sklearn.preprocessing import normalize

from cellda import CellClassifier
from cellda.errors import ConfigurationError, DataError
from cellda.models import heads
from cellda.models.heads.base import Head
from cellda.models.heads.linear import Linear
from cellda.models.heads.prior import Prior
from cellda.models.spec import Backbone
from cellda.normalizers.spec import NormalizerSpec
from described import described, first_format

BACKBONE = Backbone(name="test_efficientnet", weights="none", image_size=32)
OPTIONS = {
    "linear": {"unit": True},
    "cache": {"size": 5, "alpha": 2.0, "beta": 3.0, "inner": {"name": "linear", "unit": True}},
    "present": {"present": [1, 3], "inner": {"name": "mlp"}},
    "summed": {
        "parts": [[0, 7], [1], [3], [2, 4], [5], [6]],
        "inner": {"name": "mlp", "classes": 9},
    },
    "tempered": {"inner": {"name": "mlp"}},
    "prior": {"inner": {"name": "mlp"}},
    "lame": {"inner": {"name": "linear", "unit": True}, "anchors": 9, "neighbours": 3, "strength": 0.5},
    "label_propagation": {"anchors": 9, "neighbours": 3, "gamma": 2.0},
}
"""Options other than the default, of the heads that have any."""


BUILT_IN = heads.names()


@pytest.mark.parametrize("name", BUILT_IN)
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


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_head_is_rebuilt_from_its_description_alone(name) -> None:
    head = heads.create(name, 8, 6, **OPTIONS.get(name, {}))
    again = heads.create(width=8, classes=6, **json.loads(json.dumps(head.description)))
    assert again.description == head.description
    assert {key: value.shape for key, value in again.state_dict().items()} == {
        key: value.shape for key, value in head.state_dict().items()
    }
    logits = again.eval()(torch.rand(3, 8))
    assert logits.shape == (3, 6)
    assert logits.isfinite().all()


def test_options_of_a_head_are_checked_with_near_names() -> None:
    with pytest.raises(
        ConfigurationError, match=r"head 'linear'.*\n.*unknown field 'unti': did you mean 'unit'"
    ):
        heads.create("linear", 8, 6, unti=True)
    with pytest.raises(ConfigurationError, match="field 'size' is missing"):
        heads.create("cache", 8, 6, alpha=1.0, beta=1.0, inner={"name": "mlp"})


def a_model(head: torch.nn.Module) -> CellClassifier:
    model = CellClassifier(BACKBONE, NormalizerSpec(name="identity")).eval()
    model.head = head
    return model


class Unregistered(Linear):
    """It has the name of the head that it derives from, and would come back as that one."""


@pytest.mark.parametrize(
    "head",
    [
        torch.nn.Linear(BACKBONE.embedding, 6),
        Unregistered(BACKBONE.embedding, 6),
        Prior.around(Unregistered(BACKBONE.embedding, 6), torch.ones(6)),
    ],
    ids=["not a head", "of another's name", "inside another"],
)
def test_a_head_that_could_not_be_loaded_is_not_saved(tmp_path, head) -> None:
    with pytest.raises(ConfigurationError, match=r"could not be loaded again.*`register_head`"):
        a_model(head).save(tmp_path)


def test_a_head_that_is_registered_in_this_process_alone_is_loaded_in_it_and_named_elsewhere(
    tmp_path,
) -> None:
    with heads.registry.scratch():

        @heads.register("of_a_notebook")
        class OfANotebook(Linear):
            pass

        inner = OfANotebook(BACKBONE.embedding, 6, unit=True)
        saved = a_model(Prior.around(inner, torch.ones(6))).save(tmp_path)
        assert isinstance(CellClassifier.load(saved).head.inner, OfANotebook)
    # Another process has not registered it.
    wanted = rf"its head 'of_a_notebook' was registered by the module {__name__}.*group cellda\.models\.heads"
    with pytest.raises(DataError, match=wanted):
        CellClassifier.load(saved)


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
    model = CellClassifier(BACKBONE, NormalizerSpec(name="identity")).eval()
    assert described(model.save(tmp_path))["head"] == {"name": "mlp"}
    first_format(tmp_path, "head", "framing", "symmetric", "registered_by")
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    with pytest.warns(UserWarning, match=r"saved by an earlier version, without a hash"):
        loaded = CellClassifier.load(tmp_path)
    torch.testing.assert_close(loaded.predict(pixels).probabilities, model.predict(pixels).probabilities)
    assert [name for name in model.state_dict() if name.startswith("head.")][:1] == ["head.0.weight"]
