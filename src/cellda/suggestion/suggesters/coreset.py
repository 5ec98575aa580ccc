"""Cells far from all that are labelled."""

import numpy as np

from cellda.suggestion.suggesters import register
from cellda.suggestion.suggesters.base import Cells, Rows, Suggester


@register("coreset")
class CoreSet(Suggester):
    """The cell farthest from all that are labelled or chosen, again and again; needs no labels itself.

    The greedy solution of the k-center problem. Computed by scikit-activeml.

    Sener, Savarese: Active learning for convolutional neural networks: a core-set approach. ICLR 2018.
    """

    def chosen(self, cells: Cells, n: int, seed: int) -> Rows:
        """See `Suggester.chosen`."""
        from skactiveml import pool  # heavy

        return np.asarray(
            pool.CoreSet(random_state=seed).query(cells.units, cells.partial_labels, batch_size=n)
        )
