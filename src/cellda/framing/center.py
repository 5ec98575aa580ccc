"""The framing `center`: the middle of the image."""

from typing import Annotated

from pydantic import Field

from cellda.framing import register
from cellda.framing.base import Box, Framing, Pixels


@register("center")
class Center(Framing):
    """Cut a square out of the middle, for cells that lie there at one magnification.

    Args:
        share: Side of the square, as a share of the image's shorter side.
    """

    def __init__(self, share: Annotated[float, Field(gt=0, le=1)] = 1.0) -> None:
        self.share = share

    def box(self, image: Pixels) -> Box:
        """The square in the middle."""
        height, width = image.shape[:2]
        side = max(1, round(self.share * min(height, width)))
        return (width - side) // 2, (height - side) // 2, side, side
