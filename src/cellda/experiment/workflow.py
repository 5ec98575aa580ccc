"""The workflow: prepare, train the source model, draw the support set, search, adapt, predict; results are measured later."""

import platform
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from cellda.adapters import described
from cellda.data.own_cells import image_files
from cellda.data.pixel_cache import decode_all
from cellda.data.root import DataRoot
from cellda.datasets.base import CellDataset
from cellda.datasets.reading.account import Account, Tally
from cellda.experiment.accounts import accounts_of, drawn_of, framing_of, news_of, own_accounts
from cellda.experiment.adaptation import adapted
from cellda.experiment.checks import twins_found
from cellda.experiment.cross_validation import evidence_of, why_not
from cellda.experiment.departure import Departure
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
    look_back,
)
from cellda.experiment.statement import contradicting
from cellda.experiment.workspace import Workspace
from cellda.models.classifier import CellClassifier
from cellda.recipe import Recipe
from cellda.runtime.clock import Clock
from cellda.runtime.place import check_apart
from cellda.runtime.progress import note
from cellda.runtime.store import Store
from cellda.runtime.versions import COMPUTING, versions
from cellda.text import plain
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
    measure: bool = True,
    progress: bool = True,
) -> CellClassifier:
    """Train on the sources and adapt to all data of a laboratory.

    All labelled cells form the support set, and all other images the unlabelled pool; `few_shot` and `pool` are not used. The
    model is measured by cross-validation: five more models learn from four fifths of the labelled cells, groups kept together,
    and predict the others. These predictions are stored with the model (`CellClassifier.evidence`).

    Args:
        recipe: The recipe.
        labelled: The labelled cells: a name (`"folder=~/my_cells"`), a loaded dataset, or None.
        unlabelled: Image files, one cell each, or folders that hold them.
        data: Folder that holds one folder per dataset name.
        store: Where results of stages are kept; by default `$CELLDA_STORE`, else the user's cache folder.
        measure: Whether to measure the model, which takes about five times as long as the adaptation itself.
        progress: Whether to show progress and a time estimate on standard error.

    Returns:
        The adapted classifier, in evaluation mode: `predict` takes image files.

    Raises:
        CelldaError: If the adapter needs data that are not given, or data are invalid; raised before any training.
    """
    workspace = Workspace(data, store, progress=progress)
    return accounted(recipe, labelled, unlabelled, workspace, measure=measure)[0]


def accounted(
    recipe: Recipe,
    labelled: str | CellDataset | None,
    unlabelled: str | Path | Sequence[str | Path],
    workspace: Workspace,
    *,
    measure: bool = True,
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
        prepared = Run.own(recipe, labelled, files, workspace, measured=measure)
    if measure and prepared.draw.support and (line := why_not(prepared)):
        workspace.warn(line)
    trainer = Trainer(recipe.device)
    done = workspace.store.find(ADAPTED, prepared.key) is not None
    make_ready([] if done else [prepared], trainer)

    def build(folder: Path) -> None:
        found = adapted(prepared, trainer, Clock())
        model = found.model
        look_back(prepared, trainer, model)
        model.evidence = evidence_of(prepared, trainer, model, found.held_out)
        keep(model, recipe, folder / MODEL)
        if found.origin is not None:
            found.origin.left_by(trainer.probabilities(model, found.origin.images)).write(folder)

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
        for line in news_of(pending):
            note(line)


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
    found = adapted(prepared, trainer, clock)
    model, adapter = found.model, found.adapter
    with clock.stage("predict"):
        probabilities = trainer.probabilities(model, prepared.query(model.normalizer))
    if keep_model:
        look_back(prepared, trainer, model)
        model.evidence = evidence_of(prepared, trainer, model, found.held_out)
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
        **drawn_of(prepared),
        accounts=tuple(account.brief() for account in accounts_of(prepared)),
        known_to_model=known_to_model(recipe, prepared.target),
        present=recipe.present,
        contradicting=contradicting(recipe, prepared.target, prepared.scored),
        departure=None if found.origin is None else found.origin.left_by(probabilities[found.origin.rows]),
        framed=framed,
        unframed={name: account.missed for name, account in framed.items() if account.missed},
        twins=twins_found((prepared.target, *prepared.sources)),
        selector=None if prepared.search is None else prepared.search.selector,
        oracle=prepared.oracle,
        labels_used=prepared.labels_used,
        image_passes=adapter.image_passes(prepared.offer),
        seconds=clock.seconds,
        trials=tuple(map(Trial.model_validate, found.trials)),
        calibration=model.calibration,
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
    RunResult.write(folder, record, predictions, found.held_out)
