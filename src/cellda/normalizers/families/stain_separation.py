"""The base class of normalizers that separate an image into two dyes and match their colours and amounts to a reference.

Romanowsky stains contain an azure dye (azure B, which stains nuclei, granules and basophilic cytoplasm) and eosin (which
stains red cells and eosinophilic granules). By the Beer-Lambert law, the optical density of a pixel is the sum of the dyes'
densities: `-log(rgb / empty) = colours @ amounts`, where `colours` has one column of length 1 for each dye.
"""

from abc import abstractmethod

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cellda.imaging.padding import background
from cellda.normalizers.families.referenced import Referenced

STAINED = 0.15
"""A pixel is stained where its optical density is above this in every channel, as in Macenko et al.'s code."""
LEAST_STAINED = 16
"""Number of stained pixels below which no dye's colour can be estimated, and the typical colours are used."""
TYPICAL = ((0.56, 0.26), (0.75, 0.77), (0.35, 0.58))
"""Colours of azure B and eosin in red, green and blue; measured colours vary with stain and camera."""
MOST = 0.99
"""Quantile of a dye's amounts that is matched to the reference; below the maximum, to be robust against specks."""
_MOST_GAIN = 10.0


class StainSeparation(Referenced):
    """Separate azure and eosin in each image, and rebuild it with the source's dye colours, amounts and empty smear.

    A dye's amounts are scaled so that their 99th percentile matches that of the source images.
    """

    empty: Tensor
    colours: Tensor
    most: Tensor

    def __init__(self) -> None:
        super().__init__(empty=(3,), colours=(3, 2), most=(2,))

    @abstractmethod
    def dye_colours(
        self, density: Float[Tensor, "b 3 n"], stained: Bool[Tensor, "b n"]
    ) -> Float[Tensor, "b 3 2"]:
        """The two dyes' colours in each image, in any order and length, from the densities of its stained pixels."""

    @torch.no_grad()
    def measure(self, images: Float[Tensor, "b 3 h w"], smear: Bool[Tensor, "b h w"]) -> dict[str, Tensor]:
        """Colour of the empty smear, colours of the dyes, and the 99th percentile of each dye's amounts."""
        empty = background(images, smear)
        density = _density(images, empty)
        stained = (density > STAINED).all(1) & smear.flatten(1)
        enough = (stained.sum(1) >= LEAST_STAINED)[:, None, None]
        typical = density.new_tensor(TYPICAL)
        found = self.dye_colours(density, stained)
        colours = _ordered(torch.where(enough & found.isfinite().all((1, 2), True), found, typical))
        amounts = _amounts(density, colours).masked_fill(~smear.flatten(1)[:, None], torch.nan)
        return {"empty": empty, "colours": colours, "most": torch.nanquantile(amounts, MOST, dim=2)}

    def transfer(
        self, images: Float[Tensor, "b 3 h w"], measured: dict[str, Tensor]
    ) -> Float[Tensor, "b 3 h w"]:
        """Separate the dyes, scale their amounts, and recombine them with the reference's colours."""
        empty, colours, most = (getattr(self, name).to(images) for name in self.measures)
        gain = (most / measured["most"].clamp(min=1e-6)).clamp(1 / _MOST_GAIN, _MOST_GAIN)
        amounts = _amounts(_density(images, measured["empty"]), measured["colours"]) * gain[:, :, None]
        colours = torch.nn.functional.normalize(colours, dim=0)  # a mean of unit vectors is shorter than 1
        passed: Tensor = torch.matmul(colours, amounts).neg().exp().view(images.shape)
        result: Tensor = empty[:, None, None] * passed
        return result


def _density(images: Float[Tensor, "b 3 h w"], empty: Float[Tensor, "b 3"]) -> Float[Tensor, "b 3 n"]:
    """Optical densities relative to the empty smear; 0 for brighter pixels."""
    darkest = 1 / 255
    logs = images.flatten(2).clamp(min=darkest).log()
    return (empty.clamp(min=darkest).log()[:, :, None] - logs).clamp(min=0)


def _amounts(density: Float[Tensor, "b 3 n"], colours: Float[Tensor, "b 3 2"]) -> Float[Tensor, "b 2 n"]:
    """Amounts of the dyes by least squares; negative amounts become 0."""
    return torch.matmul(torch.linalg.pinv(colours), density).clamp(min=0)


def _ordered(colours: Float[Tensor, "b 3 2"]) -> Float[Tensor, "b 3 2"]:
    """Colours of length 1, the azure dye first: the one that absorbs more red light."""
    colours = torch.nn.functional.normalize(colours, dim=1)
    first = colours[:, 0].argmax(1)
    order = torch.stack([first, 1 - first], 1)[:, None].expand_as(colours)
    return colours.gather(2, order)
