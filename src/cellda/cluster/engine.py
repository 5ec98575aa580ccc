"""The engine: a graph of tasks on Dask workers, with what they say, and what became of each."""

import pickle
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cloudpickle
from distributed import Client, Future, KilledWorker, as_completed, fire_and_forget
from distributed.client import ClosedClientError, FutureCancelledError
from distributed.comm import CommClosedError

from cellda.errors import CelldaError
from cellda.runtime import progress

BACK = 900
"""Seconds for which a scheduler that was lost in the middle of the work is waited for."""
CONNECTION_LOST = "scheduler-connection-lost"
"""What Dask says of the tasks of a client that has lost its scheduler."""
TOPIC = "cellda"
"""What workers report: (task, kind, ...), see `cellda.cluster.worker`."""
GPU = "GPU"
"""The resource that workers with a GPU are started with: `dask worker ADDRESS --nthreads 1 --resources GPU=1`."""


class LostError(Exception):
    """The scheduler does not know the tasks any more."""


@dataclass(frozen=True)
class Task:
    """One piece of work.

    Attributes:
        name: Names it; the same name is the same work.
        call: A function that can be imported; what it returns is small.
        arguments: Its arguments.
        after: Names of the tasks that must be finished before.
        network: Whether it applies a network: if any worker offers a GPU, only those do it.
    """

    name: str
    call: Callable[..., Any]
    arguments: tuple[Any, ...]
    after: tuple[str, ...] = ()
    network: bool = False


