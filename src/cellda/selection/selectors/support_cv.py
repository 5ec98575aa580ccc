"""The paper's step: cross-validation inside the support set."""

from collections.abc import Iterator
from typing import ClassVar

from cellda.adapters.base import Adapter
from cellda.selection.folds import balanced_accuracy
from cellda.selection.selectors import register
from cellda.selection.selectors.base import Evidence, Selector, Use


@register("support_cv")
class SupportCV(Selector):
    """Balanced accuracy by cross-validation inside the support set (the paper's)."""

    uses: ClassVar[frozenset[Use]] = frozenset({Use.SUPPORT_LABELS})

    def rounds(self, evidence: Evidence) -> int:
        """One round per fold."""
        return len(evidence.folds)

    def scores(self, candidate: Adapter, evidence: Evidence) -> Iterator[float]:
        """Yield one score per fold."""
        support = evidence.support
        for train, held in evidence.folds:
            found = evidence.candidates.probabilities(candidate, train, support, held).argmax(1)
            yield balanced_accuracy(support.labels[held].numpy(), found.numpy())
