"""No framing."""

from cellda.framing import register
from cellda.framing.base import Box, Framing, Pixels


@register("none")
class Whole(Framing):
    """Show every image whole, resized without preserving its aspect ratio, as in the paper."""

    cuts = False

    def box(self, image: Pixels) -> Box:
        """The whole image."""
        height, width = image.shape[:2]
        return 0, 0, width, height
