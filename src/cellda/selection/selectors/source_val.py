"""Validation on the sources."""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from cellda.adapters.base import Adapter
from cellda.selection.selectors import register
from cellda.selection.selectors.base import Evidence, Selector, Use


@register("source_val")
class SourceVal(Selector):
    """Accuracy on held-out source cells after adaptation, averaged over sources; needs no target labels itself."""

    uses: ClassVar[frozenset[Use]] = frozenset({Use.HELD_OUT_SOURCE})

    def scores(self, candidate: Adapter, evidence: Evidence) -> Iterator[float]:
        """One score."""
        right = []
        for images in evidence.held_out:
            found = evidence.candidates.probabilities(candidate, None, images, range(len(images))).argmax(1)
            right.append(float((found == images.labels).double().mean()))
        yield float(np.mean(right))
