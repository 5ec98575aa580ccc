"""The parts of a run that workers make on their own: trials of its search, folds of its cross-validation.

Each leaves what it found in the working folder of its stage, where the run looks before it makes a part itself. So a run gives
the same with any number of workers, and with none.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from cellda.experiment.beginning import beginning
from cellda.experiment.cross_validation import FOLDS, Folds, parts
from cellda.experiment.run import Run
from cellda.experiment.searching import SEARCH, searched, trials_of
from cellda.runtime.clock import Clock
from cellda.runtime.work import Stage, Work
from cellda.selection.candidates import on_features
from cellda.selection.search import Trials
from cellda.selection.settings import Search
from cellda.training.loop import Trainer

KEPT = 4
"""Runs whose models, images and embeddings a worker keeps for further parts of them."""


class Begun:
    """A run in this process, with what its parts share.

    Args:
        run: The run.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self._beginning = beginning(run, Trainer(run.recipe.device), Clock())

    @cached_property
    def trials(self) -> Trials:
        """The trials of its search."""
        assert self.run.search is not None
        return trials_of(self.run, self._beginning, self.run.search)

    @cached_property
    def folds(self) -> Folds:
        """The folds of its cross-validation, with the values that its search chose."""
        adapter, _ = searched(self.run, self._beginning)
        return Folds(self.run, adapter, self._beginning)


@dataclass(frozen=True)
class Part:
    """A part of a run.

    Attributes:
        name: Names it among all parts of all runs.
        stage: The stage of the store that it belongs to.
        number: Which trial, or which fold.
        total: How many parts this stage has.
        work: What a bar of this stage is called.
        after: Names of the parts that must be made before.
    """

    name: str
    stage: str
    number: int
    total: int
    work: Work
    after: tuple[str, ...]

    def make(self, asked: "Asked") -> int:
        """Make it, unless its whole stage is in the store; how many parts of the stage there are then."""
        begun = _begun(asked)
        if begun.run.workspace.store.has(self.stage, begun.run.key):
            return self.total
        stage: Trials | Folds = begun.trials if self.stage == SEARCH else begun.folds
        stage.make(self.number)
        return stage.made


@dataclass(frozen=True)
class Asked:
    """A run by its digest, and how it is prepared if this process does not have it."""

    digest: str
    prepare: Callable[[], Run] = field(compare=False)


@lru_cache(KEPT)
def _begun(asked: Asked) -> Begun:
    return Begun(asked.prepare())


def parts_of(run: Run) -> list[Part]:
    """The parts of a run, in an order in which they can be made; none if it would rather do them itself.

    A method that only fits the head on embeddings is tried faster than a task is given to a worker, and the folds of a trial
    stay together, because the race may stop it after each.
    """
    if on_features(run.recipe.adapter):
        return []
    found = _trials(run, run.search) if run.search is not None else []
    if run.measured and run.uses_labels and not _stored(run, FOLDS):
        after = tuple(part.name for part in found)
        total, work = len(parts(run)), Work(Stage.CROSS_VALIDATE)
        found += [
            Part(f"fold-{run.digest}-{number}", FOLDS, number, total, work, after) for number in range(total)
        ]
    return found


def _trials(run: Run, search: Search) -> list[Part]:
    if _stored(run, SEARCH):
        return []
    names = [f"trial-{run.digest}-{number}" for number in range(search.trials)]
    work, size = (
        Work(Stage.SEARCH, run.recipe.adapter.name),
        len(names) if search.asynchronous else search.batch,
    )
    return [
        Part(name, SEARCH, number, len(names), work, tuple(names[: number // size * size][-size:]))
        for number, name in enumerate(names)
    ]


def _stored(run: Run, stage: str) -> bool:
    return run.workspace.store.has(stage, run.key)
