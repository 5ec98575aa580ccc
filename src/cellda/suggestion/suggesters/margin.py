"""Cells between two classes."""

from cellda.suggestion.suggesters import register
from cellda.suggestion.suggesters.base import Cells, Rows, Suggester, most_doubtful


@register("margin")
class Margin(Suggester):
    """Cells whose two most probable classes are nearest to each other.

    Scheffer, Decomain, Wrobel: Active hidden Markov models for information extraction. IDA 2001.
    """

    def chosen(self, cells: Cells, n: int, seed: int) -> Rows:
        """See `Suggester.chosen`."""
        return most_doubtful(cells, "margin_sampling", n, seed)
