"""The middle of a run: source model, search, adaptation, and the calibration of what comes out."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch

from cellda.adapters.base import Adapter
from cellda.evaluation.calibration import Calibration, fitted, with_confidence
from cellda.evaluation.predictions import class_indices, probabilities
from cellda.experiment.beginning import beginning
from cellda.experiment.cross_validation import cross_validated, why_not
from cellda.experiment.departure import MOST, Origin, origin_of
from cellda.experiment.run import Run
from cellda.experiment.searching import searched
from cellda.models.classifier import CellClassifier
from cellda.runtime.clock import Clock
from cellda.training.loop import Trainer


@dataclass(frozen=True, eq=False)
class Adapted:
    """What an adaptation gives.

    Attributes:
        model: The adapted model.
        adapter: The adapter with the values that its search chose.
        trials: All trials of that search.
        origin: What the source model said of some of the predicted cells; None where there is nothing to compare.
        held_out: The labelled cells, each predicted by a model that has not learned from it, with the probabilities of the
            model before its calibration: a prediction table; None if the run is not measured.
    """

    model: CellClassifier
    adapter: Adapter
    trials: list[dict[str, Any]]
    origin: Origin | None
    held_out: pd.DataFrame | None


def adapted(run: Run, trainer: Trainer, clock: Clock) -> Adapted:
    """Adapt the model of a run."""
    begun = beginning(run, trainer, clock)
    model, target, context = begun.model, begun.target, begun.context
    with clock.stage("predict"):
        origin = origin_of(run, trainer, model)
    with clock.stage("search"):
        adapter, trials = searched(run, begun)
    clock.at_least("search", sum(trial["seconds"] for trial in trials))
    with clock.stage("adapt"):
        found = adapter.apply(deepcopy(model), target, context)
    held = None
    if run.measured:
        with clock.stage("measure"):
            held = cross_validated(run, adapter, begun, found)
        if held is None and run.draw.support:
            run.workspace.warn(why_not(run))
    if run.recipe.calibration != "none":
        with clock.stage("calibrate"):
            found.calibration = _calibration(run, trainer, model, found, held)
    return Adapted(found, adapter, trials, origin, held)


def _calibration(
    run: Run, trainer: Trainer, before: CellClassifier, after: CellClassifier, held: pd.DataFrame | None
) -> Calibration | None:
    """How the probabilities of an adapted model are calibrated; None if they are taken as they are.

    With labels, on the labelled cells, each predicted without it. Without them, an adaptation that makes predictions of a pool
    agree with each other becomes sure of itself without reason: nothing that it has seen says how many are right. So it may
    be as sure as the network was before.
    """
    if run.uses_labels:
        if held is None:
            return None
        return fitted(probabilities(held), class_indices(held), run.recipe.calibration)
    if not run.uses_pool:
        return None
    pool = run.pool(after.normalizer)
    some = pool.subset(torch.linspace(0, len(pool) - 1, min(len(pool), MOST)).round().long())
    before.symmetric = after.symmetric
    sure = trainer.probabilities(before, some).amax(1).mean()
    return with_confidence(trainer.probabilities(after, some).numpy(), float(sure))
