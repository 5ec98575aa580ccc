"""No search."""

from collections.abc import Iterator
from typing import ClassVar

from cellda.adapters.base import Adapter
from cellda.selection.selectors import register
from cellda.selection.selectors.base import Evidence, Selector, Use


@register("fixed")
class Fixed(Selector):
    """The adapter's own values: no search is made."""

    uses: ClassVar[frozenset[Use]] = frozenset()

    def scores(self, candidate: Adapter, evidence: Evidence) -> Iterator[float]:
        """No scores, because no evidence is used."""
        del candidate, evidence
        return iter(())
