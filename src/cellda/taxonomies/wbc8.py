"""The eight classes of Barcelona and BloodMNIST: the paper's, immature granulocytes and platelets."""

from typing import ClassVar

from cellda.taxonomies import register
from cellda.taxonomies.base import Taxonomy


@register("wbc8")
class Wbc8(Taxonomy):
    """The eight classes of Barcelona and BloodMNIST: the paper's, immature granulocytes and platelets."""

    colours: ClassVar[dict[str, str]] = {
        "basophil": "#E69F00",
        "eosinophil": "#56B4E9",
        "erythroblast": "#009E73",
        "immature granulocyte": "#F0E442",
        "lymphocyte": "#0072B2",
        "monocyte": "#D55E00",
        "neutrophil": "#CC79A7",
        "platelet": "#999999",
    }
