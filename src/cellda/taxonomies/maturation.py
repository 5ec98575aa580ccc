"""How far apart two stages of maturation are, so that confusing neighbours counts as less than confusing strangers."""

MATURATION = (
    ("blast", "promyelocyte", "myelocyte", "metamyelocyte", "band neutrophil", "segmented neutrophil"),
    (
        "proerythroblast",
        "basophilic erythroblast",
        "polychromatic erythroblast",
        "orthochromatic erythroblast",
    ),
)
"""Stages in the order in which a cell goes through them: of neutrophils, and of red cells."""


def stages_apart(one: str, other: str) -> int | None:
    """Number of stages between two types of cells; None if they are not stages of one line.

    >>> stages_apart("myelocyte", "band neutrophil"), stages_apart("myelocyte", "monocyte")
    (2, None)
    """
    for line in MATURATION:
        if one in line and other in line:
            return abs(line.index(one) - line.index(other))
    return None
