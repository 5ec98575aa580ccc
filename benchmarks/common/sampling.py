"""Samples of cells, for figures and trials on subsets."""

from collections.abc import Sequence

import numpy as np
import pandas as pd


def balanced_sample(labels: Sequence[str], n: int, seed: int = 0) -> list[int]:
    """Positions of at most `n` cells, drawn at random, one of each class in turn as long as there are any.

    Laboratories that are compared then differ in their images and not in how many cells of a class they hold.

    Args:
        labels: Class of each cell.
        n: Number of cells; all of them if there are fewer.
        seed: Seed of the draw.

    Returns:
        Positions in ascending order.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    drawn = pd.Series(np.asarray(labels, dtype=object)[order])
    turn = drawn.groupby(drawn).cumcount().to_numpy()
    return sorted(order[np.argsort(turn, kind="stable")[:n]].tolist())
