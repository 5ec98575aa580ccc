"""The workflow: prepare, train the source model, draw the support set, search, adapt, predict; results are measured later."""

import platform
import warnings
from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from cellda.adapters import described
from cellda.adapters.base import AdaptContext, Adapter, Need, Start, TargetView
from cellda.data.own_cells import image_files
from cellda.data.pixel_cache import decode_all
from cellda.data.root import DataRoot
from cellda.datasets.base import CellDataset
from cellda.datasets.reading.account import PREVIEWS, Account, Tally
from cellda.datasets.reading.cell_table import cell_names
from cellda.experiment.accounts import accounts_of, framed_of, framing_of, own_accounts, previews_of
from cellda.experiment.checks import twins_found
from cellda.experiment.departure import Departure, Origin, origin_of
from cellda.experiment.estimate import estimate
from cellda.experiment.keeping import keep
from cellda.experiment.known_cells import known_to_model
from cellda.experiment.logged import checked_loggers, logged
from cellda.experiment.naming import condition_of
from cellda.experiment.orphans import announce
from cellda.experiment.record import RunRecord, Trial
from cellda.experiment.result import MODEL, RunResult
from cellda.experiment.run import WITH_MODEL, WITHOUT_MODEL, Run
from cellda.experiment.scoring import prediction_table
from cellda.experiment.stages import (
    check_weights,
    fitted_normalizer,
    fresh_model,
    look_back,
    normalizer_state,
    searched,
    source_model,
    source_splits,
)
from cellda.experiment.statement import contradicting
from cellda.experiment.translated import held_out_part, in_target_classes
from cellda.experiment.workspace import Workspace
from cellda.models.classifier import CellClassifier
from cellda.recipe import Recipe
from cellda.runtime.clock import Clock
from cellda.runtime.place import check_apart
from cellda.runtime.progress import note
from cellda.runtime.store import Store
from cellda.runtime.versions import COMPUTING, versions
from cellda.selection.selectors.base import Use
from cellda.text import counted, plain
from cellda.training.loop import Trainer

if TYPE_CHECKING:
    from cellda.tracking.base import Logger

ADAPTED = "adapted"
UNLABELLED = "unlabelled images"


def run(
    recipe: Recipe,
    target: str | CellDataset,
    data: str | Path | DataRoot | None = None,
    *,
    store: Store | str | Path | None = None,
    keep_model: bool = True,
    progress: bool = True,
    log: "Iterable[Logger]" = (),
) -> RunResult:
    """Train on the sources or take a trained source model, draw the support set, adapt, predict the query set and measure.

    Finished stages are taken from the store and not run again; an interrupted run resumes where it stopped.

    Args:
        recipe: The recipe.
        target: A registered dataset's name, or a loaded dataset.
        data: Folder that holds one folder per dataset name; synthetic datasets need none.
        store: Where results of stages are kept; by default `$CELLDA_STORE`, else the user's cache folder.
        keep_model: Whether to keep the adapted model with the predictions.
        progress: Whether to show progress and a time estimate on standard error.
        log: Loggers that are told what happens (`cellda.tracking`); they change no result, and nothing of what is stored.

    Raises:
        CelldaError: If the combination cannot work or data are invalid; raised before any training.
    """
    loggers = checked_loggers(log)
    workspace = Workspace(data, store, progress=progress)
    workspace.data.refresh(target)
    with workspace.display():
        prepared = Run.prepare(recipe, target, workspace)
    trainer = Trainer(recipe.device)
    with logged(prepared, loggers) as told:
        make_ready([prepared] if prepared.finished(with_model=keep_model) is None else [], trainer)
        with workspace.display():
            result = make(prepared, trainer, keep_model=keep_model)
        told.result(prepared, result)
    return result


