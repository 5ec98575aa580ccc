"""How far apart true and predicted stages of maturation are: confusing neighbours is a smaller mistake than others."""

from collections import Counter

import pandas as pd
from pydantic import BaseModel, ConfigDict

from cellda.evaluation.predictions import classes_of
from cellda.taxonomies.maturation import stages_apart
from cellda.text import counted


class StageDistance(BaseModel):
    """Distances between the true and the predicted stage, in stages, of cells of which both are stages of one line.

    Attributes:
        cells: Number of these cells.
        mean: Mean number of stages between the two.
        near: Share of the cells with at most one stage between them, in [0, 1].
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cells: int
    mean: float
    near: float

    def __str__(self) -> str:
        return f"{self.mean:.2f} ({self.near:.0%} at most one, {counted(self.cells, 'cell(s)')})"


def stage_distance(predictions: pd.DataFrame) -> StageDistance | None:
    """The distances of the rows of a prediction table; None if its classes hold no two stages of one line.

    Stages that are not classes of the table count: a band is as far from a blast whether or not myelocytes are told apart.
    """
    classes = classes_of(predictions)
    if not any(stages_apart(one, other) for one in classes for other in classes):
        return None
    pairs = Counter(zip(predictions["label"].astype(str), predictions["predicted"].astype(str), strict=True))
    found = [(stages_apart(one, other), number) for (one, other), number in pairs.items()]
    known = [(apart, number) for apart, number in found if apart is not None]
    total = sum(number for _, number in known)
    if not total:
        return None
    return StageDistance(
        cells=total,
        mean=sum(apart * number for apart, number in known) / total,
        near=sum(number for apart, number in known if apart <= 1) / total,
    )
