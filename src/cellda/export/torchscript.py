"""TorchScript, which torch runs in Python and C++."""

import json
import warnings
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from cellda.export import register
from cellda.export.base import Format, Run
from cellda.export.graph import Graph

METADATA = "cellda.json"
"""The extra file in the archive that holds the metadata."""


@register("torchscript")
class TorchScript(Format):
    """One .pt file for `torch.jit.load`, in Python or C++; the batch size is free."""

    suffix: ClassVar[str] = ".pt"

    @torch.no_grad()
    def write(self, graph: Graph, path: Path) -> None:
        """Trace the graph and write it."""
        example = torch.zeros(2, 3, graph.side, graph.side, dtype=torch.uint8)
        with (
            warnings.catch_warnings()
        ):  # torch advises other formats, and against values that are constant here
            warnings.simplefilter("ignore")
            traced = torch.jit.trace(graph.eval(), example, check_trace=False)  # type: ignore[no-untyped-call]
            extra = {METADATA: json.dumps(graph.metadata)}
            torch.jit.save(traced, path, _extra_files=extra)

    def runs(self, path: Path) -> dict[str, Run]:
        """By `torch.jit.load`."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = torch.jit.load(path)  # type: ignore[no-untyped-call]

        def run(pixels: UInt8[Tensor, "n 3 s s"]) -> Float[Tensor, "n classes"]:
            with torch.no_grad():
                found: Tensor = loaded(pixels)
            return found

        return {"torch.jit": run}
