"""The process of one job: `python -m cellda.app.work IMAGES PROJECT JOB`."""

import json
import sys
import time
import traceback
import warnings
from pathlib import Path

from cellda.app.project.jobs import Jobs
from cellda.app.project.project import Project
from cellda.app.project.tables import Job, Stage
from cellda.errors import CelldaError
from cellda.runtime import progress
from cellda.runtime.storage.lock import locked

OFTEN = 0.2
"""Seconds between two notes of progress."""


class Told:
    """Writes into the project how far a job is."""

    def __init__(self, project: Project, number: int) -> None:
        self.project, self.number, self._last, self._what = project, number, 0.0, ""

    def advanced(self, what: str, done: int, total: int | None) -> None:
        """See `cellda.runtime.progress.Listener`."""
        now = time.monotonic()
        if what != self._what or now - self._last > OFTEN or done == total:
            self._last, self._what = now, what
            with self.project.session() as session:
                job = session.get(Job, self.number)
                assert job is not None
                job.doing, job.done, job.total = what, done, total

    def said(self, line: str) -> None:
        """See `cellda.runtime.progress.Listener`."""
        with self.project.session() as session:
            job = session.get(Job, self.number)
            assert job is not None
            if line not in job.said.split("\n"):
                job.said = "\n".join(filter(None, [job.said, line]))

    def ended(self, stage: Stage) -> None:
        """The job is over."""
        with self.project.session() as session:
            job = session.get(Job, self.number)
            assert job is not None
            job.stage, job.ended = stage, time.time()


def main(images: str, place: str, number: str) -> None:
    """Do one job, and say in the project what became of it."""
    from cellda.app.work import KINDS

    project = Project(Path(images), Path(place))
    jobs, told = Jobs(project), Told(project, int(number))
    with project.session() as session:
        job = session.get(Job, int(number))
        assert job is not None
    with locked(jobs.lock(int(number))):
        try:
            with warnings.catch_warnings(), progress.heard(told):
                warnings.showwarning = lambda message, *_: told.said(str(message))
                KINDS[job.kind](project, json.loads(job.arguments))
            told.ended(Stage.DONE)
        except KeyboardInterrupt:
            told.ended(Stage.CANCELLED)
        except CelldaError as error:
            told.said(str(error))
            told.ended(Stage.FAILED)
        except Exception as error:
            traceback.print_exc()
            told.said(f"{type(error).__name__}: {error}. The whole message is in {jobs.log(int(number))}.")
            told.ended(Stage.FAILED)


if __name__ == "__main__":
    main(*sys.argv[1:])
