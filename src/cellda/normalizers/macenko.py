"""Stain separation by extreme angles.

Macenko et al.: A method for normalizing histology slides for quantitative analysis. ISBI 2009.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cellda.normalizers import register
from cellda.normalizers.families.stain_separation import StainSeparation

EXTREME = 0.01
"""Share of the stained pixels at either end whose angles are treated as outliers."""


@register("macenko")
class Macenko(StainSeparation):
    """Separate azure and eosin by the extreme angles of optical densities, and match both to the source (Macenko 2009).

    The stained pixels' densities lie near the plane of their first two principal directions. The 1st and the 99th percentile
    of the angle in that plane give the colours of the two dyes. Adapted to blood smears: densities are relative to each
    image's own empty smear instead of a fixed 240, and the reference is the mean of the source images.
    """

    def dye_colours(
        self, density: Float[Tensor, "b 3 n"], stained: Bool[Tensor, "b n"]
    ) -> Float[Tensor, "b 3 2"]:
        """Directions at the extreme angles."""
        count = stained.sum(1).clamp(min=1)[:, None]
        counted = density * stained[:, None]
        centred = (density - counted.sum(2, keepdim=True) / count[:, None]) * stained[:, None]
        _, directions = torch.linalg.eigh(centred @ centred.mT)
        plane = directions[:, :, [2, 1]]  # eigenvalues ascend
        plane = plane * torch.where(plane.sum(1, keepdim=True) < 0, -1.0, 1.0)
        along, across = (plane.mT @ density).unbind(1)
        angles = torch.atan2(across, along).masked_fill(~stained, torch.nan)
        ends = torch.nanquantile(angles, angles.new_tensor([EXTREME, 1 - EXTREME]), dim=1).mT
        return torch.matmul(plane, torch.stack([ends.cos(), ends.sin()], 1)).abs()
