"""Exported files compute what the library does, without it."""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import binary_propagation

import cellda.export
from cellda.errors import ConfigurationError
from cellda.export import operations
from cellda.export.agreement import TOLERANCE, drawn
from cellda.export.base import Format
from cellda.export.graph import Graph
from cellda.export.onnx import Onnx
from cellda.export.writing import export
from cellda.imaging.padding import background, find_smear
from cellda.imaging.recorded import brightest_colour
from cellda.models.heads.lame import Lame
from cellda.models.second_view import SecondView, Shape
from tiny import SIDE, small_model

pytest.importorskip("onnxruntime")
SCRIPT = Path(cellda.export.__file__).with_name("run_model.py")
FORBIDDEN = (
    "import sys\n"
    "class Refuse:\n"
    "    def find_spec(self, name, *rest):\n"
    "        if name.partition('.')[0] in ('cellda', 'torch'): raise ImportError(name)\n"
    "sys.meta_path.insert(0, Refuse())\n"
    "import runpy\n"
    "sys.argv = sys.argv[1:]\n"
    "runpy.run_path(sys.argv[0], run_name='__main__')\n"
)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("name", ["onnx", "torchscript"])
def test_a_file_gives_the_probabilities_of_the_library_for_any_batch(name, symmetric, tmp_path):
    model = small_model()
    model.symmetric = symmetric
    chosen = cellda.export.create(name)
    made = export(model, tmp_path / f"model{chosen.suffix}", name)
    assert made.difference <= TOLERANCE
    pixels = drawn(SIDE)
    run = next(iter(chosen.runs(made.file).values()))
    for count in (1, 2, 7):
        with torch.no_grad():
            expected = model.probabilities(pixels[:count])
        torch.testing.assert_close(run(pixels[:count]), expected, atol=TOLERANCE, rtol=0)


def test_an_onnx_file_runs_without_cellda_and_torch(tmp_path):
    model = small_model()
    file = export(model, tmp_path / "model.onnx", "onnx").file
    pixels = drawn(SIDE)[:3]
    images = [tmp_path / f"{number}.png" for number in range(3)]
    for image, values in zip(images, pixels, strict=True):
        Image.fromarray(values.permute(1, 2, 0).numpy()).save(image)
    said = subprocess.run(
        [sys.executable, "-c", FORBIDDEN, SCRIPT, file, *images], capture_output=True, text=True, check=True
    ).stdout
    header, *rows = [line.split(",") for line in said.split()]
    assert header[2:] == list(model.classes)
    with torch.no_grad():
        expected = model.probabilities(pixels)
    found = np.array([[float(value) for value in row[2:]] for row in rows])
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)
    assert [row[1] for row in rows] == [model.classes[number] for number in expected.argmax(1)]


def test_metadata_in_the_file_say_what_goes_in_and_out(tmp_path):
    import onnxruntime

    model = small_model()
    file = export(model, tmp_path / "model.onnx", "onnx").file
    facts = onnxruntime.InferenceSession(file).get_modelmeta().custom_metadata_map
    assert json.loads(facts["classes"]) == list(model.classes)
    assert facts["input_size"] == str(SIDE)
    assert facts["model_identity"] == model.identity
    assert "RGB" in facts["input"]
    assert "Research use" in facts["use"]
    assert "Research use" in (tmp_path / "model.onnx.md").read_text(encoding="utf-8")


def test_a_file_that_computes_something_else_is_not_kept(tmp_path, monkeypatch):
    opened = Onnx.runs

    def wrong(self, path):
        return {
            name: lambda pixels, run=run: run(pixels).roll(1, 1) for name, run in opened(self, path).items()
        }

    monkeypatch.setattr(Onnx, "runs", wrong)
    with pytest.raises(ConfigurationError, match="differs from the library"):
        export(small_model(), tmp_path / "model.onnx", "onnx")
    assert list(tmp_path.iterdir()) == []


def test_what_no_graph_can_hold_is_refused():
    model = small_model()
    with pytest.raises(ConfigurationError, match="no second_view"):
        Graph(model, ["second_view"])
    model.second_view = SecondView(len(model.classes), Shape(trees=1, nodes=1, depth=0, weight=1))
    with pytest.raises(ConfigurationError, match="--without second_view"):
        Graph(model)
    assert Graph(model, ["second_view"]).metadata["left_out"] == "second_view"
    model.second_view = None
    model.head = Lame.around(model.head, torch.rand(8, 128), 2, 1.0)
    with pytest.raises(ConfigurationError, match="transductive"):
        Graph(model)


def test_places_are_refused_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(Onnx, "write", lambda *_: pytest.fail("it was written"))
    with pytest.raises(ConfigurationError, match=r"ends in \.onnx"):
        export(small_model(), tmp_path / "model.pt", "onnx")
    (tmp_path / "model.onnx").touch()
    with pytest.raises(ConfigurationError, match="--overwrite"):
        export(small_model(), tmp_path / "model.onnx", "onnx")


def test_every_format_names_what_to_install(monkeypatch):
    for name in cellda.export.names():
        chosen = cellda.export.create(name)
        assert isinstance(chosen, Format)
        monkeypatch.setattr(type(chosen), "needs", ("no_such_package",))
        with pytest.raises(ConfigurationError, match=r"cellda\[export\]"):
            chosen.check_installed()


def test_operations_for_onnx_are_those_of_torch():
    random = torch.Generator().manual_seed(0)
    points = torch.randn(20, 3, 9, generator=random)
    matrices = points @ points.mT
    values, vectors = operations.eigh(matrices)
    expected = torch.linalg.eigvalsh(matrices.double()).float()
    torch.testing.assert_close(values, expected)
    torch.testing.assert_close(vectors * values[:, None] @ vectors.mT, matrices)
    tall = torch.rand(20, 3, 2, generator=random)
    torch.testing.assert_close(operations.pinv(tall), torch.linalg.pinv(tall), atol=1e-4, rtol=1e-4)
    holed = points.masked_fill(points > 1, torch.nan)
    for q in (0.99, torch.tensor([0.01, 0.5])):
        torch.testing.assert_close(operations.nanquantile(holed, q, -1), torch.nanquantile(holed, q, -1))


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_padding_in_a_graph_is_that_of_scipy(share):
    """Mazes, whose dark pixels are connected along winding paths."""
    random = torch.Generator().manual_seed(0)
    images = torch.rand(4, 3, 40, 40, generator=random)
    dark = torch.rand(4, 40, 40, generator=random) < share
    images = torch.where(dark[:, None], 0.05 * images, 0.6 + 0.4 * images)
    assert binary_propagation(dark[0, :1].numpy(), mask=dark[0, :1].numpy()).any()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(find_smear, images, check_trace=False)
    expected = find_smear(images)
    assert expected is not None
    assert torch.equal(traced(images), expected)
    assert torch.equal(brightest_colour(images, expected), background(images, expected))
