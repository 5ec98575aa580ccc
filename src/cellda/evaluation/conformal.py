"""Sets of classes that hold the true one with a stated probability: conformal prediction, class by class.

A class is in the set of a cell if the cell is not less like it than nearly all labelled cells of that class, each predicted
by a model that has not learned from it (V. Vovk: Conditional validity of inductive conformal predictors, ACML 2012; computed
with crepes). Each class has a threshold of its own, so that the coverage does not depend on how common the classes are. The
labelled cells are predicted by cross-validation (V. Vovk: Cross-conformal predictors, Annals of Mathematics and Artificial
Intelligence 74, 2015), by models that have learned from fewer cells: sets are a little larger than needed.
"""

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from crepes import ConformalClassifier

from cellda.evaluation.predictions import class_indices, classes_of, probabilities

COVERAGE = 0.9
"""Share of cells whose set holds their class."""


@dataclass(frozen=True, eq=False)
class Sets:
    """How sets are made.

    Attributes:
        classes: Class names in index order.
        coverage: Share of the cells of each class whose set holds it.
        scores: For each class, 1 less the probability of the true class of the cells that decide its threshold.
        shared: Classes with too few labelled cells for a threshold of their own, which have that of all cells: their coverage
            is that of all cells together.
    """

    classes: tuple[str, ...]
    coverage: float
    scores: tuple[npt.NDArray[np.float64], ...]
    shared: tuple[str, ...]

    @classmethod
    def fitted(cls, held: pd.DataFrame, coverage: float = COVERAGE) -> Self:
        """The thresholds of some labelled cells.

        Args:
            held: A prediction table of cells, each predicted by a model that has not learned from it.
            coverage: In (0, 1).
        """
        classes, labels = classes_of(held), class_indices(held)
        every = 1 - probabilities(held).astype(np.float64)[np.arange(len(held)), labels]
        least = needed(coverage)
        own = [every[labels == number] for number in range(len(classes))]
        few = [len(scores) < least for scores in own]
        return cls(
            classes,
            coverage,
            tuple(every if short else scores for scores, short in zip(own, few, strict=True)),
            tuple(name for name, short in zip(classes, few, strict=True) if short),
        )

    def of(self, found: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Which classes are in the set of each cell; the most probable class always is.

        Args:
            found: `(N, classes)` probabilities.

        Returns:
            `(N, classes)`.
        """
        inside = np.zeros(found.shape, dtype=bool)
        for number, scores in enumerate(self.scores):
            # Rounded: the same probability, computed twice, must not fall on both sides of a threshold.
            values = np.round(1 - found[:, number].astype(np.float64), 6)
            distinct, place = np.unique(values, return_inverse=True)
            fitted = ConformalClassifier().fit(np.round(scores, 6))
            p_values = fitted.predict_p(distinct[:, None], smoothing=False)
            inside[:, number] = p_values[place, 0] > 1 - self.coverage + 1e-12
        inside[np.arange(len(found)), found.argmax(1)] = True
        return inside

    def names(self, found: npt.NDArray[Any]) -> list[str]:
        """The sets as text: classes joined by `+`, the most probable first."""
        inside = self.of(found)
        order = np.argsort(-found, axis=1, kind="stable")
        return [
            "+".join(self.classes[number] for number in places if row[number])
            for places, row in zip(order, inside, strict=True)
        ]


def needed(coverage: float) -> int:
    """Labelled cells of a class that it needs for a threshold of its own: with fewer, every set would hold it.

    >>> needed(0.9)
    9
    """
    return math.ceil(1 / (1 - coverage) - 1e-9) - 1


def kept(predictions: pd.DataFrame, inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Whether the set of each row of a prediction table holds its true class `(N,)`."""
    held: npt.NDArray[np.bool_] = inside[np.arange(len(predictions)), class_indices(predictions)]
    return held
