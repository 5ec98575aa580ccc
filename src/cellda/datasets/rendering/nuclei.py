"""The shapes of nuclei: chains of lobes, in micrometres around the centre of the cell."""

import math

import torch
from torch import Tensor

from cellda.datasets.rendering.random_numbers import Draws

LOBES = 5
"""A nucleus is a chain of up to five lobes; shorter chains repeat their last lobe."""

TAU = 2 * math.pi

Chain = tuple[Tensor, Tensor, Tensor]
"""The lobes of nuclei: starts `(B, 5, 2)`, ends `(B, 5, 2)` and radii `(B, 5)`."""


def turn(points: Tensor, angle: Tensor) -> Tensor:
    """Points `(B, N, 2)` turned about the origin by an angle `(B,)` in radians."""
    cos, sin = torch.cos(angle)[:, None], torch.sin(angle)[:, None]
    x, y = points.unbind(-1)
    return torch.stack([x * cos - y * sin, x * sin + y * cos], dim=-1)


def arc(d: Draws, radius: Tensor, span: Tensor, thickness: Tensor) -> Chain:
    """A bent sausage: five joined lobes along an arc of `radius` over `span` radians (bands, kidneys)."""
    steps = torch.linspace(-0.5, 0.5, LOBES + 1)
    theta = span[:, None] * steps
    path = ray(theta, radius[:, None])
    path = path - path.mean(dim=1, keepdim=True) * 0.6
    path = turn(path, d.uniform(0, TAU))
    wobble = torch.exp(d.normal(0.1, (LOBES,)))
    return path[:, :-1], path[:, 1:], thickness[:, None] * wobble


def lobes(d: Draws, count: Tensor, ring: Tensor, span: Tensor, size: Tensor) -> Chain:
    """`count` separate lobes, short sausages strung along an arc of radius `ring` over `span` radians."""
    last = (count - 1).clamp(min=1)
    step = torch.minimum(torch.arange(LOBES), count[:, None] - 1)
    theta = (step / last[:, None] - 0.5) * span[:, None]
    jitter = d.normal(0.1, (LOBES,)), d.normal(0.13, (LOBES,)), d.normal(0.5, (LOBES,))
    swell = torch.exp(d.normal(0.14, (LOBES,)))
    theta, reach = theta + jitter[0], ring[:, None] * (1 + jitter[1])
    middle = ray(theta, reach)
    half = ray(theta + math.pi / 2 + jitter[2], size[:, None] * 0.32)
    middle = middle - middle.mean(dim=1, keepdim=True) * 0.5
    angle = d.uniform(0, TAU)
    start, end, width = turn(middle - half, angle), turn(middle + half, angle), size[:, None] * swell
    # Chains shorter than five repeat their last lobe exactly, so that repeats add nothing.
    pick = step.long()
    at = pick[..., None].expand(-1, -1, 2)
    return start.gather(1, at), end.gather(1, at), width.gather(1, pick)


def ray(angle: Tensor, length: Tensor) -> Tensor:
    """Points `(..., 2)` at `angle` and distance `length` from the origin."""
    return torch.stack([torch.cos(angle) * length, torch.sin(angle) * length], dim=-1)


def round_nucleus(d: Draws, radius: Tensor, slack: Tensor, oval: float) -> Chain:
    """One round to oval nucleus, off centre by at most `slack`."""
    centre = ray(d.uniform(0, TAU), slack * d.uniform().sqrt())[:, None].expand(-1, LOBES, -1)
    half = ray(d.uniform(0, TAU), radius * d.uniform(0, oval))[:, None]
    return centre - half, centre + half, radius[:, None].expand(-1, LOBES)


def either(first: Tensor, a: Chain, b: Chain) -> Chain:
    """Chain `a` where `first` `(B,)` is true, else `b`."""
    at = first[:, None]
    starts, ends = torch.where(at[..., None], a[0], b[0]), torch.where(at[..., None], a[1], b[1])
    return starts, ends, torch.where(at, a[2], b[2])
