"""The five white blood cells of a normal differential count."""

from cellda.taxonomies import register
from cellda.taxonomies.base import Taxonomy
from cellda.taxonomies.colours import palette


@register("wbc5")
class Wbc5(Taxonomy):
    """The five white blood cells of a normal differential count."""

    colours = palette(
        (
            "basophil",
            "eosinophil",
            "lymphocyte",
            "monocyte",
            "neutrophil",
        )
    )
