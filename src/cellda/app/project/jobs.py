"""Long work: a process of its own for each job, which outlives page and server, and says in the project where it is."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

from sqlmodel import col, select

from cellda.app.project.project import Project
from cellda.app.project.tables import Job, Stage
from cellda.errors import ConfigurationError
from cellda.runtime.storage.lock import LockedError, locked

LOST = "Its process ended without a word. Start it again; what it had finished is kept."


class Jobs:
    """The jobs of a project. One runs at a time: two would take twice as long each.

    Args:
        project: The project.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._cancelled: set[int] = set()
        self._starting = Lock()  # pages call from several threads

    def start(self, kind: str, arguments: Mapping[str, Any]) -> Job:
        """Begin a job.

        Raises:
            ConfigurationError: If one is running.
        """
        with self._starting:
            return self._begin(kind, arguments)

    def _begin(self, kind: str, arguments: Mapping[str, Any]) -> Job:
        if (now := self.latest()) is not None and now.stage is Stage.RUNNING:
            raise ConfigurationError("Something is running already: wait for its end, or cancel it.")
        job = Job(kind=kind, arguments=json.dumps(dict(arguments)), started=time.time())
        with self.project.session() as session:
            session.add(job)
        assert job.id is not None
        words = [sys.executable, "-m", "cellda.app.work", self.project.images, self.project.place, job.id]
        with self.log(job.id).open("wb") as log:
            process = subprocess.Popen(
                list(map(str, words)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._processes[job.id] = process
        self.pid_file(job.id).write_text(str(process.pid))
        return job

    def latest(self) -> Job | None:
        """The last job; one whose process is gone is marked as interrupted, or as cancelled if it was."""
        self._processes = {job: one for job, one in self._processes.items() if one.poll() is None}
        with self.project.session() as session:
            job = session.exec(select(Job).order_by(col(Job.id).desc()).limit(1)).first()
        if job is not None and job.stage is Stage.RUNNING and not self._alive(job):
            with self.project.session() as session:
                job = session.get(Job, job.id)
                assert job is not None
                if job.stage is Stage.RUNNING:  # it may have ended in between
                    job.ended = time.time()
                    if job.id in self._cancelled:
                        job.stage = Stage.CANCELLED
                    else:
                        job.stage, job.said = Stage.INTERRUPTED, "\n".join(filter(None, [job.said, LOST]))
        return job

    def cancel(self) -> None:
        """Interrupt the running job, as Ctrl-C does: what it has finished stays in the store."""
        job = self.latest()
        if job is None or job.stage is not Stage.RUNNING:
            return
        assert job.id is not None
        self._cancelled.add(job.id)
        with suppress(FileNotFoundError, ValueError, ProcessLookupError):
            number = int(self.pid_file(job.id).read_text())
            os.killpg(number, signal.SIGINT)

    def log(self, job: int) -> Path:
        """What the process of a job has printed."""
        return self.project.place / "jobs" / f"{job}.log"

    def lock(self, job: int) -> Path:
        """Held by the process of a job while it lives."""
        return self.project.place / "jobs" / f"{job}.lock"

    def pid_file(self, job: int) -> Path:
        """Holds the number of the process of a job."""
        return self.project.place / "jobs" / f"{job}.pid"

    def _alive(self, job: Job) -> bool:
        assert job.id is not None
        if job.id in self._processes:
            return True
        if not self.lock(job.id).exists():  # it has just been started, by another server
            return self._started(job.id)
        try:
            with locked(self.lock(job.id)):
                return False
        except LockedError:
            return True

    def _started(self, job: int) -> bool:
        """Whether a process with the number of a job's process is there."""
        try:
            os.kill(int(self.pid_file(job).read_text()), 0)
        except (OSError, ValueError):
            return False
        return True
