"""The colour transform of the paper.

Reinhard, Ashikhmin, Gooch, Shirley: Color transfer between images. IEEE Computer Graphics and Applications 21(5),
2001.
"""

from collections.abc import Iterable
from typing import Annotated, Literal

import torch
from jaxtyping import Bool, Float
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat
from torch import Tensor

from cellda.errors import ConfigurationError, DataError
from cellda.imaging.colour_space import SPACES, ColourSpace, SpaceName, shear, unshear, writable
from cellda.imaging.padding import background, find_smear
from cellda.normalizers import register
from cellda.normalizers.base import Normalizer, check_images

Positive = Annotated[FiniteFloat, Field(gt=0)]


class Reference(BaseModel):
    """Mean and standard deviation that every image is brought to, in the coordinates of the colour space."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: tuple[FiniteFloat, FiniteFloat, FiniteFloat]
    std: tuple[Positive, Positive, Positive]


PAPER = Reference(
    mean=(-0.4052762362389589, -0.07202646968215255, 0.01747981861569773),
    std=(0.45889156503010636, 0.15995689328283794, 0.02254376531226124),
)
"""l-alpha-beta statistics (natural logarithm) that the paper's authors bring every image to."""

_MOST_GAIN = 1000.0
"""Deviations are stretched at most so far: what needs more (a grey or constant image) is only rounding."""

_CHUNK_VALUES = 2**20
"""Values worked on at a time on a CPU; the temporaries of so many stay in its cache."""


@register("reinhard")
class Reinhard(Normalizer):
    """Brings each image's colour mean and deviation to a reference, in l-alpha-beta or CIELAB (Reinhard 2001).

    Per image and coordinate: subtract the mean, scale by `std_reference / std_image` (sample standard deviation),
    add the reference's mean; back to RGB, clipped to [0, 1].

    Args:
        space: `"lalphabeta"`, Ruderman's space with natural logarithms, as in the paper's code; or `"lab"`,
            CIELAB.
        reference: `"paper"`, the authors' statistics (l-alpha-beta only); `"source"`, learned by `fit`; or a
            `Reference` in the coordinates of `space`.
        mask: `"padding"` leaves black padding (see `cellda.imaging.padding`) out of the statistics and fills it
            with the image's own background; `None` takes every pixel. An image that is dark all over has no smear
            to measure and is transformed whole.

    Raises:
        ConfigurationError: If the paper's reference is asked for in CIELAB.

    >>> import torch
    >>> Reinhard()(torch.rand(2, 3, 32, 32)).shape
    torch.Size([2, 3, 32, 32])
    """

    reference_mean: Tensor
    reference_std: Tensor
    fitted: Tensor

    def __init__(
        self,
        space: SpaceName = "lalphabeta",
        reference: Literal["paper", "source"] | Reference = "paper",
        mask: Literal["padding"] | None = "padding",
    ) -> None:
        super().__init__()
        if space == "lab" and reference == "paper":
            raise ConfigurationError(
                "reinhard: reference='paper' (the default) holds l-alpha-beta statistics, which mean nothing in "
                "space='lab'. Use reference='source' to fit it on the source images, give a mean and std of your "
                "own in CIELAB, or keep space='lalphabeta'."
            )
        self.space = space
        self.reference = reference
        self.mask = mask
        known = {"paper": PAPER, "source": None}[reference] if isinstance(reference, str) else reference
        self.register_buffer("reference_mean", torch.tensor(known.mean) if known else torch.zeros(3))
        self.register_buffer("reference_std", torch.tensor(known.std) if known else torch.ones(3))
        self.register_buffer("fitted", torch.tensor(known is not None))

    @property
    def needs_fit(self) -> bool:
        """True for `reference="source"` until `fit` has run or a fitted state dict was loaded."""
        return not bool(self.fitted)

    @torch.no_grad()
    def fit(self, batches: Iterable[Float[Tensor, "_ 3 _ _"]]) -> None:
        """Learn the reference from source images: the mean of their means and of their standard deviations.

        Statistics are taken image by image, because single images are brought to them; pooled pixels would add the
        spread between images. Does nothing unless `reference="source"`.

        Args:
            batches: Tensors `(B, 3, H, W)` in [0, 1]; sizes may differ from batch to batch.

        Raises:
            DataError: If there are no images, or they are not finite.
        """
        if self.reference != "source":
            return
        count = 0
        means = torch.zeros(3, dtype=torch.float64)
        stds = torch.zeros(3, dtype=torch.float64)
        for images in batches:
            check_images(images)
            smear = self._smear(images, None)
            for part, inside in _chunks(images, smear):
                _, *statistics = _measure(part, inside, SPACES[self.space])
                mean, std = SPACES[self.space].coordinates(*statistics)
                means += mean.double().sum(0).cpu()
                stds += std.double().sum(0).cpu()
            count += len(images)
        if count == 0:
            raise DataError("reinhard: there are no source images to fit the reference on.")
        if not (means.isfinite().all() and stds.isfinite().all()):
            raise DataError(
                "reinhard: the source images hold NaN or infinite values; the reference was not changed."
            )
        self.reference_mean.copy_(means / count)
        self.reference_std.copy_(stds / count)
        self.fitted.fill_(True)

    def forward(
        self, images: Float[Tensor, "b 3 h w"], mask: Bool[Tensor, "b h w"] | None = None
    ) -> Float[Tensor, "b 3 h w"]:
        """Normalise a batch; computed in float32 at least, returned in the images' dtype and memory format.

        Args:
            images: `(B, 3, H, W)` RGB in [0, 1].
            mask: `(B, H, W)`, true where a pixel belongs to the smear; replaces the search for padding. Pixels
                outside are left out of the statistics and filled with background. An image with fewer than two
                pixels inside is transformed whole.

        Raises:
            ConfigurationError: If the reference is to be fitted on the source and has not been.
            DataError: If the images or the mask have a wrong shape or type.
        """
        if self.needs_fit:
            raise ConfigurationError(
                "reinhard: reference='source' has not been fitted. Call fit(batches) with source images first, "
                "or load the state dict of a fitted normalizer."
            )
        check_images(images, mask)
        smear = self._smear(images, mask)
        # Mixed precision of the surrounding model would round the statistics to 8 bits.
        with torch.autocast(images.device.type, enabled=False):
            precise = _precision(images)
            mean, std = (
                known.to(images.device, precise) for known in (self.reference_mean, self.reference_std)
            )
            target = SPACES[self.space].planes(mean, std)
            if torch.is_grad_enabled() and images.requires_grad:
                return self._transfer(images, smear, target).to(images.dtype)
            result = torch.empty_like(images, dtype=precise)
            start = 0
            for part, inside in _chunks(images, smear):
                self._transfer(part, inside, target, out=result[start : start + len(part)])
                start += len(part)
            return result.to(images.dtype)

    def extra_repr(self) -> str:
        """The options, as `print(normalizer)` shows them."""
        return f"space={self.space!r}, reference={self.reference!r}, mask={self.mask!r}"

    def _smear(
        self, images: Float[Tensor, "b 3 h w"], mask: Bool[Tensor, "b h w"] | None
    ) -> Bool[Tensor, "b h w"] | None:
        if mask is not None:
            return mask | (mask.sum((1, 2)) < 2)[:, None, None]
        return find_smear(images) if self.mask == "padding" else None

    def _transfer(
        self,
        images: Float[Tensor, "b 3 h w"],
        smear: Bool[Tensor, "b h w"] | None,
        target: tuple[Float[Tensor, "3"], Float[Tensor, "3"]],
        out: Float[Tensor, "b 3 h w"] | None = None,
    ) -> Float[Tensor, "b 3 h w"]:
        space = SPACES[self.space]
        target_mean, target_std = target
        planes, _, std = _measure(images, smear, space)
        gain = target_std / torch.maximum(std, target_std / _MOST_GAIN)
        moved = writable(planes).mul_(gain[:, :, None]).add_(target_mean[:, None])
        curved = unshear(moved, space.steps)
        return torch.clamp(space.uncurve(curved).view(images.shape), 0, 1, out=out)