def adapt(
    recipe: Recipe,
    labelled: str | CellDataset | None = None,
    unlabelled: str | Path | Sequence[str | Path] = (),
    data: str | Path | DataRoot | None = None,
    *,
    store: Store | str | Path | None = None,
    progress: bool = True,
) -> CellClassifier:
    """Train on the sources and adapt to all data of a laboratory; nothing is held out or measured.

    All labelled cells form the support set, and all other images the unlabelled pool; `few_shot` and `pool` are not used. To
    measure such a model, use `run`, which holds out labelled cells.

    Args:
        recipe: The recipe.
        labelled: The labelled cells: a name (`"folder=~/my_cells"`), a loaded dataset, or None.
        unlabelled: Image files, one cell each, or folders that hold them.
        data: Folder that holds one folder per dataset name.
        store: Where results of stages are kept; by default `$CELLDA_STORE`, else the user's cache folder.
        progress: Whether to show progress and a time estimate on standard error.

    Returns:
        The adapted classifier, in evaluation mode: `predict` takes image files.

    Raises:
        CelldaError: If the adapter needs data that are not given, or data are invalid; raised before any training.
    """
    return accounted(recipe, labelled, unlabelled, Workspace(data, store, progress=progress))[0]


def accounted(
    recipe: Recipe,
    labelled: str | CellDataset | None,
    unlabelled: str | Path | Sequence[str | Path],
    workspace: Workspace,
) -> tuple[CellClassifier, Sequence[Account]]:
    """As `adapt`, with the accounts of the labelled cells, if there are any, and of the unlabelled images."""
    workspace.data.refresh(labelled)
    tally = Tally()
    for one in [unlabelled] if isinstance(unlabelled, str | Path) else unlabelled:
        check_apart(workspace.store.root, Path(one), "store")
    files = image_files(unlabelled, tally)
    pool = tally.close(UNLABELLED, len(files))
    workspace.tell(pool)
    with workspace.display():
        prepared = Run.own(recipe, labelled, files, workspace)
    trainer = Trainer(recipe.device)
    done = workspace.store.find(ADAPTED, prepared.key) is not None
    make_ready([] if done else [prepared], trainer)

    def build(folder: Path) -> None:
        model, _, _, origin = adapted(prepared, trainer, Clock())
        look_back(prepared, trainer, model)
        keep(model, recipe, folder / MODEL)
        if origin is not None:
            origin.left_by(trainer.probabilities(model, origin.images)).write(folder)

    with workspace.display():
        folder = workspace.store.build(ADAPTED, prepared.key, build)
        departure = Departure.read(folder)
        for line in [] if departure is None else departure.lines():
            warnings.warn(line, stacklevel=2)
        return CellClassifier.load(folder / MODEL), own_accounts(prepared, pool)


def make_ready(pending: Sequence[Run], trainer: Trainer) -> None:
    """Print the estimated time of unfinished runs, fetch their weights and decode their images, before any training.

    Args:
        pending: Unfinished runs of one workspace.
        trainer: On the device that will be used.

    Raises:
        ConfigurationError: If the store cannot be written, weights cannot be obtained, or images have no room.
        DataError: If images cannot be read; those of all datasets are listed in one error.
    """
    if not pending:
        return
    pending[0].workspace.store.check_writable()
    check_weights(pending)
    announce(pending[0].workspace.store)
    workspace = pending[0].workspace
    if workspace.progress:
        note(estimate(pending, trainer))
    with workspace.display():
        decode_all(wanted for run in pending for wanted in run.images)
    if workspace.progress:
        framed = [item for run in pending for item in framing_of(run).items()]
        for line in dict.fromkeys(line for name, account in framed for line in account.lines(name)):
            note(f"{line}.")
        for dataset, files in {item: None for run in pending for item in previews_of(run).items()}:
            note(f"{dataset}: {counted(len(files), PREVIEWS)} ({files[0]}).")


def make(prepared: Run, trainer: Trainer, *, keep_model: bool) -> RunResult:
    """Make a run, or load it from the store."""
    finished = prepared.finished(with_model=keep_model)
    if finished is not None:
        return RunResult(finished)
    kind = WITH_MODEL if keep_model else WITHOUT_MODEL
    build = prepared.workspace.store.build
    return RunResult(build(kind, prepared.key, lambda folder: _make(prepared, trainer, folder, keep_model)))


