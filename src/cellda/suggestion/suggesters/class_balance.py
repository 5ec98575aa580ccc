"""As many cells of each class as the model can find."""

import numpy as np

from cellda.suggestion.suggesters import register
from cellda.suggestion.suggesters.base import Cells, Rows, Suggester


@register("class_balance")
class ClassBalance(Suggester):
    """A random cell among those predicted as the class with fewest labels, again and again.

    A chosen cell counts for the class that the current model gives it. If none is predicted as a class, the class is passed
    over.
    """

    def chosen(self, cells: Cells, n: int, seed: int) -> Rows:
        """See `Suggester.chosen`."""
        rng = np.random.default_rng(seed)
        free = rng.permutation(cells.free)
        predicted = cells.probabilities[free].argmax(1)
        waiting = [free[predicted == label].tolist() for label in range(cells.classes)]
        counts = np.bincount(cells.labels, minlength=cells.classes).astype(np.float64)
        found = []
        for _ in range(n):
            left = [label for label in rng.permutation(cells.classes) if waiting[label]]
            label = min(left, key=lambda one: counts[one])
            found.append(waiting[label].pop())
            counts[label] += 1
        return np.array(found)
