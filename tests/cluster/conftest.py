"""A real scheduler and real workers, as processes of their own on this machine."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pandas as pd
import psutil
import pytest
import torch

from browser import free_port
from cluster.studies import study


class Machines:
    """A scheduler with two workers of one thread."""

    def __init__(self, folder: Path, workers: int = 2) -> None:
        self.folder = folder
        self.port = free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path]),
        }
        self.processes: list[subprocess.Popen] = []
        self.start(workers)

    def start(self, workers: int) -> None:
        """A scheduler at the address, with workers."""
        self.processes.append(
            self._start("scheduler", "--port", str(self.port), "--host", "127.0.0.1", "--no-dashboard")
        )
        for _ in range(workers):
            self.add_worker()

    def add_worker(self, *words: str) -> None:
        """One more worker, which is started again when it dies."""
        self.processes.append(
            self._start("worker", self.address, "--nthreads", "1", "--no-dashboard", *words)
        )

    def _start(self, *words: str) -> subprocess.Popen:
        with (self.folder / f"{words[0]}-{time.monotonic_ns()}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", *words],
                env=self.environment,
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def stop(self) -> None:
        """End all of them."""
        for process in map(psutil.Process, (one.pid for one in reversed(self.processes))):
            for one in [*process.children(recursive=True), process]:
                with suppress(psutil.NoSuchProcess):
                    one.kill()
        for process in self.processes:
            process.wait()
        self.processes.clear()


@pytest.fixture(scope="module")
def machines(tmp_path_factory) -> Iterator[Machines]:
    made = Machines(tmp_path_factory.mktemp("machines"))
    yield made
    made.stop()


@pytest.fixture(scope="session")
def here(tmp_path_factory) -> pd.DataFrame:
    """What one process with one thread computes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return study(tmp_path_factory.mktemp("here")).run()
    finally:
        torch.set_num_threads(threads)
