"""Differential counts: shares of the classes among many cells, corrected for what a model confuses.

A model that takes one monocyte in five for a neutrophil counts too few monocytes, on every slide. How it confuses classes is
known from labelled cells, each predicted by a model that has not learned from it. With it, the shares that lie behind the
predicted ones can be estimated, whatever they are (label shift). Both are uncertain: few cells are counted, and few are
labelled. The posterior distribution of the shares, given both, is sampled (A. Ziegler, P. Czyz: Bayesian quantification with
black-box estimators, TMLR 2024), by Gibbs sampling:

    shares ~ Dirichlet(1 / K),  row k of the confusion matrix ~ Dirichlet(0.7 for k, 0.3 for all others together),
    labelled cells of class k are predicted by row k, and so are the cells that are counted, of which shares_k are of class k.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cellda.errors import DataError
from cellda.evaluation.bootstrap import LEVEL, group_counts
from cellda.evaluation.exact import of_share
from cellda.evaluation.predictions import classes_of

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CHAINS, BURN_IN, STEPS = 100, 150, 150
"""Chains of the sampler, steps that are left out, and steps that are kept."""
MOST = 500
"""More cells are counted as so many: what few labelled cells leave open is larger, and the sampler would need more steps."""
FOUND = 0.7
"""What is thought of a class before any cell is labelled: so often it is found, as surely as one labelled cell says."""


HARDER = 0.1
"""Labelled cells of which the model is by so much less sure than of those that are counted are harder than these."""


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
        return cls(classes_of(held), group_counts(held).sum((0, 1)))

    @property
    def prior(self) -> Floats:
        """`(classes, classes)` pseudo-counts, one labelled cell a class."""
        number = len(self.classes)
        rows: Floats = np.full((number, number), (1 - FOUND) / max(1, number - 1))
        np.fill_diagonal(rows, FOUND)
        return rows


def differential(
    predicted: pd.Series,
    classes: tuple[str, ...],
    confusion: Confusion | None,
    seed: int = 0,
    certain: "pd.Series | None" = None,
) -> pd.DataFrame:
    """The shares of the classes among some cells.

    Args:
        predicted: Class of each cell that is counted.
        classes: Class names, in order.
        confusion: What is known of the model; None if nothing is: then shares are not corrected, and intervals are exact ones
            of the number of cells (Clopper-Pearson).
        seed: Of the sampler.
        certain: Which of the classes a person has given, so that nothing is to be corrected; None for none.

    Returns:
        One row for each class: `class`, `cells` (counted), `raw` (their share), `share` (corrected; the raw one without
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
    sure = np.zeros(len(places), bool) if certain is None else certain.to_numpy(dtype=bool)
    cells, told = (np.bincount(part, minlength=len(classes)) for part in (places, places[~sure]))
    raw = cells / cells.sum()
    if confusion is None:
        low, high = of_share(cells, np.full_like(cells, cells.sum()))
        share = raw
    else:
        part = told.sum() / cells.sum()
        drawn = (cells - told) / cells.sum() + part * _posterior(told, confusion, seed)
        low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
        low[low < 0.5 / cells.sum()] = 0  # less than half a cell of those counted: the class may be missing
        share = drawn.mean(0)
    return pd.DataFrame(
        {"class": list(classes), "cells": cells, "raw": raw, "share": share, "low": low, "high": high}
    )


def _posterior(cells: Ints, confusion: Confusion, seed: int) -> Floats:
    """Samples `(S, classes)` of the shares, given how many cells are predicted as each class."""
    rng, number = np.random.default_rng(seed), len(cells)
    cells = _at_most(cells, MOST)
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
        table: Columns `predicted` (None: not counted), `group`, whose parts are separated by `/` (`"anna/slide 2"`), and
            `certain` where a person has given classes.
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
        certain = inside["certain"] if "certain" in inside.columns else None
        found = differential(inside["predicted"], classes, confusion, seed, certain)
        found.insert(0, "group", part)
        counted.append(found)
    return pd.concat(counted, ignore_index=True)


def narrowed(confusion: Confusion, classes: tuple[str, ...]) -> Confusion:
    """The same among some of the classes, of a model that predicts no other."""
    places = [confusion.classes.index(name) for name in classes]
    return Confusion(classes, confusion.counts[np.ix_(places, places)])


def harder(held: pd.DataFrame, confidence: "pd.Series[float]") -> str:
    """What is said if the labelled cells are harder than those that are counted; empty if they are not.

    Counts are corrected as if the model confused both alike. Cells that were chosen because it doubts them break that.

    Args:
        held: Prediction table of the labelled cells, each predicted by a model that has not learned from it.
        confidence: Largest probability of each cell that is counted.
    """
    right = float((held["label"] == held["predicted"]).mean())
    expected = float(confidence.mean())
    if not expected - right > HARDER:
        return ""
    return (
        f"Do not use the corrected counts: {right:.0%} of the labelled cells are recognised, but the model is "
        f"{expected:.0%} sure of the counted ones. The labelled cells are harder, for example because they were chosen for "
        "being doubtful, so the correction is too large. Label some at random as well (cellda suggest --suggester random)."
    )
