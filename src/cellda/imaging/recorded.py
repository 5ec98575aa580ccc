"""What `cellda.imaging.padding` computes, in operations that a recorded graph can hold: for `torch.export` and TorchScript.

The other implementations are faster, but look at values: they call scipy, and select pixels. A recorded graph cannot.
"""

import warnings

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import max_pool2d


def recording() -> bool:
    """Whether operations are recorded into a graph, in which no decision can depend on a value."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]


def connected(dark: Bool[Tensor, "b h w"]) -> Bool[Tensor, "b h w"]:
    """The pixels of a mask that are connected to the border through its pixels, by any of eight neighbours.

    As `scipy.ndimage.binary_propagation` from the border, image by image: the border's pixels grow by one step until nothing
    changes.
    """
    inside = dark.float()[:, None]
    rows, columns = (torch.arange(length, device=dark.device) for length in dark.shape[1:])
    edges = [(places == 0) | (places == places.shape[0] - 1) for places in (rows, columns)]
    seeds = inside * (edges[0][:, None] | edges[1])
    if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        with warnings.catch_warnings():  # torch advises another format; this is how loops get into this one
            warnings.simplefilter("ignore")
            grow = torch.jit.script(_grown)
        grown = grow(inside, seeds)
    else:
        start = torch.zeros_like(seeds), seeds, inside
        _, grown, _ = torch.while_loop(_changes, _step, start)  # type: ignore[no-untyped-call]
    found: Tensor = (grown > 0)[:, 0]
    return found


def wider(mask: Bool[Tensor, "b h w"], steps: int, within: Bool[Tensor, "b h w"]) -> Bool[Tensor, "b h w"]:
    """A mask grown by some steps to its eight neighbours, where `within` allows it."""
    for _ in range(steps):
        mask = mask | (max_pool2d(mask.float()[:, None], 3, 1, 1)[:, 0] > 0) & within
    return mask


def brightest_colour(images: Float[Tensor, "b 3 h w"], smear: Bool[Tensor, "b h w"]) -> Float[Tensor, "b 3"]:
    """Per channel, the median of the brightest quarter of the smear's pixels, as `padding.background` finds it."""
    pixels, inside = images.flatten(2), smear.flatten(1)
    # In the order in which `sum` adds three numbers: what is equal there must be equal here.
    brightness = pixels[:, 0] + pixels[:, 1] + pixels[:, 2]
    count = inside.sum(1, keepdim=True)
    ordered = brightness.masked_fill(~inside, torch.inf).sort(1).values
    quarter = inside & (brightness >= ordered.gather(1, count - count // 4 - 1))
    middle = (quarter.sum(1) - 1) // 2  # the lower one of two, as torch's median
    ordered = pixels.masked_fill(~quarter[:, None], torch.inf).sort(2).values
    return ordered.gather(2, middle[:, None, None].expand(-1, 3, 1))[:, :, 0]


def _changes(before: Tensor, now: Tensor, inside: Tensor) -> Tensor:  # noqa: ARG001 - arguments of a loop
    return (before != now).any()


def _step(before: Tensor, now: Tensor, inside: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ARG001
    return now.clone(), max_pool2d(now, 3, 1, 1) * inside, inside.clone()


def _grown(inside: Tensor, seeds: Tensor) -> Tensor:
    before, now = torch.zeros_like(seeds), seeds
    while bool((before != now).any()):
        before, now = now, torch.nn.functional.max_pool2d(now, 3, 1, 1) * inside
    return now
