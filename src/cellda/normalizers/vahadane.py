"""Stain separation by sparse non-negative matrix factorization.

Vahadane et al.: Structure-preserving color normalization and sparse stain separation for histological images. IEEE
Transactions on Medical Imaging 35(8), 2016.
"""

from typing import Annotated

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from cellda.normalizers import register
from cellda.normalizers.families.stain_separation import TYPICAL, StainSeparation


@register("vahadane")
class Vahadane(StainSeparation):
    """Separate azure and eosin by sparse non-negative factors of density, and match both to the source (Vahadane 2016).

    Minimises `|density - colours @ amounts|^2 / 2 + sparsity * sum(amounts)` over non-negative colours of length 1 and
    non-negative amounts: most pixels hold mainly one dye. Starting from the typical colours, each dye's amounts and colour
    are solved for alternately with the rest held fixed (hierarchical alternating least squares, Cichocki & Phan 2009), for
    all images of a batch at once. Several times slower than `macenko`.

    Args:
        sparsity: Weight of the penalty, in units of density; 0.1 in the paper.
        steps: Number of alternations.
    """

    def __init__(
        self,
        sparsity: Annotated[float, Field(ge=0, le=1)] = 0.1,
        steps: Annotated[int, Field(ge=1, le=2000)] = 50,
    ) -> None:
        super().__init__()
        self.sparsity = sparsity
        self.steps = steps

    def dye_colours(
        self, density: Float[Tensor, "b 3 n"], stained: Bool[Tensor, "b n"]
    ) -> Float[Tensor, "b 3 2"]:
        """The colours of the two dyes: the factor that all pixels share."""
        counted = density * stained[:, None]
        colours = list(
            normalize(density.new_tensor(TYPICAL), dim=0).T[:, None].expand(2, density.shape[0], 3)
        )
        amounts = [torch.zeros_like(density[:, 0]) for _ in colours]
        for _ in range(self.steps):
            overlap = (colours[0] * colours[1]).sum(1, keepdim=True)
            for dye in (0, 1):
                alone = (colours[dye][:, None] @ counted)[:, 0] - overlap * amounts[1 - dye]
                amounts[dye] = (alone - self.sparsity).clamp(min=0)
            shared = (amounts[0] * amounts[1]).sum(1, keepdim=True)
            for dye in (0, 1):
                alone = (counted @ amounts[dye][:, :, None])[:, :, 0] - shared * colours[1 - dye]
                colour = normalize(alone.clamp(min=0), dim=1)
                # A dye that occurs nowhere keeps its colour.
                colours[dye] = torch.where(colour.any(1, keepdim=True), colour, colours[dye])
        return torch.stack(colours, 2)