def _precision(images: Tensor) -> torch.dtype:
    return torch.promote_types(images.dtype, torch.float32)


def _chunks(
    images: Float[Tensor, "b 3 h w"], smear: Bool[Tensor, "b h w"] | None
) -> Iterable[tuple[Tensor, Tensor | None]]:
    """Parts of a batch that fit in a CPU's cache, each with its mask where one of its images has one."""
    if len(images) == 0:
        return
    size = max(1, _CHUNK_VALUES // images[0].numel()) if images.device.type == "cpu" else len(images)
    for start in range(0, len(images), size):
        inside = None if smear is None else smear[start : start + size]
        yield images[start : start + size], None if inside is None or bool(inside.all()) else inside


def _measure(
    images: Float[Tensor, "b 3 h w"], smear: Bool[Tensor, "b h w"] | None, space: ColourSpace
) -> tuple[Float[Tensor, "b 3 n"], Float[Tensor, "b 3"], Float[Tensor, "b 3"]]:
    """Centred planes (less their mean over the smear) of all pixels, their mean and sample standard deviation.

    The deviation is taken from the planes themselves. The covariance of the curve's values would give it too, but
    in float32 the small variance of beta drowns there in those of L and M: RGB of real images came out 5e-3 off,
    against 3e-6.
    """
    # Colour by colour in memory, also where images come channels-last.
    rgb = images.to(_precision(images)).contiguous()
    if smear is not None:
        rgb = torch.where(smear[:, None], rgb, background(rgb, smear)[:, :, None, None])
    planes = shear(space.curve(rgb.flatten(2)), space.steps)
    if smear is None:
        mean = planes.mean(2)
        centred = counted = planes.sub_(mean[:, :, None])
        count = centred.new_tensor(centred.shape[2])
    else:
        outside = ~smear.flatten(1)[:, None]
        count = smear.sum((1, 2)).to(planes)[:, None]
        mean = planes.masked_fill(outside, 0).sum(2) / count
        centred = planes.sub_(mean[:, :, None])
        counted = centred.masked_fill(outside, 0)
    std = torch.linalg.vector_norm(counted, dim=2) / (count - 1).clamp(min=1).sqrt()
    return centred, mean, std
