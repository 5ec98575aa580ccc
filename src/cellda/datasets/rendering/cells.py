"""The shape grammar of the six classes: what identifies each class in any laboratory; lengths in micrometres."""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from cellda.datasets.rendering.draws import Draws

LOBES = 5
"""A nucleus is a chain of up to five lobes; shorter chains repeat their last lobe."""
CELL_DRAWS = 96
"""Random numbers that a class's grammar may use."""

TAU = 2 * math.pi

Chain = tuple[Tensor, Tensor, Tensor]
"""The lobes of nuclei: starts `(B, 5, 2)`, ends `(B, 5, 2)` and radii `(B, 5)`."""


@dataclass
class Cells:
    """Parameters of a batch of cells; `(B,)` unless stated, positions relative to the cell's centre.

    Attributes:
        radius: Mean radius of the cell.
        aspect: Square root of the ratio of its half axes.
        angle: Angle of its long axis, radians.
        raggedness: How far its outline deviates.
        lobe_start: `(B, 5, 2)` one end of each lobe.
        lobe_end: `(B, 5, 2)` the other end.
        lobe_radius: `(B, 5)`.
        bridge_radius: Radius of the filaments between consecutive lobes.
        fold: How far the outline of the nucleus deviates.
        density: Chromatin in the nucleus, 1 = a neutrophil's.
        clumping: Contrast of the chromatin in [0, 1].
        grain: Distance between chromatin clumps.
        rna: Makes cytoplasm basophilic (blue).
        protein: Makes cytoplasm acidophilic (pink).
        haemoglobin: Haemoglobin in the cytoplasm, 1 = a red cell's.
        rim: Excess of the cytoplasm's colour along the outline.
        halo: Lack of colour around the nucleus, in [0, 1].
        mottling: Contrast of the cytoplasm in [0, 1].
        granules: Number of specific granules.
        granule_radius: Their radius.
        granule_kind: 0 acidophil, 1 basophil, 2 neutrophil.
        granule_cover: How visible granules are over the nucleus, in [0, 1].
        vacuoles: Number of vacuoles.
        vacuole_radius: Their radius.
    """

    radius: Tensor
    aspect: Tensor
    angle: Tensor
    raggedness: Tensor
    lobe_start: Tensor
    lobe_end: Tensor
    lobe_radius: Tensor
    bridge_radius: Tensor
    fold: Tensor
    density: Tensor
    clumping: Tensor
    grain: Tensor
    rna: Tensor
    protein: Tensor
    haemoglobin: Tensor
    rim: Tensor
    halo: Tensor
    mottling: Tensor
    granules: Tensor
    granule_radius: Tensor
    granule_kind: Tensor
    granule_cover: Tensor
    vacuoles: Tensor
    vacuole_radius: Tensor


def draw_cells(labels: Tensor, draws: Draws) -> Cells:
    """Parameters of cells of the classes `labels` `(B,)` (indices into `cellda.taxonomy.CLASSES`)."""
    parts: list[tuple[Tensor, Cells]] = []
    for label in sorted(set(labels.tolist())):
        rows = (labels == label).nonzero()[:, 0]
        parts.append((rows, GRAMMAR[label](draws.rows(rows))))
    order = torch.cat([rows for rows, _ in parts]).argsort()
    return Cells(
        **{f.name: torch.cat([getattr(cells, f.name) for _, cells in parts])[order] for f in fields(Cells)}
    )


def _cells(d: Draws, radius: Tensor, nucleus: Chain, **given: Tensor | float) -> Cells:
    """Cells with common defaults: a nearly round outline, no haemoglobin, no granules, no vacuoles."""
    start, end, lobe_radius = nucleus
    values: dict[str, Tensor | float] = {
        "aspect": torch.exp(d.normal(0.045)),
        "angle": d.uniform(0, TAU),
        "raggedness": d.uniform(0.1, 0.35),
        "bridge_radius": 0.25,
        "fold": 0.3,
        "haemoglobin": 0.0,
        "rim": 0.2,
        "halo": 0.0,
        "mottling": 0.25,
        "granules": 0.0,
        "granule_radius": 0.3,
        "granule_kind": 2.0,
        "granule_cover": 0.0,
        "vacuoles": 0.0,
        "vacuole_radius": 0.5,
        **given,
    }
    filled = {k: v if isinstance(v, Tensor) else torch.full_like(radius, v) for k, v in values.items()}
    return Cells(radius=radius, lobe_start=start, lobe_end=end, lobe_radius=lobe_radius, **filled)


def _turn(points: Tensor, angle: Tensor) -> Tensor:
    cos, sin = torch.cos(angle)[:, None], torch.sin(angle)[:, None]
    x, y = points.unbind(-1)
    return torch.stack([x * cos - y * sin, x * sin + y * cos], dim=-1)