class Engine:
    """Workers that are reached through a Dask client.

    Args:
        connect: Makes a client, and raises ConfigurationError if no scheduler with workers answers.
        stays: Whether scheduler and workers go on when this process ends, or started again, are found by `connect`.
    """

    def __init__(self, connect: Callable[[], Client], *, stays: bool) -> None:
        self._connect, self._stays = connect, stays
        self.client = connect()

    @property
    def dashboard(self) -> str:
        """The address of Dask's own page."""
        return str(self.client.dashboard_link or "")

    @property
    def workers(self) -> int:
        """How many tasks are done at once."""
        return sum(self.client.nthreads().values())

    def close(self) -> None:
        """Leave the scheduler."""
        self.client.close()

    def everywhere(self, call: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
        """What a function returns on every worker, or the exception that it raises there, by the worker's address.

        A worker that is gone before it answers is left out: its tasks are given to others.

        Raises:
            LostError: If the scheduler is lost, or all workers are gone.
        """
        with _asking():
            found = dict(self.client.run(call, *arguments, on_error="return"))
        answers = {
            worker: answer for worker, answer in found.items() if not isinstance(answer, CommClosedError)
        }
        if not answers:
            raise LostError
        return answers

    def listen(self, heard: Callable[[Any], None]) -> None:
        """Have a function called, in another thread, with everything that workers report."""
        self.client.subscribe_topic(TOPIC, lambda event: heard(event[1]))

    def known(self, names: Iterable[str]) -> set[str]:
        """Those of these tasks that are waiting or at work, whoever gave them to the scheduler.

        Raises:
            LostError: If the scheduler is lost.
        """
        with _asking():
            return set(self.client.run_on_scheduler(_unfinished, list(names)))

    def run(
        self,
        tasks: Sequence[Task],
        finished: Callable[[str, Any], None],
        heard: Callable[[Any], None],
        ready: Callable[[], None] = lambda: None,
    ) -> None:
        """Do all tasks, each when those that it waits for are done.

        A worker that dies takes nothing with it: its task is given to another one. A task whose workers die again and again,
        such as one that needs more memory than a worker has, is tried once more when nothing else runs. A scheduler that was
        started again gets the tasks that are not finished once more. If scheduler and workers stay, the work goes on when this
        process is killed, and another one that runs the same tasks joins it. Ctrl-C takes the tasks back.

        Args:
            tasks: In an order in which none comes before one that it waits for.
            finished: Called with the name of every task and what it returned, or the exception that it, or one before it,
                raised.
            heard: Called in another thread with everything that workers report.
            ready: Called before tasks are given to a scheduler: checks its workers.

        Raises:
            CelldaError: If the scheduler is lost and does not come back.
        """
        waiting = {task.name: task for task in tasks}
        alone: list[str] = []
        given_up: set[str] = set()

        def done(name: str, outcome: Any) -> None:
            del waiting[name]
            finished(name, outcome)

        while waiting:
            try:
                ready()
                self.listen(heard)
                alone += self._done([task for task in waiting.values() if task.name not in alone], done)
                for name in filter(waiting.__contains__, alone):
                    lacking = given_up.intersection(waiting[name].after)
                    if not lacking:
                        progress.note(f"{name}: its workers died; it is tried once more, alone.")
                    if lacking or self._done([waiting[name]], done, suffix=" alone"):
                        given_up.add(name)
                        told = (
                            f"{min(lacking)}, for which it waits, was given up"
                            if lacking
                            else "its worker died again"
                        )
                        done(name, MemoryError(f"{told}: it probably needs more memory than there is"))
            except LostError:
                self._find_again()

    def _done(
        self, tasks: Sequence[Task], finished: Callable[[str, Any], None], suffix: str = ""
    ) -> list[str]:
        """Do tasks; returns the names of those whose workers died.

        Raises:
            LostError: If the scheduler does not know them any more.
        """
        with _asking():
            futures = self._given(tasks, suffix)
        names = {future.key: name for name, future in futures.items()}
        died = []
        try:
            for future in as_completed(list(futures.values()), loop=self.client.loop):
                if future.cancelled():
                    raise _why(future)
                name = names[future.key]
                error = future.exception() if future.status == "error" else None
                if isinstance(error, KilledWorker):
                    died.append(name)
                else:
                    finished(name, future.result() if error is None else error)
                futures.pop(name).release()
        except KeyboardInterrupt:
            self.client.cancel(list(futures.values()), force=True)
            raise
        return died

    def _given(self, tasks: Sequence[Task], suffix: str) -> dict[str, Future[Any]]:
        """Tasks as the scheduler has them."""
        futures: dict[str, Future[Any]] = {}
        self.client.run_on_scheduler(_forget_failed, [f"{task.name}{suffix}" for task in tasks])
        network = {GPU: 1} if self._offers_gpu() else None
        for task in tasks:
            before = [futures[name] for name in task.after if name in futures]
            futures[task.name] = self.client.submit(
                _after,
                cloudpickle.dumps((task.call, task.arguments)),
                before,
                key=f"{task.name}{suffix}",
                resources=network if task.network else None,
                pure=False,
            )
        if self._stays:
            fire_and_forget(list(futures.values()))
        return futures

    def _offers_gpu(self) -> bool:
        workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        return any(worker.get("resources", {}).get(GPU) for worker in workers)

    def _find_again(self) -> None:
        """Reach a scheduler that was lost.

        Raises:
            CelldaError: If it does not come back.
        """
        self.client.close(timeout=1)
        if self._stays:
            progress.note("The scheduler does not answer any more; it is waited for (Ctrl-C ends that).")
        begun = time.monotonic()
        while self._stays and time.monotonic() - begun < BACK:
            try:
                self.client = self._connect()
            except CelldaError:
                continue  # after the patience of a client
            progress.note("The scheduler is there again; it gets the tasks that are not finished.")
            return
        raise CelldaError(
            "The scheduler was lost. What is finished is kept: the same command goes on from there."
        )


@contextmanager
def _asking() -> Iterator[None]:
    """Context in which a scheduler that does not answer is a lost one."""
    try:
        yield
    except (OSError, TimeoutError, ClosedClientError) as error:
        raise LostError from error


def _after(work: bytes, before: list[Any]) -> Any:
    """Call a function; Dask hands over what the tasks before returned when they are done.

    Function and arguments are bytes, so that the scheduler, which reads what it gets, need not import cellda and torch.
    """
    del before
    call, arguments = pickle.loads(work)
    return call(*arguments)


def _why(future: Future[Any]) -> Exception:
    """Why a task was cancelled."""
    try:
        future.result(timeout=1)
    except FutureCancelledError as error:
        if error.reason != CONNECTION_LOST:
            return CelldaError(
                "The tasks were taken back by another process that runs the same (Ctrl-C there): the same command goes on."
            )
    except (OSError, TimeoutError):
        pass
    return LostError()


def _forget_failed(names: list[str], dask_scheduler: Any = None) -> None:
    """Have tasks that failed before tried again; Dask hands over the scheduler.

    It keeps those for good that failed because one before them did and that nobody waits for (`fire_and_forget`), and those
    of a client that has just left for a moment.
    """
    failed = [task for name in names if (task := dask_scheduler.tasks.get(name)) and task.state == "erred"]
    for task in failed:
        for client in list(task.who_wants or ()):
            dask_scheduler.client_releases_keys([task.key], client.client_key)


def _unfinished(names: list[str], dask_scheduler: Any = None) -> list[str]:
    """Those of these tasks that a scheduler has and has not finished; Dask hands over the scheduler."""
    found = (dask_scheduler.tasks.get(key) for name in names for key in (name, f"{name} alone"))
    states = {"waiting", "queued", "processing", "no-worker"}
    return [task.key.removesuffix(" alone") for task in found if task is not None and task.state in states]
