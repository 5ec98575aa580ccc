"""The oracle: the best values that a search could find, chosen by the query labels. An upper bound, not a method.

It is the only place where query labels choose anything. Its results are marked in the record (`oracle`), in the name of the
condition (`<condition>+oracle`), and by a separate column in the leaderboard. Only `Study(..., oracle=True)` can use it.
"""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from cellda.adapters.base import Adapter
from cellda.evaluation.rates import averaged_classes, rates
from cellda.selection.selectors import register
from cellda.selection.selectors.base import Evidence, Selector, Use


@register("oracle")
class Oracle(Selector):
    """Balanced accuracy on the query set: an upper bound, for studies that ask for it."""

    uses: ClassVar[frozenset[Use]] = frozenset({Use.QUERY_LABELS})

    def scores(self, candidate: Adapter, evidence: Evidence) -> Iterator[float]:
        """One score."""
        query = evidence.truth
        said = evidence.candidates.probabilities(candidate, None, query, range(len(query)))
        confusion = np.zeros((said.shape[1], said.shape[1]), dtype=np.int64)
        np.add.at(confusion, (query.labels.numpy(), said.argmax(1).numpy()), 1)
        averaged = averaged_classes(confusion)
        # If no class of the query has five cells, the protocol defines no balanced accuracy; all its classes then count.
        yield float(rates(confusion, averaged if averaged.any() else confusion.sum(1) > 0).balanced_accuracy)
