"""Differential counts: shares of the classes among many cells, corrected for what a model confuses.

A model that takes one monocyte in five for a neutrophil counts too few monocytes, on every slide. How it confuses classes is
known from labelled cells, each predicted by a model that has not learned from it. With it, the shares that lie behind the
predicted ones can be estimated, whatever they are (label shift). Both are uncertain: few cells are counted, and few are
labelled. The posterior distribution of the shares, given both, is sampled (A. Ziegler, P. Czyz: Bayesian quantification with
black-box estimators, TMLR 2024), by Gibbs sampling:

    shares ~ Dirichlet(1 / K),  row k of the confusion matrix ~ Dirichlet(0.7 for k, 0.3 for all others together),
    labelled cells of class k are predicted by row k, and so are the cells that are counted, of which shares_k are of class k.

Cells of which the model is sure and cells that it doubts are counted apart, each with their own confusion matrix. Labelled
cells are often harder than the counted ones, because people choose doubtful ones: what they say of all cells together would
be wrong of the counted ones.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cellda.errors import DataError
from cellda.evaluation.bootstrap import LEVEL
from cellda.evaluation.exact import of_share
from cellda.evaluation.predictions import class_indices, classes_of, probabilities
from cellda.text import counted

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CHAINS, EM_STEPS, BURN_IN, STEPS = 200, 50, 150, 150
"""Chains of the sampler, steps that find where each begins, steps that are left out, and steps that are kept."""
LEAST, TIMES = 100, 3
"""More cells than `LEAST`, and than `TIMES` the labelled ones, are counted as so many: what few labelled cells leave open is
larger, and the sampler would need more steps."""
FOUND = 0.7
"""What is thought of a class before any cell is labelled: so often it is found, as surely as one labelled cell says."""
SURE = 0.8
"""Confidence from which on the model is sure of a cell."""
FEW, HARDER = 20, 0.1
"""Fewer labelled cells say little of the counted ones; labelled cells of which so many more are wrong than the model doubts of
the counted ones are harder than these."""


@dataclass(frozen=True, eq=False)
class Confusion:
    """What is known of how a model confuses classes.

    Attributes:
        classes: Class names in index order.
        counts: `(2, classes, classes)` labelled cells: those that the model doubts, and those of which it is sure; rows are
            true classes, columns predicted ones.
    """

    classes: tuple[str, ...]
    counts: Ints

    @classmethod
    def of(cls, held: pd.DataFrame) -> "Confusion":
        """That of a prediction table of labelled cells, each predicted by a model that has not learned from it."""
        classes = classes_of(held)
        sure = probabilities(held).max(1) >= SURE
        counts = np.zeros((2, len(classes), len(classes)), dtype=np.int64)
        np.add.at(counts, (sure.astype(int), class_indices(held), class_indices(held, "predicted")), 1)
        return cls(classes, counts)

    def among(self, classes: tuple[str, ...]) -> "Confusion":
        """The same among some of the classes, of a model that predicts no other."""
        places = [self.classes.index(name) for name in classes]
        return Confusion(classes, self.counts[:, places][:, :, places])

    @property
    def prior(self) -> Floats:
        """`(classes, classes)` pseudo-counts, one labelled cell a class."""
        number = len(self.classes)
        rows: Floats = np.full((number, number), (1 - FOUND) / max(1, number - 1))
        np.fill_diagonal(rows, FOUND)
        return rows


def differential(
    table: pd.DataFrame, classes: tuple[str, ...], confusion: Confusion | None, seed: int = 0
) -> pd.DataFrame:
    """The shares of the classes among some cells.

    Args:
        table: The cells that are counted: `predicted`; with `confusion`, `confidence`, the largest probability of each; and
            `certain`, where a person has given some of the classes, so that nothing is to be corrected.
        classes: Class names, in order.
        confusion: What is known of the model; None if nothing is: then shares are not corrected, and intervals are exact ones
            of the number of cells (Clopper-Pearson).
        seed: Of the sampler.

    Returns:
        One row for each class: `class`, `cells` (counted), `raw` (their share), `share` (corrected; the raw one without
            `confusion`), and the 95 % interval of the share among all cells of the slide, `low, high`, which holds `raw`.

    Raises:
        DataError: If there is no cell, or one of an unknown class.
    """
    predicted = table["predicted"]
    places = pd.Index(classes).get_indexer(pd.Index(predicted))
    if not len(places):
        raise DataError("There is no cell to count.")
    if (places < 0).any():
        unknown = sorted({str(name) for name in predicted[places < 0]})
        raise DataError(
            f"Cells of classes that the model does not know cannot be counted: {', '.join(unknown)}."
        )
    cells = np.bincount(places, minlength=len(classes))
    raw = cells / cells.sum()
    if confusion is None:
        low, high = of_share(cells, np.full_like(cells, cells.sum()))
        share = raw
    else:
        certain = np.zeros(len(places), bool)
        if "certain" in table.columns:
            certain = table["certain"].to_numpy(dtype=bool)
        sure = (table["confidence"] >= SURE).to_numpy(dtype=bool)
        rng = np.random.default_rng(seed)
        parts = [
            np.bincount(places[part], minlength=len(classes))
            for part in (certain, ~certain & ~sure, ~certain & sure)
        ]
        weights = _dirichlet(rng, np.broadcast_to([part.sum() for part in parts], (CHAINS * STEPS, 3)))
        drawn = weights[:, :1] * _dirichlet(
            rng, np.broadcast_to(parts[0] + 1 / len(classes), (len(weights), len(classes)))
        )
        for place, told in enumerate(parts[1:]):
            if told.any():
                drawn += weights[:, [place + 1]] * rng.permutation(_posterior(told, confusion, place, rng))
        low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
        low[low < 0.5 / cells.sum()] = 0  # less than half a cell of those counted: the class may be missing
        # What was counted is nearer to the truth, on average, than the corrected share: it is always possible.
        low, high = np.minimum(low, raw), np.maximum(high, raw)
        share = drawn.mean(0)
    return pd.DataFrame(
        {"class": list(classes), "cells": cells, "raw": raw, "share": share, "low": low, "high": high}
    )


def _posterior(cells: Ints, confusion: Confusion, place: int, rng: np.random.Generator) -> Floats:
    """Samples `(S, classes)` of the shares, given how many cells are predicted as each class, and the labelled cells."""
    number, labelled = len(cells), confusion.counts[place] + confusion.prior
    cells = _at_most(cells, max(LEAST, TIMES * int(confusion.counts[place].sum())))
    rows = _dirichlet(rng, np.broadcast_to(labelled, (CHAINS, number, number)))
    shares = _likeliest(cells, rows)
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


def _likeliest(cells: Ints, rows: Floats) -> Floats:
    """For each confusion matrix, the shares that explain the counts best, by EM: where chains begin. `(S, classes)`."""
    shares = np.full(rows.shape[:2], 1 / len(cells))
    for _ in range(EM_STEPS):
        joint = shares[:, :, None] * rows
        shares = (joint / joint.sum(1, keepdims=True) * (cells / cells.sum())).sum(2)
    found: Floats = np.maximum(shares, 1e-6)
    return found


def _at_most(cells: Ints, most: int) -> Ints:
    """Counts with the same shares, of at most so many cells in all."""
    if cells.sum() <= most:
        return cells
    wanted = cells * (most / cells.sum())
    found: Ints = np.floor(wanted).astype(np.int64)
    found[np.argsort(found - wanted, kind="stable")[: most - found.sum()]] += 1
    return found


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
        table: As of `differential`, with cells without a class (None), which are not counted, and `group`, whose parts are
            separated by `/` (`"anna/slide 2"`).
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
        found = differential(inside, classes, confusion, seed)
        found.insert(0, "group", part)
        counted.append(found)
    return pd.concat(counted, ignore_index=True)


def wide(table: pd.DataFrame, confusion: Confusion) -> str:
    """Why intervals are wide, if the labelled cells are harder than the counted ones, or few are like most of these.

    Args:
        table: As of `differential`; cells without a class are passed over.
        confusion: As of `differential`.

    Returns:
        Sentences, without the last point, so that whoever says them adds how; empty if there is nothing to say.
    """
    cells = table[table["predicted"].notna().to_numpy(dtype=bool)]
    total = int(confusion.counts.sum())
    if not len(cells) or not total:
        return ""
    remedy = "so the intervals are wide. Label some cells at random as well"
    sure = (cells["confidence"] >= SURE).to_numpy(dtype=bool)
    larger = int(2 * sure.sum() >= len(sure))
    alike, share = int(confusion.counts[larger].sum()), float((sure == larger).mean())
    if alike < FEW:
        which = "sure" if larger else "not sure"
        return (
            f"The model is {which} of {share:.0%} of the counted cells (from {SURE:.0%} on), but of only "
            f"{counted(alike, 'labelled cell(s)')}, {remedy}"
        )
    right = float(confusion.counts.trace(axis1=1, axis2=2).sum()) / total
    expected = float(cells["confidence"].mean())
    if expected - right <= HARDER:
        return ""
    return (
        f"{right:.0%} of the labelled cells are recognised, but the model is {expected:.0%} sure of the counted ones: the "
        f"labelled cells are harder, {remedy}"
    )
