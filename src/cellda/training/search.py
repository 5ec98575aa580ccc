"""Hyper-parameter search inside the support set: Optuna over the ranges an adapter declares (the paper's 3-fold step)."""

import math
import warnings
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold
from torch import Tensor

from cellda import progress
from cellda.adapters.base import AdaptContext, Adapter, TargetView
from cellda.adapters.features import FeatureAdapter
from cellda.errors import CelldaError, ConfigurationError
from cellda.models.classifier import CellClassifier
from cellda.settings import Range
from cellda.training.loop import DivergedError
from cellda.training.settings import Search

STUDY = "study.log"
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        adapter: The adapter with the best values.
        trials: One record a trial: number, state, score (mean balanced accuracy over the folds), values, seconds.
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
) -> SearchResult:
    """Choose the adapter's tunable values by cross-validation inside the support set; no other label is looked at.

    The first trial is the adapter's own values; where they lie outside a declared range they widen it. A trial is stopped
    after a fold unless its mean score so far reaches the best that a finished trial had after as many folds (a race, as in
    Birattari et al. 2002), and at once if its loss is not finite.
    Finished trials are kept in `folder`, so an interrupted search goes on there.

    Args:
        adapter: Whose declared ranges are searched.
        make_model: Makes a model to adapt, the same every time.
        target: The support set, and the unlabelled pool if the adapter needs it.
        context: Trainer, seed, source.
        settings: Budget and folds.
        folder: Where the trials are kept.

    Raises:
        ConfigurationError: If the support set cannot be split into folds.
        CelldaError: If the loss was not finite in any trial.
    """
    space = adapter.search_space()
    support = target.support
    folds = support_folds(support.labels.numpy(), support.groups, settings.folds, context.seed)
    own = adapter.searched()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    _drop_broken_line(folder / STUDY)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        storage = JournalStorage(JournalFileBackend(str(folder / STUDY)))
        study = optuna.create_study(
            storage=storage,
            study_name="search",
            direction="maximize",
            load_if_exists=True,
        )
    if not any(trial.state in (*FINISHED, TrialState.WAITING) for trial in study.trials):
        study.enqueue_trial(own)

    validate = _validation(adapter, make_model, target, context)

    def objective(trial: optuna.Trial) -> float:
        values = {name: _suggest(trial, name, allowed, own[name]) for name, allowed in space.items()}
        candidate = adapter.tuned(values)
        scores: list[float] = []
        for number, (train, held) in enumerate(folds):
            try:
                found = validate(candidate, train, held)
            except DivergedError:
                raise optuna.TrialPruned from None
            scores.append(balanced_accuracy(support.labels[held].numpy(), found.numpy()))
            trial.report(float(np.mean(scores)), number)
            if number + 1 < len(folds) and np.mean(scores) < _best(study, number):
                raise optuna.TrialPruned
        return float(np.mean(scores))

    with progress.task("searching", settings.trials) as advance:
        done = _finished(study)
        advance(done)
        while done < settings.trials:
            # Seeded by trial, so that a resumed search goes on exactly as an uninterrupted one.
            study.sampler = TPESampler(
                seed=context.seed * 1000 + done, n_startup_trials=min(10, settings.trials // 2)
            )
            study.optimize(objective, n_trials=1)
            done = _finished(study)
            advance(1)
    if not any(trial.state is TrialState.COMPLETE for trial in study.trials):
        raise CelldaError(
            f"None of the {settings.trials} trials of the search for '{adapter.name}' could be trained: the loss was not "
            "finite in any. Look at the images and the adapter's own values, which are the first trial."
        )
    best = adapter.tuned(study.best_params)
    return SearchResult(best, [_record(trial) for trial in study.trials if trial.state in FINISHED])


def _drop_broken_line(log: Path) -> None:
    """Cut a journal behind its last whole line: a process that was killed may have written half of one."""
    if log.exists():
        whole = log.read_bytes().rpartition(b"\n")
        log.write_bytes(whole[0] + whole[1])


def _validation(
    adapter: Adapter, make_model: Callable[[], CellClassifier], target: TargetView, context: AdaptContext
) -> Callable[[Adapter, list[int], list[int]], Tensor]:
    """A function that adapts, with a candidate, to some of the support images and predicts the classes of others.

    What all trials and folds of the adapter share is computed here, once.
    """
    support, trainer = target.support, context.trainer
    if not isinstance(adapter, FeatureAdapter) or type(adapter).adapt is not FeatureAdapter.adapt:

        def by_images(candidate: Adapter, train: list[int], held: list[int]) -> Tensor:
            view = replace(target, support=support.subset(train)).seen_by(candidate)
            model = candidate.adapt(make_model(), view, context.seen_by(candidate))
            return trainer.probabilities(model, support.subset(held)).argmax(1)

        return by_images

    untrained = make_model()
    features = adapter.embedded(untrained, target.seen_by(adapter), context)
    # What is held out is predicted also by a method that does not look at labelled images itself.
    embedded = features.support if len(features.support) else trainer.embeddings(untrained, support)

    def by_features(candidate: Adapter, train: list[int], held: list[int]) -> Tensor:
        assert isinstance(candidate, FeatureAdapter)
        part = features
        if len(features.support):
            part = replace(features, support=features.support[train], labels=features.labels[train])
        head = candidate.fit_head(deepcopy(untrained.head), part, context)
        return trainer.apply(head, embedded[held]).argmax(1)

    return by_features


def support_folds(
    labels: npt.NDArray[np.int64], groups: Sequence[str], folds: int, seed: int
) -> list[tuple[list[int], list[int]]]:
    """Stratified folds of the support set that keep groups together: (training, held-out) positions.

    Cells of a class with fewer cells than folds are always in training, because a fold that held them would leave
    too little to learn the class from; so is the rest of their groups. What a fold does not hold out, it trains on.

    Args:
        labels: `(N,)` class indices.
        groups: Group of each image.
        folds: Number of folds.
        seed: Seed of the split.

    Raises:
        ConfigurationError: If nothing can be held out.
    """
    group_of = np.asarray(groups)
    counts = np.bincount(labels)
    scored = np.flatnonzero(counts[labels] >= folds)
    always = np.flatnonzero(counts[labels] < folds)
    if len(scored) == 0 or len(np.unique(group_of[scored])) < folds:
        raise ConfigurationError(
            f"A search with {folds} folds needs a class with at least {folds} support images in at least {folds} groups; the "
            f"support set has {len(labels)} images in {len(np.unique(group_of))} groups. Label more cells, or set search=None."
        )
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A class may have fewer groups than folds; it is then missing from a fold, which its score tolerates.
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        pairs = splitter.split(scored, labels[scored], group_of[scored])
        held_out = [scored[held] for _, held in pairs]
    kept = set(group_of[always])
    result = []
    for held in held_out:
        free = [int(i) for i in held if group_of[i] not in kept]
        learnt = sorted(set(range(len(labels))) - set(free))
        if free and len(learnt) >= 2:  # BatchNorm cannot train on one
            result.append((learnt, free))
    if not result:
        raise ConfigurationError(
            "No fold of the support set leaves both something to hold out and two images to train on: groups that hold a cell "
            "of a class too rare to split are never held out. Label more cells, or set search=None."
        )
    return result


def balanced_accuracy(truth: np.ndarray, found: np.ndarray) -> float:
    """Mean recall over the classes that occur in `truth`."""
    with warnings.catch_warnings():
        # Predictions of classes that are not held out in this fold are simply wrong.
        warnings.filterwarnings(
            "ignore", message="y_pred contains classes not in y_true", category=UserWarning
        )
        return float(balanced_accuracy_score(truth, found))


def _suggest(trial: optuna.Trial, name: str, allowed: Range, own: Any) -> Any:
    if allowed.choices is not None:
        return trial.suggest_categorical(name, tuple(dict.fromkeys((*allowed.choices, own))))
    assert allowed.low is not None and allowed.high is not None  # noqa: PT018 - `tunable` has refused anything else
    low, high = min(allowed.low, own), max(allowed.high, own)
    if allowed.integer:
        return trial.suggest_int(name, int(low), int(high), log=allowed.log)
    return trial.suggest_float(name, low, high, log=allowed.log)


def _best(study: optuna.Study, fold: int) -> float:
    """The best mean score that a finished trial had after this fold."""
    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return max((trial.intermediate_values[fold] for trial in finished), default=-math.inf)


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
