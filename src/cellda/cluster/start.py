"""Workers at a place: those of a scheduler that runs, or started for as long as they are needed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dask
from distributed import Client
from distributed.deploy.subprocess import SubprocessCluster

from cellda.cluster.engine import GPU, Engine
from cellda.cluster.place import Place, Processes, Scheduler, Slurm
from cellda.errors import ConfigurationError

PATIENCE = 20
"""Seconds in which a scheduler must answer, and have a worker."""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Two threads of one process beside another process slow both down, many times on some machines."""
OF_WORKERS = {**ONE_THREAD, "DASK_DISTRIBUTED__WORKER__PROFILE__INTERVAL": "1s"}
"""Of workers that are started here. By default, a worker looks a hundred times a second at what it does."""


@contextmanager
def workers_at(place: Place) -> Iterator[Engine]:
    """The workers at a place, for as long as the context lasts.

    Raises:
        ConfigurationError: If there are none, or what starts them is not installed.
    """
    stays = isinstance(place, Scheduler)
    with _cluster(place) as cluster:
        # Those of this machine come all at once, and then do all at once what each does first: to import cellda.
        number = place.number if isinstance(place, Processes) else 1
        engine = Engine(lambda: _client(cluster, number, PATIENCE if stays else 30 * PATIENCE), stays=stays)
        try:
            yield engine
        finally:
            engine.close()


def _client(cluster: Any, number: int, patience: float) -> Client:
    try:
        client = Client(cluster, timeout=PATIENCE, set_as_default=False)
    except OSError as error:
        raise ConfigurationError(
            f"No Dask scheduler answers at {cluster}: is it started (`dask scheduler`), and can this machine reach it?"
        ) from error
    try:
        client.wait_for_workers(number, timeout=patience)
    except TimeoutError as error:
        client.close()
        raise ConfigurationError(
            "The scheduler has no workers: start some (`dask worker ADDRESS --nthreads 1`)."
        ) from error
    return client


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
        kept = {name: os.environ.get(name) for name in OF_WORKERS}
        os.environ.update(OF_WORKERS)  # before the workers load what reads it
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


def _slurm(place: Slurm) -> Any:
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise ConfigurationError("Slurm needs dask-jobqueue: pip install 'cellda[cluster]'.") from error
    cluster = SLURMCluster(**slurm_options(place))
    cluster.scale(jobs=place.jobs)
    return cluster


def slurm_options(place: Slurm) -> dict[str, Any]:
    """What `dask_jobqueue.SLURMCluster` is given: one worker for each core of a job, or for its GPU."""
    options = dict(place.options)
    gpu = options.pop("gpus", 0)
    prologue = [f"export {name}={value}" for name, value in OF_WORKERS.items()]
    options = {"processes": 1 if gpu else options["cores"], "job_script_prologue": prologue, **options}
    if gpu:
        options["job_extra_directives"] = ["--gres=gpu:1"]
        options["worker_extra_args"] = ["--resources", f"{GPU}=1"]
    return options
