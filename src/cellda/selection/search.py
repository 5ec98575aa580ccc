"""Hyper-parameter search: Optuna over the ranges an adapter declares, scored by a selector (the paper's: 3 folds)."""

from dataclasses import dataclass
from typing import Any

from cellda.adapters.base import Adapter
from cellda.errors import CelldaError
from cellda.runtime import progress
from cellda.runtime.events import TrialDone, tell
from cellda.runtime.storage.pieces import Pieces
from cellda.runtime.work import Stage, Work
from cellda.selection.judge import Judge
from cellda.selection.shared import Shared
from cellda.selection.trials import Batches
from cellda.text import counted


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        adapter: The adapter with the best values.
        trials: One record per trial: number, state, score (the selector's, averaged over its rounds), values, seconds.
    """

    adapter: Adapter
    trials: list[dict[str, Any]]


Trials = Batches | Shared
"""The trials of a search: in batches, or asynchronous."""


def kept_in(pieces: Pieces, judge: Judge) -> Trials:
    """The trials of a search that keeps them among these pieces."""
    return Shared(judge, pieces) if judge.settings.asynchronous else Batches(judge, pieces)


def search(judge: Judge, pieces: Pieces) -> SearchResult:
    """Choose the adapter's tunable values by the scores of a selector.

    The first trial uses the adapter's own values. The values of the others are proposed in batches (`Batches`): all those of
    a batch from the state after the batches before it, so that any number of processes chooses the same. In an asynchronous
    search (`Shared`), each is proposed when a process is free, and timing decides.

    Args:
        judge: Scores values of the adapter.
        pieces: Finished trials are kept among them, from which an interrupted search resumes.

    Raises:
        ConfigurationError: If the support set cannot be split into folds.
        CelldaError: If no trial had a finite loss.
    """
    trials, number = kept_in(pieces, judge), judge.settings.trials
    found = []
    with progress.task(Work(Stage.SEARCH, judge.adapter.name), number) as advance:
        for place in range(number):
            found.append(trial := trials.one(place))
            tell(TrialDone(place, trial.state, trial.score, trial.values))
            advance(1)
    complete = [trial for trial in found if trial.complete]
    if not complete:
        raise CelldaError(
            f"None of the {counted(number, 'trial(s)')} of the search for '{judge.adapter.name}' could be trained: the "
            "loss was not finite in any of them. Check the images and the adapter's own values, which are the first trial."
        )
    trials.forget()
    best = max(complete, key=lambda trial: trial.after(len(trial.scores) - 1))
    return SearchResult(
        judge.adapter.tuned(best.values), [trial.record(place) for place, trial in enumerate(found)]
    )
