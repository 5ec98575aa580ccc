"""Thirteen classes with the stages of neutrophils, as a differential count of a diseased patient lists them."""

from cellda.taxonomies import register
from cellda.taxonomies.base import Taxonomy
from cellda.taxonomies.colours import palette


@register("wbc13")
class Wbc13(Taxonomy):
    """Thirteen classes: stages of neutrophils from blast to segmented, atypical lymphocytes, plasma cells.

    As far as the labels of the paper's ten datasets go. With erythroblasts, so that every class of `paper6` is one of these
    or a sum of some.
    """

    colours = palette(
        (
            "basophil",
            "eosinophil",
            "erythroblast",
            "lymphocyte",
            "atypical lymphocyte",
            "plasma cell",
            "monocyte",
            "blast",
            "promyelocyte",
            "myelocyte",
            "metamyelocyte",
            "band neutrophil",
            "segmented neutrophil",
        )
    )
