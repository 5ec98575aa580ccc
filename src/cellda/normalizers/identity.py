"""No colour transform."""

from jaxtyping import Bool, Float
from torch import Tensor

from cellda.normalizers import register
from cellda.normalizers.base import Normalizer


@register("identity")
class Identity(Normalizer):
    """Leave the colours unchanged, clipped to [0, 1].

    Padding is kept too: the paper's `no_transform` condition changes nothing in the target's images. A mask has no
    effect.
    """

    def forward(
        self,
        images: Float[Tensor, "b 3 h w"],
        mask: Bool[Tensor, "b h w"] | None = None,  # noqa: ARG002
    ) -> Float[Tensor, "b 3 h w"]:
        """The images, clipped to [0, 1]."""
        return images.clamp(0, 1)
