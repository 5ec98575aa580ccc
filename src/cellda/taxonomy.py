"""The six classes of the paper, and how the names found in the wild fold into them."""

CLASSES: tuple[str, ...] = ("basophil", "eosinophil", "erythroblast", "lymphocyte", "monocyte", "neutrophil")
"""Class names in the order of the class index 0..5."""
