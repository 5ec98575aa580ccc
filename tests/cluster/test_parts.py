"""The trials of a search and the folds of a cross-validation on workers: the same as in one process, bit for bit."""

import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
import torch
from distributed import Client

from cellda import Study
from cellda.experiment.plan import LOGS
from tiny import quiet, recipe

SEARCHED = {"search": {"trials": 5, "folds": 2, "batch": 2}, "calibration": "temperature"}


def searching(store: Path) -> Study:
    """Two methods on one target: one whose trials are tasks, and one on embeddings, whose trials are not."""
    full = recipe(adapter={"name": "full", "epochs": 1}, **SEARCHED)
    return Study(
        {"full": full, "head": full.with_(adapter="head_only")}, ["synthetic/1"], workspace=quiet(store)
    )


def found(study: Study) -> tuple[pd.DataFrame, dict[str, list]]:
    """The predictions, and every trial but its time."""
    told = {
        record.condition: [trial.model_dump(exclude={"seconds"}) for trial in record.trials]
        for record in study.records()
    }
    return study.run(), told


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> tuple[pd.DataFrame, dict[str, list]]:
    """What one process with one thread finds."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        study = searching(tmp_path_factory.mktemp("alone"))
        study.run()
        return found(study)
    finally:
        torch.set_num_threads(threads)


def same(study: Study, alone: tuple[pd.DataFrame, dict[str, list]]) -> None:
    predictions, trials = found(study)
    assert trials == alone[1]
    pd.testing.assert_frame_equal(predictions, alone[0], check_exact=True)
    cross = [run.finished() for _, run in study.runs()]
    assert all(cross)


def begun(store: Path) -> Counter:
    """How often the tasks of each kind have begun on a worker."""
    return Counter(file.name.partition("-")[0] for file in (store / LOGS).iterdir())


@pytest.mark.parametrize("workers", [1, 2, pytest.param(4, marks=pytest.mark.slow)])
def test_any_number_of_workers_chooses_and_predicts_the_same(alone, tmp_path: Path, workers: int):
    study = searching(tmp_path)
    study.run(on=f"processes:{workers}")
    same(study, alone)
    assert begun(tmp_path) == {"pixels": 2, "source": 1, "trial": 5, "fold": 3, "run": 2}
    full = next(record for record in study.records() if record.condition.startswith("full"))
    assert full.seconds["search"] >= sum(trial.seconds for trial in full.trials) - 0.01


def test_a_trial_whose_worker_dies_is_done_again_by_another(machines, alone, tmp_path: Path):
    killed = []

    def kill() -> None:
        with Client(machines.address, set_as_default=False) as client:
            while not any((tmp_path / LOGS).glob("trial-*-2.log")):
                time.sleep(0.01)
            found = client.run(os.getpid)
            killed.append(next(iter(found.values())))
            os.kill(killed[0], signal.SIGKILL)

    other = threading.Thread(target=kill)
    other.start()
    study = searching(tmp_path)
    study.run(on=machines.address)
    other.join()
    assert killed
    same(study, alone)
