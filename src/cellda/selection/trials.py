"""The trials of a search, in batches: each follows from the batches before it, is made once, and is kept."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.pruners import NopPruner
from optuna.trial import FrozenTrial, TrialState, create_trial

from cellda.runtime.storage.pieces import Pieces
from cellda.selection.judge import Judge
from cellda.selection.proposals import distributions_of, sampler, suggested


@dataclass(frozen=True)
class Trial:
    """A finished trial.

    Attributes:
        values: Value of each searched field.
        scores: The selector's, one for each round that was made.
        complete: Whether all rounds were made; otherwise the race or a loss that is not finite has stopped it.
        seconds: Wall time.
    """

    values: Mapping[str, Any]
    scores: tuple[float, ...]
    complete: bool
    seconds: float

    @property
    def state(self) -> str:
        """`"complete"` or `"pruned"`."""
        return "complete" if self.complete else "pruned"

    @property
    def score(self) -> float | None:
        """Mean of the scores; None if there is none."""
        return self.after(len(self.scores) - 1) if self.scores else None

    def after(self, number: int) -> float:
        """Mean of the scores up to this round, which is numbered from 0."""
        return float(np.mean(self.scores[: number + 1]))

    def record(self, number: int) -> dict[str, Any]:
        """As it is recorded: number, state, score, values, seconds."""
        told = {"state": self.state, "score": self.score, "values": dict(self.values)}
        return {"number": number, **told, "seconds": self.seconds}

    def packed(self, distributions: Mapping[str, BaseDistribution]) -> dict[str, Any]:
        """As plain data, from which `unpacked` makes an equal trial; values as Optuna stores them."""
        values = {name: one.to_internal_repr(self.values[name]) for name, one in distributions.items()}
        return {
            "values": values,
            "scores": self.scores,
            "complete": self.complete,
            "seconds": self.seconds,
        }

    @classmethod
    def unpacked(cls, content: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]) -> Self:
        """The trial from what `packed` returned."""
        values = {name: one.to_external_repr(content["values"][name]) for name, one in distributions.items()}
        return cls(values, tuple(content["scores"]), content["complete"], content["seconds"])

    def frozen(self, distributions: Mapping[str, BaseDistribution]) -> FrozenTrial:
        """As Optuna has it."""
        return create_trial(
            state=TrialState.COMPLETE if self.complete else TrialState.PRUNED,
            value=self.score,
            params=dict(self.values),
            distributions=dict(distributions),
            intermediate_values={number: self.after(number) for number in range(len(self.scores))},
        )


class Batches:
    """The trials of a search by their numbers.

    The values of a trial, and what it races against, follow from the seed, its number and the trials of the batches before
    its own. So the trials of a batch can be made in any order and by any process that sees the pieces, and an interrupted
    search resumes exactly.

    Args:
        judge: Scores values.
        pieces: Finished trials are kept among them.
    """

    def __init__(self, judge: Judge, pieces: Pieces) -> None:
        self._judge, self._pieces = judge, pieces
        self._distributions = distributions_of(judge.adapter)

    @property
    def made(self) -> int:
        """How many of them are there."""
        return len(self._pieces)

    def make(self, number: int) -> None:
        """Make a trial, and those it follows from, if they are not there."""
        self.one(number)

    def forget(self) -> None:
        """Nothing is left when the folder is removed."""

    def one(self, number: int) -> Trial:
        """A trial; it is made, after those it follows from, if it is not there."""
        name = f"trial-{number:04d}"
        kept = self._pieces.get(name)
        if kept is not None:
            return Trial.unpacked(kept, self._distributions)
        size = self._judge.settings.batch
        before = [self.one(earlier) for earlier in range(number // size * size)]
        started = time.perf_counter()
        values = self._proposed(number, before)
        scores, complete = self._judge.scores(values, lambda after: _best(before, after))
        trial = Trial(values, scores, complete, time.perf_counter() - started)
        self._pieces.put(name, trial.packed(self._distributions))
        return trial

    def _proposed(self, number: int, before: Sequence[Trial]) -> dict[str, Any]:
        """The values of a trial: the adapter's own for the first one, and then those that Optuna proposes."""
        study = optuna.create_study(
            direction="maximize",
            pruner=NopPruner(),
            sampler=sampler(self._judge.seed * 1000 + number, self._judge.settings.trials),
        )
        study.add_trials([trial.frozen(self._distributions) for trial in before])
        if number == 0:
            study.enqueue_trial(self._judge.adapter.searched())
        return suggested(study.ask(), self._distributions)


def _best(trials: Sequence[Trial], number: int) -> float:
    """The best mean score that a complete trial had after this round."""
    return max((trial.after(number) for trial in trials if trial.complete), default=-math.inf)
