"""The workflow: prepare, train the source, draw the support, search, adapt, predict; measuring happens on the result."""

import platform
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from cellda.adapters import described
from cellda.adapters.base import AdaptContext, Adapter, Need, Start, TargetView
from cellda.data.own_cells import image_files
from cellda.data.pixel_cache import decode_all
from cellda.data.root import DataRoot
from cellda.datasets.base import CellDataset
from cellda.datasets.reading.cell_table import cell_names
from cellda.experiment.estimate import estimate
from cellda.experiment.result import MODEL, RunResult
from cellda.experiment.run import WITH_MODEL, WITHOUT_MODEL, Run
from cellda.experiment.scoring import prediction_table
from cellda.experiment.stages import (
    check_weights,
    fitted_normalizer,
    fresh_model,
    normalizer_state,
    searched,
    source_model,
)
from cellda.models.classifier import CellClassifier
from cellda.presets import condition_of
from cellda.recipe import Recipe
from cellda.runtime import progress as bars
from cellda.runtime.clock import Clock
from cellda.runtime.store import VERSIONS, Store
from cellda.training.loop import Trainer

RECIPE = "recipe.yaml"
ADAPTED = "adapted"


def run(
    recipe: Recipe,
    target: str | CellDataset,
    data: str | Path | DataRoot | None = None,
    *,
    store: Store | str | Path | None = None,
    keep_model: bool = True,
    progress: bool = True,
) -> RunResult:
    """Run a recipe on a target; see `Recipe.run`."""
    case = Run.prepare(recipe, target, data, store if isinstance(store, Store) else Store(store))
    trainer = Trainer(recipe.device)
    make_ready([case] if case.finished(with_model=keep_model) is None else [], trainer, progress)
    with bars.display(progress):
        return run_case(case, trainer, keep_model=keep_model)


def adapt(
    recipe: Recipe,
    labelled: str | CellDataset | None,
    unlabelled: str | Path | Sequence[str | Path],
    data: str | Path | DataRoot | None = None,
    *,
    store: Store | str | Path | None = None,
    progress: bool = True,
) -> CellClassifier:
    """Adapt to all that a laboratory has; see `Recipe.adapt`."""
    place = store if isinstance(store, Store) else Store(store)
    case = Run.own(recipe, labelled, image_files(unlabelled), data, place)
    trainer = Trainer(recipe.device)
    make_ready([] if place.path(ADAPTED, case.key).is_dir() else [case], trainer, progress)

    def make(folder: Path) -> None:
        model, _, _ = adapted(case, trainer, Clock())
        keep(model, recipe, folder / MODEL)

    with bars.display(progress):
        return CellClassifier.load(place.build(ADAPTED, case.key, make) / MODEL)


def make_ready(pending: Sequence[Run], trainer: Trainer, progress: bool) -> None:
    """Say how long unfinished runs will take, and notice weights and images that cannot be had, before any training.

    Raises:
        ConfigurationError: If weights cannot be had.
        DataError: If images cannot be read; those of all datasets are listed.
    """
    check_weights(pending)
    if progress and pending:
        Console(stderr=True).print(estimate(pending, trainer), highlight=False)
    with bars.display(progress):
        decode_all(wanted for case in pending for wanted in case.images)
    if progress:
        for dataset, count in {item: None for case in pending for item in case.unframed.items()}:
            Console(stderr=True).print(
                f"No cell was found in {count} image(s) of {dataset}; they are shown whole.", highlight=False
            )


def run_case(case: Run, trainer: Trainer, *, keep_model: bool) -> RunResult:
    """Make a run, or find it in the store."""
    finished = case.finished(with_model=keep_model)
    if finished is not None:
        return RunResult(finished)
    kind = WITH_MODEL if keep_model else WITHOUT_MODEL
    return RunResult(case.store.build(kind, case.key, lambda folder: _run(case, trainer, folder, keep_model)))


def _run(case: Run, trainer: Trainer, folder: Path, keep_model: bool) -> None:
    """Go through the stages and write the run's files into `folder`."""
    recipe, clock = case.recipe, Clock()
    model, adapter, trials = adapted(case, trainer, clock)
    with clock.stage("predict"):
        probabilities = trainer.probabilities(model, case.query(model.normalizer))
    if keep_model:
        keep(model, recipe, folder / MODEL)
    condition = condition_of(recipe)
    record = {
        "digest": case.digest,
        "condition": condition,
        "recipe": recipe.model_dump(mode="json"),
        "adapter": described(adapter),
        "target": case.target.full_name,
        "draw": recipe.few_shot.draw,
        "seed": recipe.seed,
        "protocol": recipe.protocol,
        "pool": recipe.pool if case.uses_pool or recipe.pool == "disjoint" else None,
        "versions": VERSIONS,
        "device": f"{trainer.device}, {platform.machine()}, {torch.get_num_threads()} threads",
        "support_files": cell_names(case.target.table, case.draw.support),
        "unsupported": list(case.draw.unsupported),
        "unframed": case.unframed,
        "selector": None if case.search is None else case.search.selector,
        "oracle": case.oracle,
        "labels_used": case.labels_used,
        "image_passes": adapter.image_passes(case.offer),
        "seconds": clock.seconds,
        "trials": trials,
    }
    predictions = prediction_table(
        case.target,
        case.scored,
        probabilities,
        condition=condition,
        draw=recipe.few_shot.draw,
        seed=recipe.seed,
        protocol=recipe.protocol,
        groups=case.draw.groups,
    )
    RunResult.write(folder, record, predictions)


def adapted(
    case: Run, trainer: Trainer, clock: Clock
) -> tuple[CellClassifier, Adapter, list[dict[str, Any]]]:
    """The adapted model, the adapter with the values that its search chose, and all trials of that search."""
    recipe = case.recipe
    adapter, normalizer = recipe.adapter, recipe.used_target_normalizer
    state = normalizer_state(case, normalizer)
    with clock.stage("source"):
        source = source_model(case, trainer) if adapter.start is Start.SOURCE else None

    model = fresh_model(case) if source is None else CellClassifier.load(source)
    model = model.with_normalizer(normalizer, state)
    needs = adapter.needs
    target = TargetView(
        support=case.support(model.normalizer),
        unlabelled=case.pool(model.normalizer) if Need.UNLABELLED in needs else None,
    )
    sources = case.source_sets(fitted_normalizer(case, recipe.normalizer)) if Need.SOURCE in needs else ()
    context = AdaptContext(trainer, case.seed, sources)
    with clock.stage("search"):
        adapter, trials = searched(case, lambda: deepcopy(model), target, context)
    with clock.stage("adapt"):
        model = adapter.apply(model, target, context)
    return model, adapter, trials


def keep(model: CellClassifier, recipe: Recipe, folder: Path) -> None:
    """Write a model, and beside it the recipe that made it."""
    model.save(folder)
    (folder / RECIPE).write_text(recipe.to_yaml(), encoding="utf-8")
