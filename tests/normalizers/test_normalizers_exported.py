"""Every normalizer runs in ONNX, where it gives what the library gives."""

import warnings

import pytest
import torch
from torch import nn

import cellda.normalizers
from cellda.export.operations import table

onnxruntime = pytest.importorskip("onnxruntime")

OPTIONS = {"vahadane": {"steps": 3}}
"""Its 50 alternations are recorded one after the other, which takes the exporter minutes."""
TOLERANCE = 1e-4


class Raw(nn.Module):
    """A normalizer of bytes."""

    def __init__(self, normalizer):
        super().__init__()
        self.normalizer = normalizer

    def forward(self, pixels):
        return self.normalizer(pixels.float() / 255)


def cells() -> torch.Tensor:
    """Synthetic cells, one of which has black corners."""
    from cellda.export.agreement import drawn

    return drawn(32)[:7]


@pytest.mark.slow
@pytest.mark.parametrize("name", cellda.normalizers.names())
def test_it_runs_in_onnx(name, tmp_path):
    normalizer = cellda.normalizers.create(name, **OPTIONS.get(name, {}))
    pixels = cells()
    if normalizer.needs_fit:
        normalizer.fit([pixels[3:].float() / 255])
    module = Raw(normalizer).eval()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        recorded = torch.export.export(
            module, (pixels[:2],), dynamic_shapes=({0: torch.export.Dim("n")},), strict=False
        ).run_decompositions(table())
        recorded.graph_module.graph.eliminate_dead_code()
        torch.onnx.export(recorded, dynamo=True, verbose=False, input_names=["pixels"]).save(
            tmp_path / "n.onnx"
        )
        session = onnxruntime.InferenceSession(tmp_path / "n.onnx")
        for count in (1, 7):
            (found,) = session.run(None, {"pixels": pixels[:count].numpy()})
            torch.testing.assert_close(
                torch.from_numpy(found), module(pixels[:count]), atol=TOLERANCE, rtol=0
            )


@pytest.mark.parametrize("name", cellda.normalizers.names())
def test_it_runs_in_torchscript(name):
    normalizer = cellda.normalizers.create(name, **OPTIONS.get(name, {}))
    pixels = cells()
    if normalizer.needs_fit:
        normalizer.fit([pixels[3:].float() / 255])
    module = Raw(normalizer).eval()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(module, pixels[:2], check_trace=False)
    for count in (1, 7):
        torch.testing.assert_close(traced(pixels[:count]), module(pixels[:count]), atol=TOLERANCE, rtol=0)
