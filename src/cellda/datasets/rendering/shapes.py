"""Signed distances, soft edges and textures on a pixel grid; lengths in micrometres."""

import torch
import torch.nn.functional as F
from torch import Tensor


def smoothstep(low: float, high: float, x: Tensor) -> Tensor:
    """0 below `low`, 1 above `high`, a cubic with flat ends between."""
    t = ((x - low) / (high - low)).clamp_(0, 1)
    return t * t * (3 - 2 * t)


def inside(distance: Tensor, softness: float) -> Tensor:
    """Coverage in [0, 1] of a shape whose signed distance is negative inside."""
    return smoothstep(-softness, softness, -distance)


def smooth_min(a: Tensor, b: Tensor, blend: Tensor) -> Tensor:
    """Union of two signed distances with a fillet of about `blend` (the polynomial minimum)."""
    overlap = (blend - (a - b).abs()).clamp_(min=0)
    return torch.minimum(a, b) - overlap * overlap / (4 * blend)


def capsule(x: Tensor, y: Tensor, start: Tensor, end: Tensor, radius: Tensor) -> Tensor:
    """Signed distance to a segment with rounded ends.

    Args:
        x: `(B, H, W)` coordinates.
        y: `(B, H, W)` coordinates.
        start: `(B, 2)` one end as (x, y).
        end: `(B, 2)` the other end; may equal `start`, which gives a disc.
        radius: `(B,)`.

    Returns:
        `(B, H, W)`, negative inside.
    """
    sx, sy = (v[:, None, None] for v in start.unbind(1))
    ex, ey = (v[:, None, None] for v in (end - start).unbind(1))
    dx, dy = x - sx, y - sy
    along = ((dx * ex + dy * ey) / (ex * ex + ey * ey + 1e-9)).clamp_(0, 1)
    dx -= along * ex
    dy -= along * ey
    return torch.sqrt(dx * dx + dy * dy) - radius[:, None, None]


def ellipse(x: Tensor, y: Tensor, radius: Tensor, aspect: Tensor, angle: Tensor) -> Tensor:
    """Signed distance (to first order) to an ellipse with half axes `radius / aspect`, `radius * aspect`."""
    cos, sin = torch.cos(angle)[:, None, None], torch.sin(angle)[:, None, None]
    stretch, size = aspect[:, None, None], radius[:, None, None]
    u, v = (x * cos + y * sin) * stretch, (y * cos - x * sin) / stretch
    return torch.sqrt(u * u + v * v) - size


def texture(lattice: Tensor, x: Tensor, y: Tensor, scale: Tensor) -> Tensor:
    """Smooth random fields: lattices of random values, interpolated bicubically and mirrored at their border.

    Args:
        lattice: `(B, C, G, G)` values at the nodes.
        x: `(B, H, W)` coordinates.
        y: `(B, H, W)` coordinates.
        scale: `(B,)` distance between nodes.

    Returns:
        `(B, C, H, W)`.
    """
    side = lattice.shape[-1]
    unit = 2 / (scale[:, None, None] * side)
    return F.grid_sample(
        lattice,
        torch.stack([x * unit, y * unit], dim=-1),
        mode="bicubic",
        padding_mode="reflection",
        align_corners=False,
    )
