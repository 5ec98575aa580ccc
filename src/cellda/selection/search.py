"""Hyper-parameter search: Optuna over the ranges an adapter declares, scored by a selector (the paper's: 3 folds)."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import optuna
from optuna.samplers import TPESampler
from optuna.trial import TrialState

from cellda.adapters.base import AdaptContext, Adapter, TargetView
from cellda.data.image_set import ImageSet
from cellda.errors import CelldaError
from cellda.models.classifier import CellClassifier
from cellda.models.finite import DivergedError
from cellda.plugins.settings import Range
from cellda.runtime import progress
from cellda.runtime.events import TrialDone, tell, unheard
from cellda.runtime.work import Stage, Work
from cellda.selection.candidates import Candidates
from cellda.selection.folds import support_folds
from cellda.selection.journal import Journal
from cellda.selection.selectors import create
from cellda.selection.selectors.base import Evidence, Use
from cellda.selection.settings import Search
from cellda.text import counted

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        adapter: The adapter with the best values.
        trials: One record per trial: number, state, score (the selector's, averaged over its rounds), values, seconds.
    """

    adapter: Adapter
    trials: list[dict[str, Any]]


def search(
    adapter: Adapter,
    make_model: Callable[[], CellClassifier],
    target: TargetView,
    context: AdaptContext,
    settings: Search,
    folder: Path,
    measured: Mapping[Use, tuple[ImageSet, ...]] = MappingProxyType({}),
) -> SearchResult:
    """Choose the adapter's tunable values by the scores of a selector, which receives the evidence that it declares.

    The first trial uses the adapter's own values; if they are outside a declared range, they widen it. A trial is stopped
    after a round (a fold of the cross-validation) unless its mean score so far reaches the best score of a finished trial
    after as many rounds (a race, as in Birattari et al. 2002), and immediately if its loss is not finite.
    Finished trials are kept in `folder`, from which an interrupted search resumes.

    Args:
        adapter: The adapter whose declared ranges are searched.
        make_model: Creates a model to adapt, the same one every time.
        target: The support set, and the unlabelled pool if the adapter needs it.
        context: Trainer, seed and source images.
        settings: Budget, selector and folds.
        folder: Folder in which the trials are kept.
        measured: Further images that a selector may use (held-out source cells, pool, query with labels).

    Raises:
        ConfigurationError: If the support set cannot be split into folds.
        CelldaError: If no trial had a finite loss.
    """
    space = adapter.search_space()
    selector = create(settings.selector)
    evidence = _evidence(
        Candidates(adapter, make_model, target, context), target, context, settings, measured
    )
    rounds = selector.rounds(evidence)
    own = adapter.searched()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal = Journal(folder)
    study = journal.study()
    if not study.trials:
        study.enqueue_trial(own)

    def objective(trial: optuna.Trial) -> float:
        values = {name: _suggest(trial, name, allowed, own[name]) for name, allowed in space.items()}
        scores: list[float] = []
        judged = selector.scores(adapter.tuned(values), evidence)
        for number in range(rounds):
            try:
                scores.append(next(judged))
            except DivergedError:
                raise optuna.TrialPruned from None
            trial.report(float(np.mean(scores)), number)
            if number + 1 < rounds and np.mean(scores) < _best(study, number):
                raise optuna.TrialPruned
        return float(np.mean(scores))

    with progress.task(Work(Stage.SEARCH, adapter.name), settings.trials) as advance:
        done = _finished(study)
        advance(done)
        for trial in study.trials:
            _tell(trial)
        while done < settings.trials:
            study.sampler = _sampler(context.seed * 1000 + done, min(10, settings.trials // 2))
            with unheard():
                study.optimize(objective, n_trials=1)
            journal.record()
            _tell(study.trials[-1])
            done = _finished(study)
            advance(1)
    if not any(trial.state is TrialState.COMPLETE for trial in study.trials):
        raise CelldaError(
            f"None of the {counted(settings.trials, 'trial(s)')} of the search for '{adapter.name}' could be trained: the "
            "loss was not "
            "finite in any of them. Check the images and the adapter's own values, which are the first trial."
        )
    best = adapter.tuned(study.best_params)
    return SearchResult(best, [_record(trial) for trial in study.trials if trial.state in FINISHED])


def _evidence(
    candidates: Candidates,
    target: TargetView,
    context: AdaptContext,
    settings: Search,
    measured: Mapping[Use, tuple[ImageSet, ...]],
) -> Evidence:
    """The evidence that the selector declares, and nothing else."""
    uses, support = settings.uses, target.support
    sets = {use: measured[use] for use in uses if use in measured}
    if Use.SUPPORT_LABELS not in uses:
        return Evidence(candidates, sets)
    folds = support_folds(support.labels.numpy(), support.groups, settings.folds, context.seed)
    return Evidence(candidates, {**sets, Use.SUPPORT_LABELS: (support,)}, tuple(folds))


def _sampler(seed: int, random: int) -> TPESampler:
    """Optuna's sampler with every argument stated that is not deprecated, whatever a release makes its defaults.

    It is seeded by trial and considers finished trials alone, so that a resumed search continues exactly like an uninterrupted
    one. With `constant_liar`, the default of optuna 5, a trial that died with its process would push the next ones away.
    """
    return TPESampler(
        seed=seed,
        n_startup_trials=random,
        n_ei_candidates=24,
        multivariate=True,
        group=False,
        constant_liar=False,
    )


def _suggest(trial: optuna.Trial, name: str, allowed: Range, own: Any) -> Any:
    if allowed.choices is not None:
        return trial.suggest_categorical(name, tuple(dict.fromkeys((*allowed.choices, own))))
    # `tunable` refuses anything else.
    assert allowed.low is not None
    assert allowed.high is not None
    low, high = min(allowed.low, own), max(allowed.high, own)
    if allowed.integer:
        return trial.suggest_int(name, int(low), int(high), log=allowed.log)
    return trial.suggest_float(name, low, high, log=allowed.log)


def _best(study: optuna.Study, number: int) -> float:
    """The best mean score that a finished trial had after this round."""
    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return max((trial.intermediate_values[number] for trial in finished), default=-math.inf)


def _tell(trial: optuna.trial.FrozenTrial) -> None:
    if trial.state in FINISHED:
        found = _record(trial)
        tell(TrialDone(found["number"], found["state"], found["score"], found["values"]))


def _finished(study: optuna.Study) -> int:
    return sum(trial.state in FINISHED for trial in study.trials)


def _record(trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    seconds = trial.duration.total_seconds() if trial.duration else None
    score = (
        trial.value
        if trial.value is not None
        else max(trial.intermediate_values.items(), default=(0, None))[1]
    )
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "score": score,
        "values": trial.params,
        "seconds": seconds,
    }
