"""Diverse cells first, doubtful ones later."""

import numpy as np

from cellda.errors import ConfigurationError
from cellda.suggestion.suggesters import create, register
from cellda.suggestion.suggesters.base import Cells, Rows, Suggester


@register("schedule")
class Schedule(Suggester):
    """Diverse cells until there are some labels, doubtful ones afterwards.

    Which is better depends on the number of labels (Hacohen et al.: Active learning on a budget. ICML 2022).

    Args:
        first: The suggester of the first cells.
        then: The suggester of all others.
        switch: Number of labels from which `then` chooses.
    """

    def __init__(self, first: str = "typiclust", then: str = "margin", switch: int = 20) -> None:
        if self.name in (first, then):
            raise ConfigurationError("schedule: `first` and `then` are other suggesters than 'schedule'.")
        self.first, self.then, self.switch = create(first), create(then), switch

    def chosen(self, cells: Cells, n: int, seed: int) -> Rows:
        """See `Suggester.chosen`."""
        diverse = min(n, max(0, self.switch - len(cells.rows)))
        if not diverse:
            return self.then.suggest(cells, n, seed)
        begun = self.first.suggest(cells, diverse, seed)
        if diverse == n:
            return begun
        return np.concatenate([begun, self.then.suggest(cells.also(begun), n - diverse, seed)])
