"""Whether an exported file computes what the library does."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from cellda import datasets
from cellda.errors import ConfigurationError, DataError
from cellda.export.base import Run
from cellda.export.graph import Graph
from cellda.models.inputs import pictures
from cellda.models.results import results

TOLERANCE = 1e-4
"""Largest difference of a probability from the library's."""
BATCHES = 1, 7


def drawn(side: int) -> UInt8[Tensor, "n 3 s s"]:
    """Synthetic cells, one of which has black corners as a rotated image has, and noise; always the same."""
    cells = datasets.load("synthetic/0", per_class=2)
    images = cells.read(range(len(cells)), side)
    rows = torch.arange(side)
    images[0, :, rows[:, None] + rows < side // 3] = 0
    noise = torch.randint(0, 256, (2, 3, side, side), generator=torch.Generator().manual_seed(0))
    return torch.cat([images, noise.to(torch.uint8)])


def framed(graph: Graph, images: Sequence[Path]) -> UInt8[Tensor, "n 3 s s"]:
    """Images as `predict` shows them to the network: decoded, framed and in its size.

    Raises:
        DataError: If none of them can be read.
    """
    shown: list[Tensor] = []
    network, given, _ = graph.library.framed_for(pictures(images))

    def watched(pixels: Tensor) -> tuple[Tensor, Tensor]:
        shown.append(pixels)
        return network.applied(pixels)

    deque(results(replace(network, applied=watched), given), maxlen=0)
    if not shown:
        raise DataError("None of the images to check with can be read.")
    return torch.cat(shown)


@torch.no_grad()
def largest_difference(graph: Graph, runs: dict[str, Run], pixels: UInt8[Tensor, "n 3 s s"]) -> float:
    """The largest difference of a probability from what the library gives for the same pixels, in batches of 1 and of 7.

    Raises:
        ConfigurationError: If it is above `TOLERANCE`, or a probability is not a number.
    """
    network = graph.library
    expected = torch.cat([network.applied(part)[1] for part in torch.split(pixels, network.at_once)])
    worst = 0.0
    for name, run in runs.items():
        found = [run(pixels[:1]), *map(run, torch.split(pixels, BATCHES[-1]))]
        difference = float((torch.cat(found) - torch.cat([expected[:1], expected])).abs().max())
        if not difference <= TOLERANCE:  # also if it is not a number
            raise ConfigurationError(
                f"The exported model ({name}) differs from the library by {difference:.2g} in a probability, more than "
                f"{TOLERANCE:g}: it is not kept. Please report it, with the model's classifier.json and the versions of torch "
                "and onnxruntime."
            )
        worst = max(worst, difference)
    return worst
