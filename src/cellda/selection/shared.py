"""The trials of an asynchronous search: proposed and finished as workers come and go, through Optuna's own storage."""

import math
import warnings
from collections.abc import Sequence

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import NopPruner
from optuna.trial import FrozenTrial, TrialState

from cellda.errors import ConfigurationError
from cellda.runtime.storage.pieces import Pieces
from cellda.runtime.storage.store import digest
from cellda.selection.judge import Judge
from cellda.selection.proposals import distributions_of, sampler, suggested
from cellda.selection.storage import VARIABLE, again, storage_in, storage_name
from cellda.selection.trials import Trial

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
OWN, ASKED, SCORES = "own values", "asked", "scores"
"""What a trial is marked with: that it has the adapter's own values, who asked for it, what it was scored."""


class Shared:
    """The trials of a search by the order in which they were begun.

    A trial is proposed from all that are finished when it begins, and those that are at work push it away; it races against
    those that are finished when it does. Nobody waits for anybody, and the result depends on timing.

    Args:
        judge: Scores values.
        pieces: Of the search.

    Raises:
        ConfigurationError: If the storage cannot be used, or is not the one in which the search was begun.
    """

    def __init__(self, judge: Judge, pieces: Pieces) -> None:
        self._judge, self._distributions = judge, distributions_of(judge.adapter)
        self._name = f"cellda-{digest({'folder': pieces.address})}"
        self._storage, own = storage_in(pieces.folder), storage_name()
        if (begun := pieces.get("storage")) not in {None, own}:
            raise ConfigurationError(
                f"The search in {pieces.address} was begun with its trials in {begun}, and here they would be in {own}: set "
                f"{VARIABLE} as it was, on all workers, or remove that folder to begin again."
            )
        if begun is None:
            pieces.put("storage", own)
        self._study = optuna.create_study(
            storage=self._storage,
            study_name=self._name,
            direction="maximize",
            pruner=NopPruner(),
            load_if_exists=True,
        )

    @property
    def made(self) -> int:
        """How many of them are finished."""
        return min(len(self._finished()), self._judge.settings.trials)

    def one(self, number: int) -> Trial:
        """The finished trial of this number; one more is made if there are not so many."""
        if number >= len(self._finished()):
            self.make(number)
        trial = self._finished()[number]
        seconds = 0.0 if trial.duration is None else trial.duration.total_seconds()
        scores = tuple(trial.user_attrs[SCORES])
        return Trial(trial.params, scores, trial.state is TrialState.COMPLETE, seconds)

    def make(self, number: int) -> None:
        """Make one more trial, unless there are more than `number` already.

        Args:
            number: From 0. Who asks again for the same one was killed in the middle of it: its values are tried again.
        """
        if not self._revived(number) and number < len(self._finished()):
            return
        self._study.sampler = sampler(
            self._judge.seed * 1000 + number, self._judge.settings.trials, liar=True
        )

        def objective(trial: optuna.Trial) -> float:
            trial.set_user_attr(ASKED, number)
            values = suggested(trial, self._distributions)
            scores, complete = self._judge.scores(values, self._best)
            trial.set_user_attr(SCORES, scores)
            found = Trial(values, scores, complete, 0.0)
            for place in range(len(scores)):
                trial.report(found.after(place), place)
            if not complete:
                raise optuna.TrialPruned
            return found.after(len(scores) - 1)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            self._study.optimize(
                objective, n_trials=1
            )  # with signs of life, which `ask` and `tell` do not give

    def forget(self) -> None:
        """Remove the study from its storage."""
        optuna.delete_study(study_name=self._name, storage=self._storage)

    def _revived(self, number: int) -> bool:
        """Whether there is a trial that must be made now: one whose worker died, or the adapter's own values."""
        trials = self._study.get_trials(deepcopy=False)
        died = [
            trial
            for trial in trials
            if trial.state is TrialState.RUNNING and trial.user_attrs.get(ASKED) == number
        ]
        for trial in died:
            self._study.tell(trial.number, state=TrialState.FAIL)
            again(self._study, trial)
        known = any(trial.user_attrs.get(OWN) and trial.state is not TrialState.FAIL for trial in trials)
        if number == 0 and not known and not died:
            self._study.enqueue_trial(self._judge.adapter.searched(), user_attrs={OWN: True})
            return True
        return bool(died)

    def _finished(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=FINISHED)

    def _best(self, number: int) -> float:
        """The best mean score that a complete trial had after this round."""
        complete: Sequence[FrozenTrial] = self._study.get_trials(
            deepcopy=False, states=(TrialState.COMPLETE,)
        )
        return max((trial.intermediate_values[number] for trial in complete), default=-math.inf)