def _make(prepared: Run, trainer: Trainer, folder: Path, keep_model: bool) -> None:
    """Run all stages and write the run's files into `folder`."""
    recipe, clock = prepared.recipe, Clock()
    model, adapter, trials, origin = adapted(prepared, trainer, clock)
    with clock.stage("predict"):
        probabilities = trainer.probabilities(model, prepared.query(model.normalizer))
    if keep_model:
        look_back(prepared, trainer, model)
        keep(model, recipe, folder / MODEL)
    condition, framed = condition_of(prepared), framing_of(prepared)
    record = RunRecord(
        digest=prepared.digest,
        condition=condition.name,
        recipe=recipe.model_dump(mode="json"),
        adapter=described(adapter),
        target=plain(prepared.target.full_name),
        draw=recipe.few_shot.draw,
        seed=recipe.seed,
        protocol=recipe.protocol,
        pool=recipe.pool if prepared.uses_pool or recipe.pool == "disjoint" else None,
        versions=versions("cellda", *COMPUTING, *prepared.target.readers),
        device=f"{trainer.device}, {platform.machine()}, {torch.get_num_threads()} threads",
        support_files=tuple(cell_names(prepared.target.table, prepared.draw.support)),
        unsupported=tuple(prepared.draw.unsupported),
        accounts=tuple(account.brief() for account in accounts_of(prepared)),
        known_to_model=known_to_model(recipe, prepared.target),
        present=recipe.present,
        contradicting=contradicting(recipe, prepared.target, prepared.scored),
        departure=None if origin is None else origin.left_by(probabilities[origin.rows]),
        framed=framed,
        unframed={name: account.missed for name, account in framed.items() if account.missed},
        twins=twins_found((prepared.target, *prepared.sources)),
        selector=None if prepared.search is None else prepared.search.selector,
        oracle=prepared.oracle,
        labels_used=prepared.labels_used,
        image_passes=adapter.image_passes(prepared.offer),
        seconds=clock.seconds,
        trials=tuple(map(Trial.model_validate, trials)),
    )
    predictions = prediction_table(
        prepared.target,
        prepared.scored,
        probabilities,
        condition=condition,
        draw=recipe.few_shot.draw,
        seed=recipe.seed,
        protocol=recipe.protocol,
        groups=prepared.draw.groups,
    )
    RunResult.write(folder, record, predictions)


def adapted(
    prepared: Run, trainer: Trainer, clock: Clock
) -> tuple[CellClassifier, Adapter, list[dict[str, Any]], Origin | None]:
    """The adapted model, the adapter with the values that its search chose, all trials of that search, and the origin."""
    recipe = prepared.recipe
    adapter, normalizer = recipe.adapter, recipe.used_target_normalizer
    state = normalizer_state(prepared, normalizer)
    with clock.stage("source"):
        source = source_model(prepared, trainer) if adapter.start is Start.SOURCE else None

    if source is None:
        model = fresh_model(prepared, prepared.taxonomy.classes)
    else:
        model = CellClassifier.load(source).in_classes(prepared.taxonomy, prepared.seed)
    model = model.with_normalizer(normalizer, state)
    framed = framed_of(prepared).get(prepared.target.full_name)
    model.framing_spec = recipe.framing if framed is None else framed.framing
    if recipe.present is not None:
        model = model.with_present(recipe.present)
    with clock.stage("predict"):
        origin = origin_of(prepared, trainer, model)
    pool = prepared.pool(model.normalizer) if Need.UNLABELLED in adapter.needs else None
    target = TargetView(prepared.support(model.normalizer), pool)
    own = fitted_normalizer(prepared, recipe.normalizer) if Need.SOURCE in adapter.needs else None
    sources = () if own is None else prepared.source_sets(own)
    splits = source_splits(prepared, sources) if sources else []
    told = tuple(in_target_classes(prepared, number, images) for number, images in enumerate(sources))
    context = AdaptContext(trainer, prepared.seed, told, held_out_part(prepared, sources, splits))
    # Cells that score trials are not used by them.
    trial = replace(context, held_out=()) if Use.HELD_OUT_SOURCE in prepared.uses else context
    with clock.stage("search"):
        adapter, trials = searched(prepared, lambda: deepcopy(model), target, trial)
    with clock.stage("adapt"):
        model = adapter.apply(model, target, context)
    return model, adapter, trials, origin
