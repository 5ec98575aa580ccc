"""The base class of suggesters, and what they may use."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

import numpy as np
from jaxtyping import Float, Int

from cellda.errors import ConfigurationError
from cellda.text import counted

Rows = Int[np.ndarray, " n"]
"""Rows of `Cells`, in an order that means something."""


@dataclass(frozen=True, eq=False)
class Cells:
    """What a suggester receives. It holds no image, and no label of a cell that is not labelled.

    Attributes:
        embeddings: `(N, D)` of all cells, labelled or not, by the source model.
        probabilities: `(N, K)` of all cells, by the current model (`cellda.suggestion.current`); rows sum to 1.
        rows: `(M,)` rows of the labelled cells, each once.
        labels: `(M,)` their classes, in [0, K).
    """

    embeddings: Float[np.ndarray, "n d"]
    probabilities: Float[np.ndarray, "n k"]
    rows: Int[np.ndarray, " m"]
    labels: Int[np.ndarray, " m"]

    def __len__(self) -> int:
        return len(self.embeddings)

    @property
    def classes(self) -> int:
        """K, the number of classes."""
        return int(self.probabilities.shape[1])

    @property
    def free(self) -> Rows:
        """Rows of the cells without a label, ascending."""
        return np.setdiff1d(np.arange(len(self)), self.rows)

    @property
    def units(self) -> Float[np.ndarray, "n d"]:
        """Embeddings minus their mean, scaled to length 1, so that a shift of the laboratory does not hide what differs."""
        centred = self.embeddings.astype(np.float64) - self.embeddings.mean(0, dtype=np.float64)
        units: np.ndarray = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
        return units

    @property
    def partial_labels(self) -> Float[np.ndarray, " n"]:
        """`(N,)` classes as scikit-activeml takes them: NaN where there is no label."""
        found = np.full(len(self), np.nan)
        found[self.rows] = self.labels
        return found

    def also(self, rows: Rows) -> Self:
        """These cells with further rows that are labelled soon, under the classes that the current model gives them."""
        labels = self.probabilities[rows].argmax(1)
        return replace(self, rows=np.concatenate([self.rows, rows]), labels=np.append(self.labels, labels))


class Suggester(ABC):
    """Chooses the cells to label next.

    Options are the typed keyword arguments of `__init__`. The same cells, number and seed give the same rows.
    """

    name: ClassVar[str]

    @abstractmethod
    def chosen(self, cells: Cells, n: int, seed: int) -> Rows:
        """`n` different rows of cells without a label, in the order in which they should be labelled.

        Args:
            cells: What is known of the cells.
            n: How many; at least 1 and at most `len(cells.free)`.
            seed: Seed of whatever is drawn.
        """

    def suggest(self, cells: Cells, n: int, seed: int = 0) -> Rows:
        """The rows that `chosen` returns, checked.

        Raises:
            ConfigurationError: If there are not so many cells without a label, or the suggester breaks its promise.
        """
        free = cells.free
        if not 1 <= n <= len(free):
            raise ConfigurationError(
                f"{counted(n, 'cell(s)')} cannot be suggested: {counted(len(free), 'cell(s) (has|have)')} no label yet; ask "
                f"for 1 to {len(free)}."
                if len(free)
                else "No cell can be suggested: all of them are labelled."
            )
        rows = np.asarray(self.chosen(cells, n, seed))
        if rows.shape != (n,) or len(np.unique(rows)) != n or not np.isin(rows, free).all():
            raise ConfigurationError(
                f"The suggester '{self.name}' did not return {n} different rows of cells without a label; that is an error "
                "of the suggester."
            )
        return rows


def completed(rows: Rows, cells: Cells, n: int, seed: int) -> Rows:
    """The different rows among some, filled up to `n` with others without a label, drawn at random."""
    different = np.array(list(dict.fromkeys(rows.tolist())), dtype=np.int64)
    others = np.setdiff1d(cells.free, different)
    return np.concatenate([different, np.random.default_rng(seed).permutation(others)])[:n]


def most_doubtful(cells: Cells, measure: Literal["margin_sampling", "entropy"], n: int, seed: int) -> Rows:
    """The cells without a label that the current model doubts most, by a measure of scikit-activeml; ties are drawn."""
    from skactiveml.pool import uncertainty_scores  # heavy

    rows = np.random.default_rng(seed).permutation(cells.free)
    doubts = uncertainty_scores(cells.probabilities[rows].astype(np.float64), method=measure)
    return rows[np.argsort(-doubts, kind="stable")[:n]]
