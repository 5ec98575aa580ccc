"""What a study wants, written into the store when it begins: any machine that sees the store can say how far it is."""

import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from cellda.errors import ConfigurationError, DataError, UnknownNameError, nearest
from cellda.experiment.run import WITHOUT_MODEL, Run
from cellda.runtime.storage.files import Listed
from cellda.runtime.storage.inventory import at_work, made
from cellda.runtime.storage.store import Store, digest
from cellda.text import plain

FOLDER = "studies"
"""Folder of the store in which plans are kept."""
LOGS = "logs"
"""Folder of the store in which tasks of workers leave what they print, as `<stage>-<digest>.log`."""


class PlannedRun(BaseModel):
    """One run of a study.

    Attributes:
        digest: Of the run.
        condition, target, draw, seed: What it is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: str
    condition: str
    target: str
    draw: int
    seed: int


class Plan(BaseModel):
    """The runs of a study, who began it, and those that failed.

    Attributes:
        name: Names the study: the same runs have the same name.
        runs: All of its runs.
        begun: When it was begun last, in seconds since 1970.
        by: Host and process that began it.
        on: Where it runs, as `--on`.
        dashboard: Address of Dask's own page; empty if it runs in one process.
        failed: Digest of a run -> why it failed.
        ended: When it ended, in seconds since 1970; None while it is running, or if it was killed.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    runs: tuple[PlannedRun, ...]
    begun: float
    by: str
    on: str
    dashboard: str = ""
    failed: dict[str, str] = {}
    ended: float | None = None

    @classmethod
    def of(cls, runs: Sequence[tuple[str, Run]], on: str) -> Self:
        """The plan of prepared runs with their conditions."""
        planned = tuple(
            PlannedRun(
                digest=run.digest,
                condition=condition,
                target=plain(run.target.full_name),
                draw=run.recipe.few_shot.draw,
                seed=run.recipe.seed,
            )
            for condition, run in runs
        )
        name = digest({"runs": sorted(run.digest for run in planned)})[:8]
        return cls(
            name=name, runs=planned, begun=time.time(), by=f"{socket.gethostname()}:{os.getpid()}", on=on
        )

    def write(self, store: Store) -> None:
        """Write it into the store; an older one of the same runs is replaced."""
        text = self.model_dump_json(indent=2) + "\n"
        store.files.write(f"{FOLDER}/{self.name}.json", text.encode())


@contextmanager
def planned(
    runs: Sequence[tuple[str, Run]], pending: Sequence[tuple[str, Run]], on: str, store: Store
) -> Iterator[Plan]:
    """Context of a study; its plan is in the store while it lasts, and after it, unless nothing is to be done.

    Args:
        runs: All prepared runs with their conditions.
        pending: Those that are not finished.
        on: Where they run.
        store: The store.

    Raises:
        ConfigurationError: If the store cannot be written.
    """
    plan = Plan.of(runs, on)
    if not pending:
        yield plan
        return
    store.check_writable()
    plan.write(store)
    try:
        yield plan
    finally:
        plan.ended = time.time()
        with suppress(OSError, ConfigurationError):  # a full disk is said by what it stopped
            plan.write(store)


@dataclass(frozen=True)
class Standing:
    """How far a study is.

    Attributes:
        done, running, failed, waiting: Its runs.
        seconds_left: How long it still takes at the speed of the runs that it has made; None if it has made none, or ended.
    """

    done: tuple[PlannedRun, ...]
    running: tuple[PlannedRun, ...]
    failed: Mapping[PlannedRun, str]
    waiting: tuple[PlannedRun, ...]
    seconds_left: float | None


def plans(store: Store) -> list[Plan]:
    """All plans in a store, the one that was begun last first.

    Raises:
        DataError: If one cannot be read.
    """
    found = []
    for one in store.files.listed(FOLDER):
        if not one.name.endswith(".json"):
            continue
        try:
            content = store.files.read(one.name)
            if content is not None:
                found.append(Plan.model_validate_json(content))
        except (OSError, ValidationError) as error:
            raise DataError(
                f"The study in {store}/{one.name} cannot be read ({error}); remove the file."
            ) from None
    return sorted(found, key=lambda plan: -plan.begun)


def plan_of(store: Store, name: str | None) -> Plan:
    """A study of a store by its name; the last one without.

    Raises:
        UnknownNameError: If there is none.
    """
    found = plans(store)
    if not found:
        raise UnknownNameError(f"No study was run in the store {store}.")
    if name is None:
        return found[0]
    names = [plan.name for plan in found]
    if name not in names:
        raise UnknownNameError(f"There is no study '{name}' in the store {store}; {nearest(name, names)}")
    return found[names.index(name)]


def standing(plan: Plan, store: Store) -> Standing:
    """How far a study is, from what is in the store now."""
    finished, begun = made(store, WITHOUT_MODEL), at_work(store, WITHOUT_MODEL)
    done, running, waiting = [], [], []
    failed: dict[PlannedRun, str] = {}
    lately = 0
    for run in plan.runs:
        if run.digest in finished:
            done.append(run)
            lately += finished[run.digest] >= plan.begun
        elif run.digest in begun:
            running.append(run)
        elif run.digest in plan.failed:
            failed[run] = plan.failed[run.digest]
        else:
            waiting.append(run)
    left = None
    if plan.ended is None and lately:
        left = (time.time() - plan.begun) / lately * (len(running) + len(waiting))
    return Standing(tuple(done), tuple(running), failed, tuple(waiting), left)


def logs_of(store: Store, name: str) -> list[Listed]:
    """The logs of the tasks whose digest begins like this, or all, the latest last.

    Raises:
        UnknownNameError: If there is none.
    """
    found = [one for one in store.files.listed(LOGS) if f"-{name}" in one.name and one.name.endswith(".log")]
    if not found:
        raise UnknownNameError(
            f"No task whose name begins with '{name}' left a log in {store}/{LOGS}: only workers leave logs "
            "(--on processes:N, tcp://..., slurm:...)."
        )
    return sorted(found, key=lambda one: one.changed)
