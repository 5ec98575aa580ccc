"""Prepared runs are made: what is said and fetched before any training, then all stages in order, or what is stored."""

from collections.abc import Sequence
from pathlib import Path

from cellda.adapters import described
from cellda.data.pixel_cache import decode_all
from cellda.experiment.accounts import accounts_of, drawn_of, framing_of, news_of
from cellda.experiment.adaptation import adapted
from cellda.experiment.checks import twins_found
from cellda.experiment.cross_validation import evidence_of
from cellda.experiment.estimate import estimate
from cellda.experiment.keeping import keep
from cellda.experiment.known_cells import known_to_model
from cellda.experiment.naming import condition_of
from cellda.experiment.orphans import announce
from cellda.experiment.record import RunRecord, Trial
from cellda.experiment.result import MODEL, RunResult
from cellda.experiment.run import WITH_MODEL, WITHOUT_MODEL, Run
from cellda.experiment.scoring import prediction_table
from cellda.experiment.sharing import check_reach, is_asynchronous
from cellda.experiment.stages import check_weights, look_back
from cellda.experiment.statement import contradicting
from cellda.runtime.clock import Clock
from cellda.runtime.progress import note
from cellda.runtime.versions import COMPUTING, versions
from cellda.selection.storage import check_storage, storage_name
from cellda.text import plain
from cellda.training.loop import Trainer


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
    say_before(pending, trainer)
    workspace = pending[0].workspace
    with workspace.display():
        decode_all(wanted for run in pending for wanted in run.images)
    if workspace.progress:
        for line in news_of(pending):
            note(line)


def say_before(pending: Sequence[Run], trainer: Trainer) -> None:
    """Print the estimated time of unfinished runs on this machine, and fetch their weights.

    Raises:
        ConfigurationError: If the store cannot be written, or weights cannot be obtained.
    """
    workspace = pending[0].workspace
    workspace.store.check_writable()
    check_weights(pending)
    announce(workspace.store)
    if is_asynchronous(pending):
        check_storage()
        check_reach(workspace.store)
        note(
            f"An asynchronous search keeps its trials in {storage_name()}. With several workers, the values that it chooses "
            "depend on which trials end first: a repetition may choose others."
        )
    if workspace.progress:
        note(estimate(pending, trainer))


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
        device=trainer.described,
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
