"""How far apart two stages of maturation are, so that confusing neighbours counts as less than confusing strangers."""

from functools import cache

from cellda.taxonomies.base import lineage
from cellda.taxonomies.published_names import Names

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
    """Number of stages between two types of cells, by any of their names; None if they are not stages of one line.

    A kind of a stage is that stage: a myeloblast is a blast.

    >>> stages_apart("myelocyte", "Stab"), stages_apart("myelocyte", "monocyte")
    (2, None)
    """
    stages = [_stage(name) for name in (one, other)]
    for line in MATURATION:
        if all(stage in line for stage in stages):
            first, second = (line.index(stage) for stage in stages if stage is not None)
            return abs(first - second)
    return None


@cache
def _stage(name: str) -> str | None:
    """The stage that a name means; None if it means none."""
    names = Names.usual()
    kinds = lineage(names.type_of(name)) if names.knows(name) else []
    return next((kind for kind in kinds for line in MATURATION if kind in line), None)
