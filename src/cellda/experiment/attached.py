"""A study whose process is gone, followed on the Dask scheduler on which it goes on."""

import time

from cellda import cluster
from cellda.cluster.place import Scheduler, place_of
from cellda.errors import CelldaError, ConfigurationError
from cellda.experiment.elsewhere import run_task
from cellda.experiment.plan import Plan, Standing, standing
from cellda.runtime import progress as bars
from cellda.runtime.storage.store import Store
from cellda.runtime.work import Stage, Work

OFTEN = 1.0
"""Seconds between two looks at the store."""


def attach(plan: Plan, store: Store, *, progress: bool = True) -> Standing:
    """Show the progress of a study until nothing of it is waiting or at work.

    Args:
        plan: The study; if all its runs are made, its end is noted there.
        store: Where its results are.
        progress: Whether to show bars.

    Returns:
        How far it is then. Runs that are neither made nor failed were stopped: the command that began the study goes on.

    Raises:
        ConfigurationError: If it does not run on a scheduler of its own, or that does not answer.
        CelldaError: If the scheduler is lost.
    """
    place = place_of(plan.on)
    now = standing(plan, store)
    if not (now.waiting or now.running):
        return now
    if not isinstance(place, Scheduler):
        raise ConfigurationError(
            f"The study {plan.name} was begun on {plan.on}, where it ends with the process that began it ({plan.by}): the "
            "same command goes on with it."
        )
    with (
        cluster.workers_at(place) as engine,
        bars.display(progress),
        bars.task(Work(Stage.RUN, plan.name), len(plan.runs)) as advance,
    ):
        engine.listen(bars.mirror())
        shown = 0
        while True:
            # Asked before the store: what ends in between is found there.
            try:
                at_work = engine.known(run_task(run.digest) for run in plan.runs)
            except cluster.LostError:
                raise CelldaError(
                    f"The scheduler {place.address} was lost; the command that began the study {plan.name} goes on with it."
                ) from None
            now = standing(plan, store)
            advance(len(now.done) - shown)
            shown = len(now.done)
            if not at_work:
                break
            time.sleep(OFTEN)
    if len(now.done) == len(plan.runs):
        plan.ended = time.time()
        plan.write(store)
    return now
