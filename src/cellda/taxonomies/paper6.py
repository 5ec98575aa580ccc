"""The six classes of the paper (default)."""

from cellda.taxonomies import register
from cellda.taxonomies.base import Taxonomy
from cellda.taxonomies.colours import palette


@register("paper6")
class Paper6(Taxonomy):
    """The six classes of the paper (default)."""

    colours = palette(
        (
            "basophil",
            "eosinophil",
            "erythroblast",
            "lymphocyte",
            "monocyte",
            "neutrophil",
        )
    )
