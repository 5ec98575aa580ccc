"""Random cells."""

import numpy as np

from cellda.suggestion.suggesters import register
from cellda.suggestion.suggesters.base import Cells, Rows, Suggester


@register("random")
class Random(Suggester):
    """Cells drawn at random: what the others are measured against."""

    def chosen(self, cells: Cells, n: int, seed: int) -> Rows:
        """See `Suggester.chosen`."""
        return np.random.default_rng(seed).permutation(cells.free)[:n]
