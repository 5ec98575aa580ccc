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

from cellda.errors import ConfigurationError
from cellda.imaging.colour_space import SpaceName, colour_space, shear, unshear, writable
from cellda.imaging.recorded import recording
from cellda.normalizers import register
from cellda.normalizers.families.referenced import Referenced

Positive = Annotated[FiniteFloat, Field(gt=0)]


class Reference(BaseModel):
    """The mean and standard deviation that every image receives, in the coordinates of the colour space."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: tuple[FiniteFloat, FiniteFloat, FiniteFloat]
    std: tuple[Positive, Positive, Positive]


PAPER = Reference(
    mean=(-0.4052762362389589, -0.07202646968215255, 0.01747981861569773),
    std=(0.45889156503010636, 0.15995689328283794, 0.02254376531226124),
)
"""The paper's reference: l-alpha-beta statistics with natural logarithms."""

_MOST_GAIN = 1000.0
"""Largest gain of a deviation. Only rounding errors, as in a grey or constant image, need more."""


@register("reinhard")
class Reinhard(Referenced):
    """Match each image's colour mean and deviation to a reference, in l-alpha-beta or CIELAB (Reinhard 2001).

    For each image and coordinate: subtract the mean, scale by `std_reference / std_image` (sample standard deviations),
    and add the reference's mean. The result is converted to RGB and clipped to [0, 1].

    Args:
        space: `"lalphabeta"`, Ruderman's space with natural logarithms, as in the paper's code; or `"lab"`,
            CIELAB.
        reference: `"paper"`, the authors' statistics (l-alpha-beta only); `"source"`, learned by `fit`; or a
            `Reference` in the coordinates of `space`.
        mask: `"padding"` leaves black padding (see `cellda.imaging.padding`) out of the statistics and fills it
            with the image's own background; `None` uses every pixel. An image that is dark everywhere has no
            smear to measure, and all of it is transformed.

    Raises:
        ConfigurationError: If the paper's reference is requested in CIELAB.

    >>> import torch
    >>> Reinhard()(torch.rand(2, 3, 32, 32)).shape
    torch.Size([2, 3, 32, 32])
    """

    reference_mean: Tensor
    reference_std: Tensor

    def __init__(
        self,
        space: SpaceName = "lalphabeta",
        reference: Literal["paper", "source"] | Reference = "paper",
        mask: Literal["padding"] | None = "padding",
    ) -> None:
        super().__init__(reference_mean=(3,), reference_std=(3,))
        if space == "lab" and reference == "paper":
            raise ConfigurationError(
                "reinhard: reference='paper' (the default) holds l-alpha-beta statistics, which mean nothing in "
                "space='lab'. Use reference='source' to fit it on the source images, give your own mean and "
                "std in CIELAB, or keep space='lalphabeta'."
            )
        self.space = space
        self.reference = reference
        self.mask = mask
        known = {"paper": PAPER, "source": None}[reference] if isinstance(reference, str) else reference
        if known:
            self.reference_mean.copy_(torch.tensor(known.mean))
            self.reference_std.copy_(torch.tensor(known.std))
            self.fitted.fill_(True)

    def fit(self, batches: Iterable[Float[Tensor, "_ 3 _ _"]]) -> None:
        """Learn the reference from source images: the mean of their means and of their standard deviations.

        Statistics are computed per image, because each image is matched to them on its own; pooled pixels would add the
        variation between images. Does nothing unless `reference="source"`.

        Args:
            batches: Tensors `(B, 3, H, W)` in [0, 1]; sizes may differ from batch to batch.

        Raises:
            DataError: If there are no images, or they are not finite.
        """
        if self.reference == "source":
            super().fit(batches)

    def find_smear(self, images: Float[Tensor, "b 3 h w"]) -> Bool[Tensor, "b h w"] | None:
        """The pixels outside black padding; None, for all pixels, with `mask=None`."""
        return None if self.mask is None else super().find_smear(images)

    def require_finite(self, values: Tensor) -> None:
        """Do nothing: `measure` checks its statistics, which saves a pass over the images (a twentieth of the time)."""

    def measure(self, images: Float[Tensor, "b 3 h w"], smear: Bool[Tensor, "b h w"]) -> dict[str, Tensor]:
        """Mean and sample standard deviation in coordinates, and the centred planes that `transfer` uses.

        The deviation is computed from the planes themselves. The covariance of the curve's values also determines it, but
        in float32 the small variance of beta is lost in those of L and M: on real images, RGB was off by 5e-3 instead of
        3e-6.

        Raises:
            DataError: If the images hold NaN or infinite values.
        """
        space = colour_space(self.space, images.device)
        planes = shear(space.curve(images.flatten(2)), space.steps)
        # A recorded graph cannot decide, and masks what may be the whole image.
        if (
            not recording() and smear.view(torch.uint8).amin()
        ):  # the same as `all()`, which takes 40 times as long on a CPU
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
        if not recording():
            super().require_finite(std)
        statistics = zip(self.measures, space.coordinates(mean, std), strict=True)
        return {**dict(statistics), "centred": centred, "std": std}

    def transfer(
        self, images: Float[Tensor, "b 3 h w"], measured: dict[str, Tensor]
    ) -> Float[Tensor, "b 3 h w"]:
        """Scale the centred planes, in place if no gradient is needed, and convert them to RGB."""
        space = colour_space(self.space, images.device)
        mean, std = space.planes(self.reference_mean.to(images), self.reference_std.to(images))
        gain = std / torch.maximum(measured["std"], std / _MOST_GAIN)
        moved = writable(measured["centred"]).mul_(gain[:, :, None]).add_(mean[:, None])
        return space.uncurve(unshear(moved, space.steps)).view(images.shape)

    def extra_repr(self) -> str:
        """The options, as `print(normalizer)` shows them."""
        return f"space={self.space!r}, reference={self.reference!r}, mask={self.mask!r}"
