"""The parameters of cells, and what they have in common; lengths in micrometres."""

from dataclasses import dataclass

import torch
from torch import Tensor

from cellda.datasets.rendering.nuclei import TAU, Chain
from cellda.datasets.rendering.random_numbers import Draws


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


def cells_with(d: Draws, radius: Tensor, nucleus: Chain, **given: Tensor | float) -> Cells:
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
