"""ONNX, which onnxruntime and many other programs run.

ONNX: Open Neural Network Exchange, https://onnx.ai.
"""

import warnings
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from cellda.export import register
from cellda.export.base import INPUT, OPSET, OUTPUT, Format, Run
from cellda.export.graph import Graph
from cellda.export.operations import table


@register("onnx")
class Onnx(Format):
    """One .onnx file for onnxruntime, with its weights inside; the batch size is free."""

    suffix: ClassVar[str] = ".onnx"
    needs: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime", "onnxscript")

    @torch.no_grad()
    def write(self, graph: Graph, path: Path) -> None:
        """Record the graph with `torch.export`, lower it to what ONNX has, and write it."""
        import onnx

        example = torch.zeros(2, 3, graph.side, graph.side, dtype=torch.uint8)
        with warnings.catch_warnings():  # to authors of graphs
            warnings.simplefilter("ignore")
            recorded = torch.export.export(
                graph.eval(), (example,), dynamic_shapes=({0: torch.export.Dim("n")},), strict=False
            ).run_decompositions(table())
            recorded.graph_module.graph.eliminate_dead_code()  # measures that only a fit needs
            program = torch.onnx.export(
                recorded,
                dynamo=True,
                verbose=False,
                input_names=[INPUT],
                output_names=[OUTPUT],
                opset_version=OPSET,
            )
        assert program is not None
        content = program.model_proto
        content.producer_name, content.producer_version = "cellda", graph.metadata["cellda_version"]
        onnx.helper.set_model_props(content, graph.metadata)
        onnx.checker.check_model(content)
        onnx.save(content, path)

    def runs(self, path: Path) -> dict[str, Run]:
        """By onnxruntime, on the CPU."""
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

        def run(pixels: UInt8[Tensor, "n 3 s s"]) -> Float[Tensor, "n classes"]:
            return torch.from_numpy(session.run([OUTPUT], {INPUT: pixels.numpy()})[0])

        return {"onnxruntime": run}
