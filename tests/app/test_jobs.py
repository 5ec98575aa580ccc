"""Jobs: one at a time, they outlive the server, say what happened to them, and can be cancelled."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

pytest.importorskip("sqlmodel", reason="the extra app is not installed")

from cellda.app.project.exchange import take_groups
from cellda.app.project.jobs import LOST, Jobs
from cellda.app.project.labels import give, to_label
from cellda.app.project.models import choose, chosen, models
from cellda.app.project.predicted import added, as_labelled, counted
from cellda.app.project.tables import Model, Stage
from cellda.errors import ConfigurationError
from cellda.models.predicted_file import write_table
from drawn import class_of
from tiny import model_folder


@pytest.fixture
def model(tmp_path):
    return str(model_folder(tmp_path / "model"))


@pytest.fixture
def jobs(project):
    made = Jobs(project)
    yield made
    for process in made._processes.values():
        process.wait()


def wait(jobs, until=lambda job: job.stage is not Stage.RUNNING):
    for _ in range(1200):
        job = jobs.latest()
        if until(job):
            return job
        time.sleep(0.1)
    raise AssertionError(jobs.log(job.id).read_text())


@pytest.mark.slow
def test_cells_are_suggested_and_suggested_again(project, jobs, model):
    jobs.start("suggest", {"number": 6, "suggester": "schedule", "model": model})
    with pytest.raises(ConfigurationError, match="running already"):
        jobs.start("adapt", {"model": model})
    job = wait(Jobs(project))  # as another server sees it
    assert job.stage is Stage.DONE, job.said
    first = to_label(project)
    assert [cell.rank for cell in first] == [1, 2, 3, 4, 5, 6]
    assert sorted(cell.similar for cell in first) == [0, 1, 2, 3, 4, 5]
    assert all(cell.guess in project.classes for cell in first)
    give(project, [{cell.id: class_of(cell.path) for cell in first}], "me")
    jobs.start("suggest", {"number": 4, "suggester": "schedule", "model": model})
    assert wait(jobs).stage is Stage.DONE
    assert [cell.rank for cell in to_label(project)] == list(range(1, 11))
    assert to_label(project)[:6] == first
    jobs.start(
        "suggest", {"number": 3, "suggester": "random", "model": model}
    )  # though four still wait for a label
    assert wait(jobs).stage is Stage.DONE
    assert [cell.rank for cell in to_label(project)] == list(range(1, 14))


def test_a_job_whose_process_is_gone_is_said_to_be_interrupted(project, jobs, model):
    job = jobs.start("suggest", {"number": 6, "suggester": "schedule", "model": model})
    wait(jobs, lambda _: jobs.pid_file(job.id).exists() and jobs.pid_file(job.id).read_text())
    os.killpg(int(jobs.pid_file(job.id).read_text()), signal.SIGKILL)
    time.sleep(0.5)
    last = wait(jobs)
    assert last.stage is Stage.INTERRUPTED
    assert LOST in last.said
    jobs.start("suggest", {"number": 1000, "suggester": "schedule", "model": model})
    last = wait(jobs)
    assert last.stage is Stage.FAILED
    assert "1,000 images cannot be suggested" in last.said


def test_two_pages_that_begin_at_once_begin_one_job(project, jobs, model):
    arguments = {"number": 6, "suggester": "random", "model": model}
    with ThreadPoolExecutor(4) as threads:
        begun = [threads.submit(jobs.start, "suggest", arguments) for _ in range(4)]
        problems = [one.exception() for one in begun]
    assert [type(problem) for problem in problems if problem] == [ConfigurationError] * 3
    jobs.cancel()
    wait(jobs)


def test_a_job_is_cancelled(project, jobs, model):
    job = jobs.start("suggest", {"number": 6, "suggester": "schedule", "model": model})
    wait(jobs, lambda _: jobs.pid_file(job.id).exists() and jobs.pid_file(job.id).read_text())
    jobs.cancel()
    assert wait(jobs).stage is Stage.CANCELLED
    assert to_label(project) == []
    jobs.cancel()  # nothing runs


@pytest.mark.slow
def test_models_follow_each_other_and_one_goes_back(project, jobs, model):
    cells = project.cells()
    truth = {cell.id: class_of(cell.path) for cell in cells}
    for number in (18, 22):
        give(project, [dict(list(truth.items())[:number])], "me")
        jobs.start("adapt", {"model": model})
        job = wait(jobs)
        assert job.stage is Stage.DONE, (job.said, jobs.log(job.id).read_text())
    newest, oldest = models(project)
    assert (newest.labels, oldest.labels) == (22, 18)
    assert newest.chosen
    assert newest.low <= newest.accuracy <= newest.high
    table = as_labelled(project, newest)
    assert len(table) == 24
    assert table["certain"].sum() == 22
    assert (table["predicted"][table["certain"]] == table["label"][table["certain"]]).all()
    found = counted(project, newest, table).table
    every = found[found["group"] == ""]
    assert every["cells"].sum() == 24
    assert ((every["low"] <= every["share"]) & (every["share"] <= every["high"])).all()
    choose(project, oldest.id)
    assert chosen(project).id == oldest.id
    first = project.images / cells[0].path
    (project.images / "new.png").write_bytes(first.read_bytes()[:-1] + b"\0")
    project.read_folder()
    assert added(project, as_labelled(project, oldest)) == 1
    jobs.start("predict", {})
    assert wait(jobs).stage is Stage.DONE
    assert added(project, as_labelled(project, oldest)) == 0
    assert len(as_labelled(project, oldest)) == 25


def test_counts_are_of_the_groups_that_the_project_knows_now(project, tmp_path):
    folder = project.place / "models" / "model_1"
    folder.mkdir()
    paths = [str(project.images / cell.path) for cell in project.cells()]
    told = {"predicted": "monocyte", "flag": "", "p_monocyte": 0.9, "p_basophil": 0.1, "reason": ""}
    write_table(pd.DataFrame({"path": paths, "group": "old", **told}), folder / "predictions.parquet")
    model = Model(folder="models/model_1", made=0.0, labels=0)
    file = tmp_path / "groups.csv"
    file.write_text("path,group\n" + "".join(f"{path},new\n" for path in paths[:5]))
    take_groups(project, file)
    assert (as_labelled(project, model)["group"] == "new").sum() == 5
    assert "old" not in set(as_labelled(project, model)["group"])
