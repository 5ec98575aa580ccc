"""The format of the BioImage Model Zoo, which ImageJ, ilastik and others read.

W. Ouyang et al.: BioImage Model Zoo: a resource for accessible deep learning in bioimage analysis. bioRxiv 2022.
"""

import json
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar
from zipfile import ZipFile

import numpy as np
import torch
from packaging.version import Version
from PIL import Image

from cellda.errors import ConfigurationError
from cellda.export import create, register
from cellda.export.agreement import drawn
from cellda.export.base import INPUT, OPSET, OUTPUT, Format, Run
from cellda.export.graph import Graph
from cellda.export.readme import DOI, PAPER, readme

WEIGHTS = {"onnx": "model.onnx", "torchscript": "model.pt"}
"""Format -> the file in the package."""
SCRIPT = "run_model.py"
PYDANTIC = Version("2.14")
"""The first version that bioimageio.spec (0.5.12) does not work with."""


@register("bioimageio")
class BioImageIo(Format):
    """A .zip for the BioImage Model Zoo: both kinds of weights, a test image, a description, and a script to run it."""

    suffix: ClassVar[str] = ".zip"
    needs: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime", "onnxscript", "bioimageio")

    def check_installed(self) -> None:
        """Refuse also a version of pydantic with which bioimageio.spec describes nothing.

        Its serializers pass a context where pydantic expects a key; since 2.14 it refuses that (pydantic pull request 13506).

        Raises:
            ConfigurationError: If packages are missing or do not work together.
        """
        super().check_installed()
        found = Version(version("pydantic"))
        if found >= PYDANTIC:
            raise ConfigurationError(
                f"The format 'bioimageio' does not work with pydantic {found}: pip install 'pydantic<{PYDANTIC}'. The "
                "formats 'onnx' and 'torchscript' do."
            )

    @torch.no_grad()
    def write(self, graph: Graph, path: Path) -> None:
        """Write the parts, describe them, and pack them; nothing is downloaded."""
        from bioimageio.spec import save_bioimageio_package

        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            for kind, file in WEIGHTS.items():
                create(kind).write(graph, folder / file)
            pixels = drawn(graph.side)[:1]
            np.save(folder / "input.npy", pixels.numpy())
            np.save(folder / "output.npy", graph(pixels).numpy())
            (folder / "README.md").write_text(readme(graph, "model.onnx"), encoding="utf-8")
            (folder / SCRIPT).write_bytes(Path(__file__).with_name(SCRIPT).read_bytes())
            cover = Image.fromarray(pixels[0].permute(1, 2, 0).numpy())
            cover.resize((512, 512), Image.Resampling.NEAREST).save(folder / "cover.png")
            save_bioimageio_package(self._described(graph, folder), output_path=path)

    def runs(self, path: Path) -> dict[str, Run]:
        """Both kinds of weights, as they are in the package."""
        with tempfile.TemporaryDirectory() as scratch, ZipFile(path) as package:
            package.extractall(scratch)
            runs = [create(kind).runs(Path(scratch, file)) for kind, file in WEIGHTS.items()]
            return {name: run for part in runs for name, run in part.items()}

    @staticmethod
    def _described(graph: Graph, folder: Path) -> "object":
        """The description of the package."""
        from bioimageio.spec.model import v0_5 as spec

        facts = graph.metadata
        classes = json.loads(facts["classes"])

        def tensor(file: str) -> spec.FileDescr:
            return spec.FileDescr(source=folder / file)

        pixels = spec.InputTensorDescr(
            id=spec.TensorId(INPUT),
            description=facts["input"],
            axes=[
                spec.BatchAxis(),
                spec.ChannelAxis(channel_names=[spec.Identifier(name) for name in ("red", "green", "blue")]),
                *(spec.SpaceInputAxis(id=spec.AxisId(axis), size=graph.side) for axis in "yx"),
            ],
            test_tensor=tensor("input.npy"),
            data=spec.IntervalOrRatioDataDescr(type="uint8", range=(0, 255)),
        )
        probabilities = spec.OutputTensorDescr(
            id=spec.TensorId(OUTPUT),
            description=facts["output"],
            axes=[
                spec.BatchAxis(),
                spec.ChannelAxis(channel_names=[spec.Identifier(_identifier(name)) for name in classes]),
            ],
            test_tensor=tensor("output.npy"),
            data=spec.IntervalOrRatioDataDescr(type="float32", range=(0, 1)),
        )
        version = spec.Version(torch.__version__.partition("+")[0])
        return spec.ModelDescr(
            name=f"cellda white blood cells {facts['model_identity'][:8]}",
            description=f"White-blood-cell classifier ({', '.join(classes)}). {facts['use']}"[:1000],
            covers=[tensor("cover.png")],
            documentation=tensor("README.md"),
            authors=[spec.Author(name="The cellda developers")],
            cite=[spec.CiteEntry(text=PAPER, doi=spec.Doi(DOI))],
            license=spec.LicenseId("Apache-2.0"),
            tags=["white-blood-cells", "classification", "haematology", "2d"],
            attachments=[tensor(SCRIPT)],
            inputs=[pixels],
            outputs=[probabilities],
            weights=spec.WeightsDescr(
                onnx=spec.OnnxWeightsDescr(source=folder / "model.onnx", opset_version=OPSET),
                torchscript=spec.TorchscriptWeightsDescr(
                    source=folder / "model.pt", pytorch_version=version, parent="onnx"
                ),
            ),
            config=spec.Config(cellda=facts),
        )


def _identifier(name: str) -> str:
    """A class name as the format allows it."""
    return "".join(letter if letter.isalnum() else "_" for letter in name)
