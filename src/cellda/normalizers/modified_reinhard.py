"""Reinhard's transform anchored at the empty smear.

Magee et al.: Colour normalisation in digital histopathology images. OPTIMHisE, MICCAI 2009. They compute separate
statistics for background and stained pixels in l-alpha-beta.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cellda.imaging.colour_space import SPACES, shear, unshear, writable
from cellda.imaging.padding import background
from cellda.normalizers import register
from cellda.normalizers.families.referenced import Referenced

STAINED = 0.15
"""A pixel is stained if the mean logarithm of its channels is lower than that of the empty smear by more than this."""
_MOST_GAIN = 10.0
_SPACE = SPACES["lalphabeta"]


@register("modified_reinhard")
class ModifiedReinhard(Referenced):
    """Match the empty smear's colour, and the deviation of stained pixels from it, to the source (after Magee et al. 2009).

    `y = (x - empty_image) * spread_reference / spread_image + empty_reference` in l-alpha-beta, where `empty` is the colour of
    the empty smear and `spread` the root mean square of `x - empty` over the stained pixels. Neither depends on how much of
    the frame a cell fills. The mean and deviation of all pixels, which Reinhard et al. 2001 match, do.
    """

    empty: Tensor
    spread: Tensor

    def __init__(self) -> None:
        super().__init__(empty=(3,), spread=(3,))

    @torch.no_grad()
    def measure(
        self, images: Float[Tensor, "b 3 h w"], smear: Bool[Tensor, "b h w"]
    ) -> dict[str, Float[Tensor, "b 3"]]:
        """Colour of the empty smear and deviation of stained pixels from it: in l-alpha-beta, and in the space's planes."""
        colours = background(images, smear)
        empty = _planes(colours[:, :, None])
        logs = images.clamp(min=1 / 255).log().mean(1)
        level = colours.clamp(min=1 / 255).log().mean(1)[:, None, None]
        stained = (smear & (logs < level - STAINED)).flatten(1)[:, None]
        departure = (_planes(images.flatten(2)) - empty).square() * stained
        spread = (departure.sum(2) / stained.sum(2).clamp(min=1)).sqrt()
        planes = {"empty_plane": empty[:, :, 0], "spread_plane": spread}
        return dict(zip(self.measures, _SPACE.coordinates(*planes.values()), strict=True)) | planes

    def transfer(
        self, images: Float[Tensor, "b 3 h w"], measured: dict[str, Tensor]
    ) -> Float[Tensor, "b 3 h w"]:
        """Scale deviations from the empty smear's colour; an image without stained pixels is only shifted."""
        spread = measured["spread_plane"]
        empty_reference, spread_reference = _SPACE.planes(self.empty.to(images), self.spread.to(images))
        gain = (spread_reference / spread.clamp(min=1e-6)).clamp(1 / _MOST_GAIN, _MOST_GAIN)
        gain = torch.where(spread.amax(1, keepdim=True) > 0, gain, torch.ones_like(gain))
        moved = (_planes(images.flatten(2)) - measured["empty_plane"][:, :, None]) * gain[:, :, None]
        moved = moved + empty_reference[:, None]
        return _SPACE.uncurve(unshear(writable(moved), _SPACE.steps)).view(images.shape)


def _planes(rgb: Float[Tensor, "b 3 n"]) -> Float[Tensor, "b 3 n"]:
    """Planes of the colour space, which differ from its coordinates in order, scale and offset."""
    return shear(_SPACE.curve(rgb), _SPACE.steps)
