"""The judge of a search: adapts the model with the values of a trial, and scores it round by round."""

from collections.abc import Callable, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from cellda.adapters.base import AdaptContext, Adapter, TargetView
from cellda.data.image_set import ImageSet
from cellda.models.classifier import CellClassifier
from cellda.models.finite import DivergedError
from cellda.runtime.events import unheard
from cellda.selection.candidates import Candidates
from cellda.selection.folds import support_folds
from cellda.selection.selectors import create
from cellda.selection.selectors.base import Evidence, Use
from cellda.selection.settings import Search

Best = Callable[[int], float]
"""The best mean score that a finished trial had after a round, which is numbered from 0."""


class Judge:
    """Scores values of an adapter with the recipe's selector, which receives the evidence that it declares.

    What all trials share, such as the embeddings of the support set, is computed for the first one.

    Args:
        adapter: The adapter whose declared ranges are searched.
        make_model: Creates a model to adapt, the same one every time.
        target: The support set, and the unlabelled pool if the adapter needs it.
        context: Trainer, seed and source images.
        settings: Budget, selector and folds.
        measured: Further images that a selector may use (held-out source cells, pool, query with labels).
    """

    def __init__(
        self,
        adapter: Adapter,
        make_model: Callable[[], CellClassifier],
        target: TargetView,
        context: AdaptContext,
        settings: Search,
        measured: Mapping[Use, tuple[ImageSet, ...]] = MappingProxyType({}),
    ) -> None:
        self.adapter, self.settings, self.seed = adapter, settings, context.seed
        self._make_model, self._target, self._context, self._measured = make_model, target, context, measured

    def scores(self, values: Mapping[str, Any], best: Best) -> tuple[tuple[float, ...], bool]:
        """The scores of a trial, one per round, and whether it was completed.

        It is stopped after a round (a fold of the cross-validation) unless its mean score so far reaches the best score of a
        finished trial after as many rounds (a race, as in Birattari et al. 2002), and immediately if its loss is not finite.

        Args:
            values: Value of each searched field.
            best: What it races against.

        Raises:
            ConfigurationError: If the support set cannot be split into folds.
        """
        selector = create(self.settings.selector)
        rounds = selector.rounds(self._evidence)
        found: list[float] = []
        judged = selector.scores(self.adapter.tuned(values), self._evidence)
        with unheard():
            for number in range(rounds):
                try:
                    found.append(next(judged))
                except DivergedError:
                    return tuple(found), False
                if number + 1 < rounds and np.mean(found) < best(number):
                    return tuple(found), False
        return tuple(found), True

    @cached_property
    def _evidence(self) -> Evidence:
        """The evidence that the selector declares, and nothing else."""
        candidates = Candidates(self.adapter, self._make_model, self._target, self._context)
        uses, support = self.settings.uses, self._target.support
        sets = {use: self._measured[use] for use in uses if use in self._measured}
        if Use.SUPPORT_LABELS not in uses:
            return Evidence(candidates, sets)
        folds = support_folds(support.labels.numpy(), support.groups, self.settings.folds, self.seed)
        return Evidence(candidates, {**sets, Use.SUPPORT_LABELS: (support,)}, tuple(folds))
