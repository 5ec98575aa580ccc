"""Runs on other processes and machines: their stages as tasks with what they wait for; results meet in the store."""

import secrets
import socket
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

from cellda import cluster
from cellda.cluster.place import Place
from cellda.data.pixel_cache import KIND as PIXELS
from cellda.data.pixel_cache import decode_all, pixels_key
from cellda.datasets.base import CellDataset
from cellda.errors import CelldaError, ConfigurationError
from cellda.experiment.accounts import news_of
from cellda.experiment.making import make, say_before
from cellda.experiment.parts import Asked, Part, parts_of
from cellda.experiment.plan import LOGS
from cellda.experiment.run import Run
from cellda.experiment.sharing import check_storages
from cellda.experiment.stages import has_source_model, source_model
from cellda.experiment.workspace import Workspace
from cellda.plugins.code_digest import shared_code
from cellda.recipe import Recipe
from cellda.runtime import progress as bars
from cellda.runtime.storage.store import Store, stage_digest
from cellda.runtime.versions import COMPUTING, versions
from cellda.runtime.work import Stage, Work
from cellda.text import counted
from cellda.training.loop import Trainer


@dataclass(frozen=True)
class Order:
    """What a worker needs to prepare a run as the client did.

    Attributes:
        recipe: The recipe.
        target: The target, by name or loaded.
        data: Folder of the datasets.
        store: Folder or URL of the store.
        oracle: Whether query labels may choose values.
        keep_model: Whether the adapted model is kept.
        made_by: `identity` where it was given.
    """

    recipe: Recipe
    target: str | CellDataset
    data: Path | None
    store: str
    oracle: bool
    keep_model: bool
    made_by: dict[str, str]

    @classmethod
    def of(
        cls, run: Run, target: str | CellDataset, *, oracle: bool = False, keep_model: bool = False
    ) -> Self:
        """The order of a run, whose target was given like this."""
        space = run.workspace
        return cls(run.recipe, target, space.data.root, space.store.address, oracle, keep_model, identity())

    def prepared(self) -> Run:
        """The run, on this worker; what its preparation warns of was said by the client.

        Raises:
            ConfigurationError: If this worker, which may have come after the others were asked, computes something else.
        """
        if problems := differing(identity(), self.made_by):
            raise ConfigurationError(f"The worker {socket.gethostname()} {'; it '.join(problems)}.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Run.prepare(
                self.recipe, self.target, _workspace(self.data, self.store), oracle=self.oracle
            )

    @contextmanager
    def logged(self, name: str) -> Iterator[None]:
        """Context of the task of this name: what it prints goes into the logs of the store (`cluster.reported`)."""
        store, log = _workspace(self.data, self.store).store, f"{LOGS}/{name}.log"
        try:
            with cluster.reported(name, store.root / LOGS):
                yield
        finally:
            if store.remote is not None:
                with suppress(OSError, ConfigurationError):  # what the task itself says is worth more
                    store.files.write(log, (store.root / log).read_bytes())


_workspaces: dict[tuple[Path | None, str], Workspace] = {}


def _workspace(data: Path | None, store: str) -> Workspace:
    """One workspace for all tasks of a worker, so that a dataset is loaded once."""
    if (data, store) not in _workspaces:
        _workspaces[data, store] = Workspace(data, store, progress=False)
    return _workspaces[data, store]


def make_elsewhere(
    orders: Sequence[Order],
    runs: Sequence[Run],
    place: Place,
    begun: Callable[[str], None] = lambda _: None,
) -> dict[int, Exception]:
    """Make runs on the workers at a place; every stage that runs share is made once.

    Args:
        orders: What workers are told of unfinished runs.
        runs: The same runs, of one workspace, as prepared here.
        place: Where.
        begun: Told the address of Dask's own page before the work.

    Returns:
        Why runs failed, by their positions. All others are in the store.

    Raises:
        ConfigurationError: If there are no workers, or they cannot do this: raised before any work.
    """
    tasks, places = graph(orders, runs)
    workspace = runs[0].workspace
    say_before(runs, Trainer(runs[0].recipe.device))
    failed: dict[int, Exception] = {}
    with (
        cluster.workers_at(place) as engine,
        workspace.display(),
        bars.task(Work(Stage.RUN), len(runs)) as advance,
    ):

        def ready() -> None:
            check_workers(engine.everywhere, workspace)
            check_storages(engine.everywhere, runs)
            begun(engine.dashboard)
            if workspace.progress:
                bars.note(f"{counted(engine.workers, 'worker(s)')} at once; dashboard: {engine.dashboard}")

        def finished(name: str, outcome: Any) -> None:
            for number in places.get(name, ()):
                if isinstance(outcome, Exception):
                    failed[number] = _explained(outcome, name, workspace.store)
                elif outcome != runs[number].digest:
                    told = f"A worker made the run {outcome} instead: its data or code differ."
                    failed[number] = CelldaError(told)
                elif runs[number].finished(with_model=orders[number].keep_model) is None:
                    told = f"A worker has made it, but it is not in the store {workspace.store} as this machine sees it."
                    failed[number] = CelldaError(told)
                advance(1)

        engine.run(tasks, finished, bars.mirror(), ready)
    if workspace.progress:
        made = [run for number, run in enumerate(runs) if number not in failed]
        for line in news_of(made):
            bars.note(line)
    return failed


