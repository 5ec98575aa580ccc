"""Differential counts: shares of the classes among many cells, corrected for what a model confuses.

A model that takes one monocyte in five for a neutrophil counts too few monocytes, on every slide. How it confuses classes is
known from labelled cells, each predicted by a model that has not learned from it. With it, the shares that lie behind the
predicted ones can be estimated, whatever they are (label shift). Both are uncertain: few cells are counted, and few are
labelled. The posterior distribution of the shares, given both, is sampled (A. Ziegler, P. Czyz: Bayesian quantification with
black-box estimators, TMLR 2024), by Gibbs sampling:

    shares ~ Dirichlet(1 / K),  row k of the confusion matrix ~ Dirichlet(prior_k),
    labelled cells of class k are predicted by row k, and so are the cells that are counted, of which shares_k are of class k.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cellda.errors import DataError
from cellda.evaluation.predictions import class_indices, classes_of

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CHAINS, BURN_IN, STEPS = 100, 50, 50
"""Chains of the sampler, steps that are left out, and steps that are kept."""
PRIOR = 2.0
"""Labelled cells of a class that what is known of all classes counts for."""
LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class Confusion:
    """What is known of how a model confuses classes.

    Attributes:
        classes: Class names in index order.
        counts: `(classes, classes)` labelled cells; rows are true classes, columns predicted ones.
    """

    classes: tuple[str, ...]
    counts: Ints

    @classmethod
    def of(cls, held: pd.DataFrame) -> "Confusion":
        """That of a prediction table of labelled cells, each predicted by a model that has not learned from it."""
        classes = classes_of(held)
        counts = np.zeros((len(classes),) * 2, dtype=np.int64)
        np.add.at(counts, (class_indices(held), class_indices(held, "predicted")), 1)
        return cls(classes, counts)

    @property
    def prior(self) -> Floats:
        """`(classes, classes)` pseudo-counts: each class is found as often as all are, and taken for any other alike."""
        number = len(self.classes)
        hits = float(np.trace(self.counts))
        found = (hits + 1) / (self.counts.sum() + 2)
        rows: Floats = np.full((number, number), (1 - found) / (number - 1))
        np.fill_diagonal(rows, found)
        return PRIOR * rows


def differential(
    predicted: pd.Series, classes: tuple[str, ...], confusion: Confusion | None, seed: int = 0
) -> pd.DataFrame:
    """The shares of the classes among some cells.

    Args:
        predicted: Predicted class of each cell that is counted.
        classes: Class names, in order.
        confusion: What is known of the model; None if nothing is: then shares are not corrected, and intervals are only those
            of the number of cells.
        seed: Of the sampler.

    Returns:
        One row for each class: `class`, `cells` (predicted), `raw` (their share), `share` (corrected; the raw one without
            `confusion`), and the 95 % interval of the share among all cells of the slide, `low, high`.

    Raises:
        DataError: If there is no cell, or one of an unknown class.
    """
    places = pd.Index(classes).get_indexer(pd.Index(predicted))
    if not len(places):
        raise DataError("There is no cell to count.")
    if (places < 0).any():
        unknown = sorted({str(name) for name in predicted[places < 0]})
        raise DataError(
            f"Cells of classes that the model does not know cannot be counted: {', '.join(unknown)}."
        )
    cells = np.bincount(places, minlength=len(classes)).astype(np.int64)
    drawn = _posterior(cells, confusion, seed)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    low[low < 0.5 / cells.sum()] = 0  # less than half a cell of those counted: the class may be missing
    raw = cells / cells.sum()
    return pd.DataFrame(
        {
            "class": list(classes),
            "cells": cells,
            "raw": raw,
            "share": raw if confusion is None else drawn.mean(0),
            "low": low,
            "high": high,
        }
    )


def _posterior(cells: Ints, confusion: Confusion | None, seed: int) -> Floats:
    """Samples `(S, classes)` of the shares, given how many cells are predicted as each class."""
    rng, number = np.random.default_rng(seed), len(cells)
    if confusion is None:
        return _dirichlet(rng, np.broadcast_to(cells + 1 / number, (CHAINS * STEPS, number)))
    labelled = confusion.counts + confusion.prior
    rows = _dirichlet(rng, np.broadcast_to(labelled, (CHAINS, number, number)))
    shares = np.full((CHAINS, number), 1 / number)
    kept = []
    for step in range(BURN_IN + STEPS):
        joint = shares[:, :, None] * rows  # (chains, true class, predicted class)
        true = (joint / joint.sum(1, keepdims=True)).transpose(0, 2, 1)
        among = rng.multinomial(cells, true).transpose(0, 2, 1)
        shares = _dirichlet(rng, among.sum(2) + 1 / number)
        rows = _dirichlet(rng, labelled + among)
        if step >= BURN_IN:
            kept.append(shares)
    return np.concatenate(kept)


def _dirichlet(rng: np.random.Generator, weights: Floats) -> Floats:
    """Samples of Dirichlet distributions over the last axis."""
    drawn = np.maximum(rng.standard_gamma(weights), 1e-300)
    found: Floats = drawn / drawn.sum(-1, keepdims=True)
    return found


def by_group(
    table: pd.DataFrame, classes: tuple[str, ...], confusion: Confusion | None, seed: int = 0
) -> pd.DataFrame:
    """Differential counts of all cells, of each patient and of each slide.

    Args:
        table: Columns `predicted` (None: not counted) and `group`, whose parts are separated by `/` (`"anna/slide 2"`).
        classes: As of `differential`.
        confusion: As of `differential`.
        seed: As of `differential`.

    Returns:
        The columns of `differential` behind `group`: first all cells (`""`), then each group, from the outermost part on.

    Raises:
        DataError: If there is no cell.
    """
    cells = table[table["predicted"].notna().to_numpy(dtype=bool)]
    parts = [""]
    for group in sorted({str(name) for name in cells["group"] if name}):
        steps = group.split("/")
        parts += ["/".join(steps[: number + 1]) for number in range(len(steps))]
    counted = []
    for part in dict.fromkeys(parts):
        inside = cells if not part else cells[[f"{name}/".startswith(f"{part}/") for name in cells["group"]]]
        found = differential(inside["predicted"], classes, confusion, seed)
        found.insert(0, "group", part)
        counted.append(found)
    return pd.concat(counted, ignore_index=True)


def narrowed(confusion: Confusion, classes: tuple[str, ...]) -> Confusion:
    """The same among some of the classes, of a model that predicts no other."""
    places = [confusion.classes.index(name) for name in classes]
    return Confusion(classes, confusion.counts[np.ix_(places, places)])
