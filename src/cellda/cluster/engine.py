"""The engine: a graph of tasks on Dask workers, with what they say, and what became of each."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dask
from distributed import Client, Future, KilledWorker, as_completed
from distributed.deploy.subprocess import SubprocessCluster

from cellda.cluster.place import Place, Processes, Scheduler, Slurm
from cellda.errors import ConfigurationError
from cellda.runtime import progress

PATIENCE = 20
"""Seconds in which a scheduler must answer, and have a worker."""
TOPIC = "cellda"
"""What workers report: (task, kind, ...), see `cellda.cluster.worker`."""


@dataclass(frozen=True)
class Task:
    """One piece of work.

    Attributes:
        name: Names it; the same name is the same work.
        call: A function that can be imported; what it returns is small.
        arguments: Its arguments.
        after: Names of the tasks that must be finished before.
    """

    name: str
    call: Callable[..., Any]
    arguments: tuple[Any, ...]
    after: tuple[str, ...] = ()


class Engine:
    """Workers that are reached through a Dask client."""

    def __init__(self, client: Client) -> None:
        self.client = client

    @property
    def dashboard(self) -> str:
        """The address of Dask's own page."""
        return str(self.client.dashboard_link or "")

    @property
    def workers(self) -> int:
        """How many tasks are done at once."""
        return sum(self.client.nthreads().values())

    def everywhere(self, call: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
        """What a function returns on every worker, by the worker's address."""
        return dict(self.client.run(call, *arguments, on_error="return"))

    def run(
        self, tasks: Sequence[Task], finished: Callable[[str, Any], None], heard: Callable[[Any], None]
    ) -> None:
        """Do all tasks, each when those that it waits for are done.

        A worker that dies takes nothing with it: its task is given to another one. A task whose workers die again and again,
        such as one that needs more memory than a worker has, is tried once more when nothing else runs.

        Args:
            tasks: In an order in which none comes before one that it waits for.
            finished: Called with the name of every task and what it returned, or the exception that it, or one before it,
                raised.
            heard: Called in another thread with everything that workers report.
        """
        self.client.subscribe_topic(TOPIC, lambda event: heard(event[1]))
        try:
            again = self._done(tasks, finished)
            for name in again:
                progress.note(f"{name}: its workers died; it is tried once more, alone.")
            waiting = {task.name: task for task in tasks}
            for name in again:
                for died in self._done([waiting[name]], finished, alone=True):
                    finished(
                        died,
                        MemoryError("its worker died again: it probably needs more memory than there is"),
                    )
        finally:
            self.client.unsubscribe_topic(TOPIC)

    def _done(
        self, tasks: Sequence[Task], finished: Callable[[str, Any], None], *, alone: bool = False
    ) -> list[str]:
        """Do tasks; returns the names of those whose workers died."""
        futures: dict[str, Future[Any]] = {}
        for task in tasks:
            before = [futures[name] for name in task.after if name in futures]
            futures[task.name] = self.client.submit(
                _after,
                task.call,
                task.arguments,
                before,
                key=f"{task.name}{' alone' if alone else ''}",
                pure=False,
            )
        names = {future.key: name for name, future in futures.items()}
        died = []
        for future in as_completed(list(futures.values()), loop=self.client.loop):
            error = future.exception() if future.status == "error" else None
            if isinstance(error, KilledWorker):
                died.append(names[future.key])
            else:
                finished(names[future.key], future.result() if error is None else error)
        return died


def _after(call: Callable[..., Any], arguments: tuple[Any, ...], before: list[Any]) -> Any:
    """Call a function; Dask hands over what the tasks before returned when they are done."""
    del before
    return call(*arguments)


@contextmanager
def workers_at(place: Place) -> Iterator[Engine]:
    """The workers at a place, for as long as the context lasts.

    Raises:
        ConfigurationError: If there are none, or what starts them is not installed.
    """
    with _cluster(place) as cluster:
        try:
            client = Client(cluster, timeout=PATIENCE, set_as_default=False)
        except OSError as error:
            raise ConfigurationError(
                f"No Dask scheduler answers at {cluster}: is it started (`dask scheduler`), and can this machine reach it?"
            ) from error
        with client:
            try:
                client.wait_for_workers(
                    1, timeout=PATIENCE if isinstance(place, Scheduler) else 30 * PATIENCE
                )
            except TimeoutError as error:
                raise ConfigurationError(
                    "The scheduler has no workers: start some (`dask worker ADDRESS --nthreads 1`)."
                ) from error
            yield Engine(client)


@contextmanager
def _cluster(place: Place) -> Iterator[Any]:
    if isinstance(place, Scheduler):
        yield place.address
        return
    with dask.config.set({"distributed.comm.timeouts.connect": f"{PATIENCE}s"}):
        if isinstance(place, Slurm):
            with _slurm(place) as cluster:
                yield cluster
            return
        assert isinstance(place, Processes)
        if os.name == "nt":
            raise ConfigurationError(
                "processes:N does not work on Windows: start a scheduler and workers (`dask scheduler`, `dask worker`), and "
                "give its address."
            )
        kept = {name: os.environ.get(name) for name in ONE_THREAD}
        os.environ.update(ONE_THREAD)  # before the workers load what reads it
        try:
            cluster = SubprocessCluster(
                host="127.0.0.1",
                n_workers=place.number,
                threads_per_worker=1,
                dashboard_address="127.0.0.1:0",
                worker_kwargs={"dashboard": False},
            )
        finally:
            for name, value in kept.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
        with cluster:
            yield cluster


ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Two threads of one process beside another process slow both down, many times on some machines."""


def _slurm(place: Slurm) -> Any:
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise ConfigurationError("Slurm needs dask-jobqueue: pip install 'cellda[cluster]'.") from error
    options = {"processes": place.options["cores"], **place.options}
    prologue = [f"export {name}={value}" for name, value in ONE_THREAD.items()]
    cluster = SLURMCluster(job_script_prologue=prologue, **options)
    cluster.scale(jobs=place.jobs)
    return cluster