def graph(orders: Sequence[Order], runs: Sequence[Run]) -> tuple[list[cluster.Task], dict[str, list[int]]]:
    """The tasks of runs in an order in which they can be done, and the positions of the runs by the names of their tasks."""
    tasks: dict[str, cluster.Task] = {}
    pixels: dict[tuple[int, int, str], str] = {}
    places: dict[str, list[int]] = {}
    for place, (order, run) in enumerate(zip(orders, runs, strict=True)):
        decoded, network = [], run.recipe.device == "auto"
        for number, (dataset, size, store, framing) in enumerate(run.images):
            same = (id(dataset), size, framing.model_dump_json())
            if same not in pixels:
                key = pixels_key(dataset, size, framing)
                pixels[same] = name = f"pixels-{stage_digest(key)}"
                if not store.has(PIXELS, key):
                    tasks.setdefault(name, cluster.Task(name, decode, (name, order, number)))
            decoded.append(pixels[same])
        before = tuple(decoded)
        if run.sources and not has_source_model(run):
            name = f"source-{stage_digest(run.source_key)}"
            needed = tuple(decoded[:-1])
            tasks.setdefault(name, cluster.Task(name, train_source, (name, order), needed, network))
            before = (*before, name)
        parts = parts_of(run)
        for part in parts:
            needed = (*before, *part.after)
            tasks.setdefault(
                part.name, cluster.Task(part.name, make_part, (order, run.digest, part), needed, network)
            )
        before = (*before, *(part.name for part in parts))
        name = run_task(run.digest)
        tasks.setdefault(name, cluster.Task(name, make_run, (name, order), before, network))
        places.setdefault(name, []).append(place)
    return list(tasks.values()), places


def run_task(digest: str) -> str:
    """The name of the task that makes a run."""
    return f"run-{digest}"


def decode(name: str, order: Order, number: int) -> None:
    """Task: decode the images of one dataset of a run."""
    with order.logged(name):
        decode_all([order.prepared().images[number]])


def train_source(name: str, order: Order) -> None:
    """Task: train the source model of a run."""
    with order.logged(name):
        source_model(order.prepared(), Trainer(order.recipe.device))


def make_part(order: Order, digest: str, part: Part) -> None:
    """Task: make a part of a run, in whose bar it counts."""
    with order.logged(part.name):
        made = part.make(Asked(digest, order.prepared))
    cluster.Reporter(run_task(digest)).advanced(str(part.work), made, part.total)


def make_run(name: str, order: Order) -> str:
    """Task: search, adapt and predict; the run's digest."""
    with order.logged(name):
        run = order.prepared()
        make(run, Trainer(order.recipe.device), keep_model=order.keep_model)
        return run.digest


@cache
def identity() -> dict[str, str]:
    """What must be the same on all machines for a result to be the same."""
    return {
        "Python": ".".join(map(str, sys.version_info[:2])),
        "code of cellda": shared_code(["."]),
        **versions("cellda", *COMPUTING),
    }


def differing(found: Mapping[str, str], own: Mapping[str, str]) -> list[str]:
    """In what one `identity` differs from another."""
    return [
        f"has another {name}: {found.get(name)} instead of {value}"
        for name, value in own.items()
        if found.get(name) != value
    ]


def check_workers(everywhere: Callable[..., dict[str, Any]], workspace: Workspace) -> None:
    """Refuse workers that would compute something else, or cannot see the data or the store.

    Args:
        everywhere: Calls a function on every worker.
        workspace: Of the runs.

    Raises:
        ConfigurationError: With every worker and what is wrong there.
    """
    problems, own = [], identity()
    for worker, found in everywhere(identity).items():
        if isinstance(found, Exception):
            problems.append(f"{worker} cannot import cellda as it is here: {type(found).__name__}: {found}")
            continue
        problems += [f"{worker} {line}" for line in differing(found, own)]
    store, data = workspace.store, workspace.data.root
    token = f".seen-{secrets.token_hex(8)}"  # others may begin a study at the same time
    store.files.write(token, store.address.encode())
    try:
        for worker, found in everywhere(sees, store.address, token, data).items():
            lines = [str(found)] if isinstance(found, Exception) else found
            problems += [f"{worker} {line}" for line in lines]
    finally:
        store.files.remove(token)
    if problems:
        raise ConfigurationError("Workers cannot do this work:\n  - " + "\n  - ".join(problems))


def sees(store: str, token: str, data: Path | None, dask_worker: Any = None) -> list[str]:
    """What a worker cannot see of the store and the data, and whether it has what it offers; Dask hands over the worker."""
    problems = cluster.without_gpu(dask_worker)
    try:
        found = Store(store).files.read(token)
    except (OSError, ConfigurationError) as error:
        problems.append(f"cannot read the store {store}: {error}")
    else:
        if found is None:
            problems.append(f"does not see the store {store}: give one that all machines share (--store)")
        elif found != store.encode():
            problems.append(f"finds another folder at {store}")
    if data is not None and not data.is_dir():
        problems.append(f"does not see the data in {data}")
    return problems


def _explained(error: Exception, name: str, store: Store) -> Exception:
    """An error with the place of its log, if it is not one of cellda's sentences."""
    if isinstance(error, CelldaError):
        return error
    return CelldaError(f"{type(error).__name__}: {error} (log: {store}/{LOGS}/{name}.log)")