def _arc(d: Draws, radius: Tensor, span: Tensor, thickness: Tensor) -> Chain:
    """A bent sausage: five joined lobes along an arc of `radius` over `span` radians (bands, kidneys)."""
    steps = torch.linspace(-0.5, 0.5, LOBES + 1)
    theta = span[:, None] * steps
    path = _ray(theta, radius[:, None])
    path = path - path.mean(dim=1, keepdim=True) * 0.6
    path = _turn(path, d.uniform(0, TAU))
    wobble = torch.exp(d.normal(0.1, (LOBES,)))
    return path[:, :-1], path[:, 1:], thickness[:, None] * wobble


def _lobes(d: Draws, count: Tensor, ring: Tensor, span: Tensor, size: Tensor) -> Chain:
    """`count` separate lobes, short sausages strung along an arc of radius `ring` over `span` radians."""
    last = (count - 1).clamp(min=1)
    step = torch.minimum(torch.arange(LOBES), count[:, None] - 1)
    theta = (step / last[:, None] - 0.5) * span[:, None]
    jitter = d.normal(0.1, (LOBES,)), d.normal(0.13, (LOBES,)), d.normal(0.5, (LOBES,))
    swell = torch.exp(d.normal(0.14, (LOBES,)))
    theta, reach = theta + jitter[0], ring[:, None] * (1 + jitter[1])
    middle = _ray(theta, reach)
    half = _ray(theta + math.pi / 2 + jitter[2], size[:, None] * 0.32)
    middle = middle - middle.mean(dim=1, keepdim=True) * 0.5
    turn = d.uniform(0, TAU)
    start, end, width = _turn(middle - half, turn), _turn(middle + half, turn), size[:, None] * swell
    # Chains shorter than five repeat their last lobe exactly, so that repeats add nothing.
    pick = step.long()
    at = pick[..., None].expand(-1, -1, 2)
    return start.gather(1, at), end.gather(1, at), width.gather(1, pick)


def _ray(angle: Tensor, length: Tensor) -> Tensor:
    """Points `(..., 2)` at `angle` and distance `length` from the origin."""
    return torch.stack([torch.cos(angle) * length, torch.sin(angle) * length], dim=-1)


def _round(d: Draws, radius: Tensor, slack: Tensor, oval: float) -> Chain:
    """One round to oval nucleus, off centre by at most `slack`."""
    centre = _ray(d.uniform(0, TAU), slack * d.uniform().sqrt())[:, None].expand(-1, LOBES, -1)
    half = _ray(d.uniform(0, TAU), radius * d.uniform(0, oval))[:, None]
    return centre - half, centre + half, radius[:, None].expand(-1, LOBES)


def _either(first: Tensor, a: Chain, b: Chain) -> Chain:
    """Chain `a` where `first` `(B,)` is true, else `b`."""
    at = first[:, None]
    starts, ends = torch.where(at[..., None], a[0], b[0]), torch.where(at[..., None], a[1], b[1])
    return starts, ends, torch.where(at, a[2], b[2])


def neutrophil(d: Draws) -> Cells:
    """Banded (a third) or segmented into 3 to 5 lobes; pale pink cytoplasm with fine granules."""
    radius = d.uniform(5.7, 7.2)
    banded = d.uniform() < 0.33
    band = _arc(d, radius * d.uniform(0.44, 0.54), d.uniform(3.0, 4.6), radius * d.uniform(0.19, 0.25))
    count = (3 + (d.uniform() * 3).floor()).clamp(max=5)
    size = radius * d.uniform(0.25, 0.29) * (3 / count) ** 0.6
    span = 3.0 + 0.5 * (count - 3) + d.uniform(0, 0.9)
    segments = _lobes(d, count, radius * d.uniform(0.52, 0.62), span, size)
    return _cells(
        d,
        radius,
        _either(banded, band, segments),
        bridge_radius=d.uniform(0.15, 0.32),
        fold=d.uniform(0.2, 0.4),
        density=d.uniform(0.9, 1.12),
        clumping=d.uniform(0.35, 0.6),
        grain=d.uniform(0.8, 1.1),
        rna=d.uniform(0.02, 0.12),
        protein=d.uniform(0.55, 0.95),
        granules=d.uniform(110, 170),
        granule_radius=d.uniform(0.14, 0.2),
        granule_cover=0.1,
    )


def eosinophil(d: Draws) -> Cells:
    """Two lobes (three in a quarter) and cytoplasm packed with coarse acidophil granules."""
    radius = d.uniform(5.9, 7.4)
    count = torch.where(d.uniform() < 0.75, 2.0, 3.0)
    size = radius * d.uniform(0.31, 0.36) * (2 / count) ** 0.5
    nucleus = _lobes(d, count, radius * d.uniform(0.5, 0.56), d.uniform(2.1, 3.3), size)
    return _cells(
        d,
        radius,
        nucleus,
        bridge_radius=d.uniform(0.2, 0.45),
        fold=d.uniform(0.2, 0.4),
        density=d.uniform(0.8, 1.02),
        clumping=d.uniform(0.3, 0.55),
        grain=d.uniform(0.8, 1.1),
        rna=d.uniform(0.05, 0.2),
        protein=d.uniform(0.6, 1.0),
        granules=d.uniform(180, 240),
        granule_radius=d.uniform(0.4, 0.54),
        granule_kind=0.0,
        granule_cover=d.uniform(0.1, 0.25),
    )


