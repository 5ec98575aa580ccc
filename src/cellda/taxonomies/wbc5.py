"""The five white blood cells of a normal differential count."""

from typing import ClassVar

from cellda.taxonomies import register
from cellda.taxonomies.base import Taxonomy


@register("wbc5")
class Wbc5(Taxonomy):
    """The five white blood cells of a normal differential count."""

    colours: ClassVar[dict[str, str]] = {
        "basophil": "#E69F00",
        "eosinophil": "#56B4E9",
        "lymphocyte": "#0072B2",
        "monocyte": "#D55E00",
        "neutrophil": "#CC79A7",
    }
