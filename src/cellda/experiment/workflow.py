"""The doors: one run, and an adaptation to all data of a laboratory."""

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cellda.cluster.place import Here, place_of
from cellda.data.own_cells import image_files
from cellda.data.root import DataRoot
from cellda.datasets.base import CellDataset
from cellda.datasets.reading.account import Account, Tally
from cellda.errors import ConfigurationError
from cellda.experiment.accounts import own_accounts
from cellda.experiment.adaptation import adapted
from cellda.experiment.cross_validation import evidence_of, why_not
from cellda.experiment.departure import Departure
from cellda.experiment.elsewhere import Order, make_elsewhere
from cellda.experiment.keeping import keep
from cellda.experiment.logged import checked_loggers, logged
from cellda.experiment.making import make, make_ready
from cellda.experiment.result import MODEL, RunResult
from cellda.experiment.run import Run
from cellda.experiment.stages import (
    look_back,
)
from cellda.experiment.workspace import Workspace
from cellda.models.classifier import CellClassifier
from cellda.recipe import Recipe
from cellda.runtime.clock import Clock
from cellda.runtime.place import check_apart
from cellda.runtime.storage.store import Store
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
    on: str = "local",
) -> RunResult:
    """Train on the sources or take a trained source model, draw the support set, adapt, predict the query set and measure.

    Finished stages are taken from the store and not run again; an interrupted run resumes where it stopped.

    Args:
        recipe: The recipe.
        target: A registered dataset's name, or a loaded dataset.
        data: Folder that holds one folder per dataset name; synthetic datasets need none.
        store: Where results of stages are kept, a folder or a URL (`s3://...`); by default `$CELLDA_STORE`, else the user's
            cache folder.
        keep_model: Whether to keep the adapted model with the predictions.
        progress: Whether to show progress and a time estimate on standard error.
        log: Loggers that are told what happens (`cellda.tracking`); they change no result, and nothing of what is stored.
        on: Where it runs: `local` (this process), or as `Study.run` says.

    Raises:
        CelldaError: If the combination cannot work or data are invalid; raised before any training.
    """
    loggers, place = checked_loggers(log), place_of(on)
    if loggers and not isinstance(place, Here):
        raise ConfigurationError("Loggers follow a run in this process: leave out log, or on.")
    workspace = Workspace(data, store, progress=progress)
    workspace.data.refresh(target)
    with workspace.display():
        prepared = Run.prepare(recipe, target, workspace)
    trainer = Trainer(recipe.device)
    if not isinstance(place, Here) and not prepared.is_finished(with_model=keep_model):
        failed = make_elsewhere([Order.of(prepared, target, keep_model=keep_model)], [prepared], place)
        for error in failed.values():
            raise error
    with logged(prepared, loggers) as told:
        make_ready([] if prepared.is_finished(with_model=keep_model) else [prepared], trainer)
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
        store: Where results of stages are kept, a folder or a URL (`s3://...`); by default `$CELLDA_STORE`, else the user's
            cache folder.
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