def basophil(d: Draws) -> Cells:
    """A blurred, folded nucleus under dark violet granules of uneven size."""
    radius = d.uniform(5.0, 6.4)
    nucleus = _arc(d, radius * d.uniform(0.3, 0.42), d.uniform(2.4, 4.2), radius * d.uniform(0.32, 0.42))
    return _cells(
        d,
        radius,
        nucleus,
        raggedness=d.uniform(0.15, 0.5),
        fold=d.uniform(0.4, 0.8),
        density=d.uniform(0.6, 0.85),
        clumping=d.uniform(0.3, 0.5),
        grain=d.uniform(1.0, 1.5),
        rna=d.uniform(0.15, 0.35),
        protein=d.uniform(0.3, 0.7),
        granules=d.uniform(80, 190),
        granule_radius=d.uniform(0.3, 0.44),
        granule_kind=1.0,
        granule_cover=1.0,
        vacuoles=d.uniform(0, 4),
        vacuole_radius=0.35,
    )


def lymphocyte(d: Draws) -> Cells:
    """A round, smudged nucleus that nearly fills the cell; a thin blue rim of cytoplasm."""
    radius = d.uniform(4.1, 5.9)
    share = d.uniform(0.82, 0.94) - (radius - 4.1) * 0.03
    nucleus = _round(d, radius * share * 0.95, radius * (1 - share) * 0.6, 0.14)
    return _cells(
        d,
        radius,
        nucleus,
        aspect=torch.exp(d.normal(0.06)),
        raggedness=d.uniform(0.15, 0.5),
        fold=d.uniform(0.15, 0.5),
        density=d.uniform(0.85, 1.08),
        clumping=d.uniform(0.3, 0.5),
        grain=d.uniform(1.2, 1.8),
        rna=d.uniform(0.6, 1.25),
        protein=d.uniform(0.0, 0.2),
        rim=d.uniform(0.2, 0.6),
        halo=d.uniform(0.0, 0.3),
        granules=d.uniform(0, 6) * (d.uniform() < 0.3),
        granule_radius=0.25,
    )


def monocyte(d: Draws) -> Cells:
    """Large; a kidney-shaped or folded, lacy nucleus in grey-blue cytoplasm with vacuoles and fine dust."""
    radius = d.uniform(6.9, 9.0)
    nucleus = _arc(d, radius * d.uniform(0.26, 0.42), d.uniform(2.0, 4.2), radius * d.uniform(0.3, 0.39))
    return _cells(
        d,
        radius,
        nucleus,
        aspect=torch.exp(d.normal(0.08)),
        raggedness=d.uniform(0.3, 1.0),
        fold=d.uniform(0.4, 0.8),
        density=d.uniform(0.66, 0.86),
        clumping=d.uniform(0.4, 0.65),
        grain=d.uniform(0.6, 0.9),
        rna=d.uniform(0.34, 0.6),
        protein=d.uniform(0.3, 0.6),
        rim=d.uniform(0.1, 0.4),
        mottling=d.uniform(0.35, 0.6),
        granules=d.uniform(30, 110),
        granule_radius=d.uniform(0.12, 0.17),
        vacuoles=d.uniform(0, 11),
        vacuole_radius=d.uniform(0.3, 0.75),
    )


def erythroblast(d: Draws) -> Cells:
    """A small, dense, round nucleus; cytoplasm from blue (young) over lilac to pink (old)."""
    age = d.uniform()
    radius = 5.9 - 1.4 * age + d.normal(0.3)
    share = 0.71 - 0.21 * age + d.normal(0.02)
    nucleus = _round(d, radius * share, radius * (1 - share) * 0.75, 0.06)
    return _cells(
        d,
        radius,
        nucleus,
        aspect=torch.exp(d.normal(0.05)),
        fold=d.uniform(0.03, 0.15),
        density=1.0 + 0.35 * age + d.normal(0.05),
        clumping=(0.6 - 0.45 * age + d.normal(0.05)).clamp(0.05, 0.7),
        grain=d.uniform(0.9, 1.3),
        rna=(1.4 - 1.3 * age + d.normal(0.08)).clamp(min=0.03),
        protein=0.05,
        haemoglobin=(1.15 * age - 0.1).clamp(min=0),
        rim=d.uniform(0.05, 0.25),
        halo=d.uniform(0.0, 0.35) * (1 - age),
        mottling=0.12,
    )


GRAMMAR: tuple[Callable[[Draws], Cells], ...] = (
    basophil,
    eosinophil,
    erythroblast,
    lymphocyte,
    monocyte,
    neutrophil,
)
"""One function per class, in class order."""
