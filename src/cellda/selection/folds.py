"""Cross-validation inside a support set: its folds and their score."""

import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold

from cellda.errors import ConfigurationError
from cellda.text import counted


def support_folds(
    labels: npt.NDArray[np.int64], groups: Sequence[str], folds: int, seed: int
) -> list[tuple[list[int], list[int]]]:
    """Stratified folds of the support set that keep groups together: (training, held-out) positions.

    Cells of a class with fewer cells than folds are always training cells, because holding them out would leave too few to
    learn the class from; so are all cells of their groups. Everything that a fold does not hold out is used for training.

    Args:
        labels: `(N,)` class indices.
        groups: Group of each image.
        folds: Number of folds.
        seed: Seed of the split.

    Raises:
        ConfigurationError: If no cell can be held out.
    """
    group_of = np.asarray(groups)
    counts = np.bincount(labels)
    scored = np.flatnonzero(counts[labels] >= folds)
    always = np.flatnonzero(counts[labels] < folds)
    if len(scored) == 0 or len(np.unique(group_of[scored])) < folds:
        raise ConfigurationError(
            f"A search with {folds} folds needs a class with at least {folds} support images in at least {folds} groups; the "
            f"support set has {counted(len(labels), 'image(s)')} in {counted(len(np.unique(group_of)), 'group(s)')}. "
            "Label more cells, or set search=None."
        )
    held_out = [scored[held] for _, held in group_folds(labels[scored], group_of[scored], folds, seed)]
    kept = set(group_of[always])
    result = []
    for held in held_out:
        free = [int(i) for i in held if group_of[i] not in kept]
        learnt = sorted(set(range(len(labels))) - set(free))
        if free and len(learnt) >= 2:  # BatchNorm cannot train on a single example
            result.append((learnt, free))
    if not result:
        raise ConfigurationError(
            "No fold of the support set has both held-out images and at least two training images: groups with a cell of a "
            "class too rare to split are never held out. Label more cells, or set search=None."
        )
    return result


def group_folds(
    labels: npt.NDArray[np.int64], groups: npt.NDArray[np.str_], folds: int, seed: int
) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Stratified folds that keep groups together: training and held-out positions.

    A class with fewer images or groups than folds is missing from some folds; that is expected and not warned about.
    """
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        return list(splitter.split(np.zeros(len(labels)), labels, groups))


def balanced_accuracy(truth: np.ndarray, found: np.ndarray) -> float:
    """Mean recall over the classes that occur in `truth`."""
    with warnings.catch_warnings():
        # Predictions of classes that do not occur in this fold count as wrong.
        warnings.filterwarnings(
            "ignore", message="y_pred contains classes not in y_true", category=UserWarning
        )
        return float(balanced_accuracy_score(truth, found))
