"""Histogram matching, channel by channel (Gonzalez, Woods: Digital Image Processing, section 3.3)."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cellda.normalizers import register
from cellda.normalizers.families.referenced import Referenced

LEVELS = 256
"""Grey levels of a channel, as in 8-bit images."""


@register("histogram")
class Histogram(Referenced):
    """Give each channel of an image the mean distribution of values in the source images.

    Each grey level covers an interval of the image's cumulative distribution, and becomes the reference's quantile at the
    middle of that interval; between levels the map is linear. The reference is the mean of the source images' quantiles,
    which is the barycentre of their distributions.
    """

    quantiles: Tensor

    def __init__(self) -> None:
        super().__init__(quantiles=(3, LEVELS))

    @torch.no_grad()
    def measure(
        self, images: Float[Tensor, "b 3 h w"], smear: Bool[Tensor, "b h w"]
    ) -> dict[str, Float[Tensor, "b 3 levels"]]:
        """Quantiles at the middles of `LEVELS` equal intervals, and the middle of each level's interval."""
        levels = (images * (LEVELS - 1)).round().clamp(0, LEVELS - 1).long().flatten(2)
        counts = images.new_zeros(*levels.shape[:2], LEVELS)
        counts.scatter_add_(2, levels, smear.flatten(1)[:, None].expand_as(levels).to(images))
        shares = counts / counts.sum(2, keepdim=True)
        cumulative = shares.cumsum(2)
        middles = (torch.arange(LEVELS).to(images) + 0.5) / LEVELS
        # How many levels lie below each; ONNX has no searchsorted.
        below = (cumulative[..., None] < middles).sum(2)
        quantiles = below.clamp(max=LEVELS - 1).to(images) / (LEVELS - 1)
        return {"quantiles": quantiles, "middle": cumulative - shares / 2}

    def transfer(
        self, images: Float[Tensor, "b 3 h w"], measured: dict[str, Tensor]
    ) -> Float[Tensor, "b 3 h w"]:
        """Look up every value, with linear interpolation between grey levels."""
        middle = measured["middle"]
        table = _between(self.quantiles.to(images).expand_as(middle), middle * LEVELS - 0.5)
        return _between(table, images.flatten(2) * (LEVELS - 1)).view(images.shape)


def _between(table: Float[Tensor, "b 3 levels"], places: Float[Tensor, "b 3 n"]) -> Float[Tensor, "b 3 n"]:
    """Values of a table at fractional positions, interpolated linearly; beyond its ends, the values at the ends."""
    places = places.clamp(0, LEVELS - 1)
    low = places.detach().floor().clamp(max=LEVELS - 2).long()
    share = places - low
    return table.gather(2, low) * (1 - share) + table.gather(2, low + 1) * share
