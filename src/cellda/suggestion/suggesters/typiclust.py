"""Typical cells of clusters without a label."""

import numpy as np

from cellda.suggestion.suggesters import register
from cellda.suggestion.suggesters.base import Cells, Rows, Suggester, completed


@register("typiclust")
class TypiClust(Suggester):
    """The most typical cell of each of the largest clusters without a label; needs no labels itself.

    There are as many clusters (k-means) as cells that are labelled or asked for. Typicality is the inverse mean distance to
    the nearest neighbours within the cluster. Computed by scikit-activeml.

    Hacohen, Dekel, Weinshall: Active learning on a budget: opposite strategies suit high and low budgets. ICML 2022.

    Args:
        neighbours: Number of nearest neighbours.
    """

    def __init__(self, neighbours: int = 20) -> None:
        self.neighbours = neighbours

    def chosen(self, cells: Cells, n: int, seed: int) -> Rows:
        """See `Suggester.chosen`."""
        from skactiveml import pool  # heavy

        # Of equal embeddings one is enough, and k-means finds no more clusters than there are different ones.
        _, first, place = np.unique(cells.units, axis=0, return_index=True, return_inverse=True)
        place, first = np.argsort(np.argsort(first))[place], np.sort(first)
        known = np.full(len(first), np.nan)
        known[place[cells.rows]] = cells.labels
        most = min(n, int(np.isnan(known).sum()))
        if not most:
            return completed(cells.free[:0], cells, n, seed)
        found = pool.TypiClust(random_state=seed, k=self.neighbours).query(
            cells.units[first], known, batch_size=most
        )
        return completed(first[found], cells, n, seed)
