"""The eight classes of Barcelona and BloodMNIST: the paper's, immature granulocytes and platelets."""

from cellda.taxonomies import register
from cellda.taxonomies.base import Taxonomy
from cellda.taxonomies.colours import palette


@register("wbc8")
class Wbc8(Taxonomy):
    """The eight classes of Barcelona and BloodMNIST: the paper's, immature granulocytes and platelets."""

    colours = palette(
        (
            "basophil",
            "eosinophil",
            "erythroblast",
            "immature granulocyte",
            "lymphocyte",
            "monocyte",
            "neutrophil",
            "platelet",
        )
    )
