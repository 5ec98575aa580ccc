"""The six classes of the paper (default)."""

from typing import ClassVar

from cellda.taxonomies import register
from cellda.taxonomies.base import Taxonomy


@register("paper6")
class Paper6(Taxonomy):
    """The six classes of the paper (default)."""

    colours: ClassVar[dict[str, str]] = {
        "basophil": "#E69F00",
        "eosinophil": "#56B4E9",
        "erythroblast": "#009E73",
        "lymphocyte": "#0072B2",
        "monocyte": "#D55E00",
        "neutrophil": "#CC79A7",
    }
