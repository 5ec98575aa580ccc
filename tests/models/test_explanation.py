"""Why a cell is taken for what it is."""

import pytest
import torch

from cellda import CellClassifier
from cellda.models.explanation import SHOWN, explanations, heat_maps
from cellda.models.spec import Backbone
from cellda.normalizers.spec import NormalizerSpec
from measured import measured
from tiny import same, small_model, state, target


def pixels(number: int = 3) -> torch.Tensor:
    return target().read(range(number), 32)


def test_grad_cam_is_the_weighted_sum_of_the_last_feature_maps():
    model = small_model()
    before = state(model)
    found = heat_maps(model, pixels())
    images = (model.normalized(pixels()) - model.mean) / model.std
    maps = model.encoder.forward_features(images).detach().requires_grad_()
    logits = model.head(model.embedding(model.encoder.forward_head(maps, pre_logits=True)))
    for number in range(3):
        (gradient,) = torch.autograd.grad(logits[number].max(), maps, retain_graph=True)
        cam = (gradient[number].mean((1, 2))[:, None, None] * maps[number]).sum(0).relu().detach()
        low, high = cam.min(), cam.max()
        expected = (cam - low) / (high - low).clamp_min(1e-12)
        assert torch.allclose(found[number], expected, atol=1e-5)
    assert same(state(model), before)


def test_attention_of_a_transformer_is_rolled_out():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        backbone = Backbone(name="test_vit", weights="none", image_size=32)
        model = CellClassifier(backbone, NormalizerSpec(name="identity")).eval()
    blocks = [block.attn for block in model.encoder.blocks]
    was = [layer.fused_attn for layer in blocks]
    with torch.no_grad():
        plain = model.probabilities(pixels())
        found = heat_maps(model, pixels())
        assert torch.equal(model.probabilities(pixels()), plain)
    assert [layer.fused_attn for layer in blocks] == was
    side = 32 // model.encoder.patch_embed.patch_size[0]
    assert found.shape == (3, side, side)
    assert float(found.min()) == 0
    assert float(found.max()) == pytest.approx(1)


def test_measures_are_named_and_labelled_cells_are_near():
    model = measured(12)
    told = explanations(model, pixels(2), neighbours=2)
    for one in told:
        assert set(one.measures) in (set(), set(SHOWN.values()))
        assert len(one.nearest) == len(one.alike) == 2
        assert one.alike[0] >= one.alike[1]
        assert set(one.nearest) <= set(model.evidence.kept.tolist())
    assert explanations(small_model(), pixels(1))[0].nearest == ()
