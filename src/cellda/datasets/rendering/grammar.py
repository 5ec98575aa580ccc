"""The shape grammar of six types of cells: what identifies each in any laboratory; lengths in micrometres."""

from collections.abc import Callable
from dataclasses import fields

import torch
from torch import Tensor

from cellda.datasets.rendering.cells import Cells, cells_with
from cellda.datasets.rendering.nuclei import arc, either, lobes, round_nucleus
from cellda.datasets.rendering.random_numbers import Draws

CELL_DRAWS = 96
"""Random numbers that a class's grammar may use."""


def neutrophil(d: Draws) -> Cells:
    """Banded (a third) or segmented into 3 to 5 lobes; pale pink cytoplasm with fine granules."""
    radius = d.uniform(5.7, 7.2)
    banded = d.uniform() < 0.33
    band = arc(d, radius * d.uniform(0.44, 0.54), d.uniform(3.0, 4.6), radius * d.uniform(0.19, 0.25))
    count = (3 + (d.uniform() * 3).floor()).clamp(max=5)
    size = radius * d.uniform(0.25, 0.29) * (3 / count) ** 0.6
    span = 3.0 + 0.5 * (count - 3) + d.uniform(0, 0.9)
    segments = lobes(d, count, radius * d.uniform(0.52, 0.62), span, size)
    return cells_with(
        d,
        radius,
        either(banded, band, segments),
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
    nucleus = lobes(d, count, radius * d.uniform(0.5, 0.56), d.uniform(2.1, 3.3), size)
    return cells_with(
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
    nucleus = arc(d, radius * d.uniform(0.3, 0.42), d.uniform(2.4, 4.2), radius * d.uniform(0.32, 0.42))
    return cells_with(
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
    nucleus = round_nucleus(d, radius * share * 0.95, radius * (1 - share) * 0.6, 0.14)
    return cells_with(
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
    nucleus = arc(d, radius * d.uniform(0.26, 0.42), d.uniform(2.0, 4.2), radius * d.uniform(0.3, 0.39))
    return cells_with(
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
    nucleus = round_nucleus(d, radius * share, radius * (1 - share) * 0.75, 0.06)
    return cells_with(
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
"""One function per kind, in their order."""

KINDS = ("basophil", "eosinophil", "erythroblast", "lymphocyte", "monocyte", "neutrophil")
"""The types of cells that are rendered, whatever the classes are that they are told apart as."""


def draw_cells(labels: Tensor, draws: Draws) -> Cells:
    """Parameters of cells of the kinds `labels` `(B,)` (indices into `KINDS`)."""
    parts: list[tuple[Tensor, Cells]] = []
    for label in sorted(set(labels.tolist())):
        rows = (labels == label).nonzero()[:, 0]
        parts.append((rows, GRAMMAR[label](draws.rows(rows))))
    order = torch.cat([rows for rows, _ in parts]).argsort()
    return Cells(
        **{f.name: torch.cat([getattr(cells, f.name) for _, cells in parts])[order] for f in fields(Cells)}
    )
