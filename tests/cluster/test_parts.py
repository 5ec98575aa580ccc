"""The trials of a search and the folds of a cross-validation on workers: the same as in one process, bit for bit."""

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
import torch
from distributed import Client

from cellda import Study
from cellda.errors import ConfigurationError
from cellda.experiment.parts import Asked, parts_of
from cellda.experiment.plan import LOGS
from cellda.experiment.result import RunResult
from cellda.experiment.sharing import check_storages
from cellda.runtime.work import Stage, watched
from cellda.selection.storage import VARIABLE, storage_name
from postgres import PASSWORD, server
from tiny import quiet, recipe

CROSS_VALIDATED = {"calibration": "temperature", "search": {"trials": 5, "folds": 2, "batch": 2}}
Found = tuple[pd.DataFrame, list]


def quick(store: Path) -> Study:
    """Two methods on one target: one whose trials are tasks, and one on embeddings, whose trials are not."""
    probe = recipe(adapter="probe", **CROSS_VALIDATED)
    return Study(
        {"probe": probe, "head": probe.with_(adapter="head_only")}, ["synthetic/1"], workspace=quiet(store)
    )


def trained(store: Path) -> Study:
    """A method that trains the whole network in each of its trials."""
    full = recipe(adapter={"name": "full", "epochs": 1}, search={"trials": 3, "folds": 2, "batch": 2})
    return Study({"full": full}, ["synthetic/1"], workspace=quiet(store))


def found(study: Study, **options) -> Found:
    """The predictions, what was predicted in cross-validation, and every trial but its time."""
    predictions = study.run(**options)
    results = [RunResult(run.finished()) for _, run in study.runs()]
    trials = [[trial.model_dump(exclude={"seconds"}) for trial in result.record.trials] for result in results]
    crossed = [result.cross_validation for result in results if result.record.calibration is not None]
    return pd.concat([predictions, *crossed], ignore_index=True), trials


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Callable[[Callable[[Path], Study]], Found]:
    """What one process with one thread finds."""

    @cache
    def find(made: Callable[[Path], Study]) -> Found:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return found(made(tmp_path_factory.mktemp("alone")))
        finally:
            torch.set_num_threads(threads)

    return find


def same(one: Found, other: Found) -> None:
    assert one[1] == other[1]
    pd.testing.assert_frame_equal(one[0], other[0], check_exact=True)


def begun(store: Path) -> Counter:
    """How often the tasks of each kind have begun on a worker."""
    return Counter(file.name.partition("-")[0] for file in (store / LOGS).iterdir())


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_any_number_of_workers_chooses_and_predicts_the_same(alone, tmp_path: Path, workers: int):
    study = quick(tmp_path)
    same(found(study, on=f"processes:{workers}"), alone(quick))
    assert begun(tmp_path) == {"pixels": 2, "source": 1, "trial": 5, "fold": 3, "run": 2}
    for record in study.records():
        assert record.seconds["search"] >= sum(trial.seconds for trial in record.trials) - 0.01


@pytest.mark.slow
def test_four_workers_that_train_choose_and_predict_the_same(alone, tmp_path: Path):
    same(found(trained(tmp_path), on="processes:4"), alone(trained))


@pytest.mark.slow
def test_a_trial_whose_worker_dies_is_done_again_by_another(machines, alone, tmp_path: Path):
    killed = []

    def kill() -> None:
        with Client(machines.address, set_as_default=False) as client:
            while not any((tmp_path / LOGS).glob("trial-*-1.log")):
                time.sleep(0.01)
            at_work = client.processing()
            tasks = {worker: task for worker, keys in at_work.items() for task in keys if "trial" in task}
            worker = next(iter(tasks))
            killed.append(tasks[worker])
            os.kill(client.run(os.getpid, workers=[worker])[worker], signal.SIGKILL)

    other = threading.Thread(target=kill)
    other.start()
    there = found(trained(tmp_path), on=machines.address)
    other.join()
    (task,) = killed
    same(there, alone(trained))
    assert (tmp_path / LOGS / f"{task}.log").is_file()


def test_a_run_goes_on_from_the_trials_that_workers_have_made(alone, tmp_path: Path):
    """Whoever made a trial or a fold, nobody makes it again."""
    expected = alone(quick)
    (_, probe), _ = quick(tmp_path).runs()
    parts = parts_of(probe)
    assert [part.number for part in parts] == [*range(5), *range(3)]
    for part in [*reversed(parts[:2]), *parts[2:5], *reversed(parts[5:])]:
        assert part.make(Asked(f"{tmp_path}{part.name}", lambda: probe)) <= part.total
    seen = []
    with watched(seen.append):
        same(found(quick(tmp_path)), expected)
    assert {work.subject for work in seen if work.stage is Stage.SEARCH} == {"head_only"}
    assert parts_of(probe) == []


@pytest.mark.parametrize("where", ["file", "postgresql"])
def test_an_asynchronous_search_makes_as_many_trials_and_says_what_it_is(
    tmp_path: Path, capsys, monkeypatch, where: str
):
    with server() if where == "postgresql" else nullcontext("") as address:
        if address:
            monkeypatch.setenv(VARIABLE, f"postgresql+psycopg://{address}")
        else:
            monkeypatch.delenv(VARIABLE, raising=False)
        study = Study(
            {"probe": recipe(adapter="probe", search={"trials": 6, "folds": 2, "asynchronous": True})},
            ["synthetic/1"],
            workspace=quiet(tmp_path / "store"),
        )
        study.run(on="processes:2")
    (record,) = study.records()
    assert [trial.number for trial in record.trials] == list(range(6))
    assert record.recipe["search"]["asynchronous"] is True
    (told,) = (tmp_path / "store" / "search").glob("*/search.json")
    assert json.loads(told.read_text())["asynchronous"] is True
    said = capsys.readouterr().err
    assert "a repetition may choose others" in said
    assert ("postgresql://lab@127.0.0.1" if address else "a file in the store") in said
    secret = PASSWORD.encode()
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and secret in file.read_bytes()]
    assert PASSWORD not in said


def test_workers_that_would_keep_trials_elsewhere_are_named(tmp_path: Path, monkeypatch):
    monkeypatch.setenv(VARIABLE, f"postgresql://lab:{PASSWORD}@db/trials")
    runs = [run for _, run in quick(tmp_path).runs()]

    def everywhere(call):
        assert call is storage_name
        return {"tcp://a": storage_name(), "tcp://b": "a file in the store"}

    check_storages(everywhere, runs)  # in batches, nobody keeps them anywhere
    asking = recipe(adapter="probe", search={"asynchronous": True})
    study = Study({"probe": asking}, ["synthetic/1"], workspace=quiet(tmp_path))
    with pytest.raises(ConfigurationError) as raised:
        check_storages(everywhere, [run for _, run in study.runs()])
    assert "in postgresql://lab@db/trials here" in str(raised.value)
    assert "tcp://b in a file in the store" in str(raised.value)
    assert "tcp://a" not in str(raised.value)
    assert PASSWORD not in str(raised.value)
