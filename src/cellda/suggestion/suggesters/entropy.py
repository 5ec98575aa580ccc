"""Cells whose class is least known."""

from cellda.suggestion.suggesters import register
from cellda.suggestion.suggesters.base import Cells, Rows, Suggester, most_doubtful


@register("entropy")
class Entropy(Suggester):
    """Cells whose predicted probabilities have the largest entropy.

    Settles: Active learning literature survey. Computer Sciences Technical Report 1648, University of Wisconsin-Madison 2009.
    """

    def chosen(self, cells: Cells, n: int, seed: int) -> Rows:
        """See `Suggester.chosen`."""
        return most_doubtful(cells, "entropy", n, seed)
