"""What a study wants, written into the store when it begins: any machine that sees the store can say how far it is."""

import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from cellda.errors import DataError, UnknownNameError, nearest
from cellda.experiment.run import WITHOUT_MODEL, Run
from cellda.runtime.lock import is_held
from cellda.runtime.place import written
from cellda.runtime.store import LOCK, PARTIAL, Store, digest
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

    def write(self, store: Store) -> Path:
        """Write it into the store; an older one of the same runs is replaced."""
        file = store.root / FOLDER / f"{self.name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        with written(file) as part:
            part.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
        return file


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
        with suppress(OSError):  # a full disk is said by what it stopped
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
    for file in (store.root / FOLDER).glob("*.json"):
        try:
            found.append(Plan.model_validate_json(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, ValidationError) as error:
            raise DataError(f"The study in {file} cannot be read ({error}); remove the file.") from None
    return sorted(found, key=lambda plan: -plan.begun)


def plan_of(store: Store, name: str | None) -> Plan:
    """A study of a store by its name; the last one without.

    Raises:
        UnknownNameError: If there is none.
    """
    found = plans(store)
    if not found:
        raise UnknownNameError(f"No study was run in the store {store.root}.")
    if name is None:
        return found[0]
    names = [plan.name for plan in found]
    if name not in names:
        raise UnknownNameError(
            f"There is no study '{name}' in the store {store.root}; {nearest(name, names)}"
        )
    return found[names.index(name)]


def standing(plan: Plan, store: Store) -> Standing:
    """How far a study is, from what is in the store now."""
    done, running, waiting = [], [], []
    failed: dict[PlannedRun, str] = {}
    made = 0
    for run in plan.runs:
        place = store.root / WITHOUT_MODEL / run.digest
        if place.is_dir():
            done.append(run)
            made += place.stat().st_mtime >= plan.begun
        elif _held(place):
            running.append(run)
        elif run.digest in plan.failed:
            failed[run] = plan.failed[run.digest]
        else:
            waiting.append(run)
    left = None
    if plan.ended is None and made:
        left = (time.time() - plan.begun) / made * (len(running) + len(waiting))
    return Standing(tuple(done), tuple(running), failed, tuple(waiting), left)


def _held(final: Path) -> bool:
    """Whether a process works on an entry."""
    return final.with_name(final.name + PARTIAL).exists() and is_held(final.with_name(final.name + LOCK))


def logs_of(store: Store, name: str) -> list[Path]:
    """The logs of the tasks whose digest begins like this, or all, the latest last.

    Raises:
        UnknownNameError: If there is none.
    """
    found = sorted((store.root / LOGS).glob(f"*-{name}*.log"), key=lambda file: file.stat().st_mtime)
    if not found:
        raise UnknownNameError(
            f"No task whose name begins with '{name}' left a log in {store.root / LOGS}: only workers leave logs "
            "(--on processes:N, tcp://..., slurm:...)."
        )
    return found
