"""Studies on real workers: the same predictions, every stage once, nothing lost when a worker is killed."""

import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from distributed import Client

import cellda
from cellda.errors import CelldaError, ConfigurationError
from cellda.experiment.elsewhere import LOGS, check_workers, identity, sees
from cellda.experiment.workspace import Workspace
from cellda.tracking import TensorBoard
from cluster.studies import study
from tiny import recipe


def begun(store: Path) -> Counter:
    """How often the tasks of each kind have begun on a worker."""
    return Counter(file.name.partition("-")[0] for file in (store / LOGS).iterdir())


def test_a_study_on_workers_gives_the_same_and_trains_the_source_once(machines, here, tmp_path: Path):
    there = study(tmp_path).run(on=machines.address)
    pd.testing.assert_frame_equal(there, here, check_exact=True)
    assert begun(tmp_path) == {"pixels": 3, "source": 1, "run": 12}
    pd.testing.assert_frame_equal(
        study(tmp_path).run(on="tcp://127.0.0.1:9"), here
    )  # from the store: nobody is asked


def test_a_killed_worker_loses_nothing(machines, here, tmp_path: Path):
    killed = []

    def kill() -> None:
        with Client(machines.address, set_as_default=False) as client:
            while not any((tmp_path / LOGS).glob("run-*")):
                time.sleep(0.02)
            found = client.run(os.getpid)
            killed.append(next(iter(found.values())))
            os.kill(killed[0], signal.SIGKILL)

    other = threading.Thread(target=kill)
    other.start()
    there = study(tmp_path).run(on=machines.address)
    other.join()
    assert killed
    pd.testing.assert_frame_equal(there, here, check_exact=True)


def test_one_run_elsewhere_keeps_its_model(machines, tmp_path: Path):
    result = recipe().run("synthetic/1", store=tmp_path, progress=False, on=machines.address)
    assert (
        len(result.model.predict(cellda.datasets.load("synthetic/1", per_class=2).read(range(4), 32)).labels)
        == 4
    )


def test_a_run_that_fails_is_said_with_its_log_and_the_others_are_kept(machines, tmp_path: Path):
    failing = study(tmp_path)
    failing.recipes["full"] = recipe(adapter={"name": "full", "lr": 1e30, "epochs": 2})
    with pytest.raises(
        CelldaError, match=r"4 of 12 runs failed(.|\n)*'full' on synthetic/1, draw 0"
    ) as raised:
        failing.run(on=machines.address)
    assert "finite" in str(raised.value)
    assert begun(tmp_path)["run"] == 12
    assert sum(run.finished() is not None for _, run in failing.runs()) == 8


def test_loggers_and_workers_do_not_go_together(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="leave out log, or on"):
        recipe().run("synthetic/1", store=tmp_path, log=[TensorBoard(tmp_path / "log")], on="processes:2")


# --- workers that cannot do it


def test_workers_with_other_versions_are_named():
    def everywhere(call, *arguments):
        if call is identity:
            return {
                "tcp://a": identity(),
                "tcp://b": {**identity(), "torch": "1.0"},
                "tcp://c": ImportError("no cellda"),
            }
        return {"tcp://a": call(*arguments)}

    with pytest.raises(ConfigurationError) as raised:
        check_workers(everywhere, Workspace(store=Path("/tmp"), progress=False))
    assert "tcp://b has another torch: 1.0 instead of" in str(raised.value)
    assert "tcp://c cannot import cellda as it is here: ImportError: no cellda" in str(raised.value)
    assert "tcp://a" not in str(raised.value)


def test_workers_that_see_another_store_or_no_data_are_named(tmp_path: Path):
    assert sees(str(tmp_path), "token", None) == [
        f"does not see the store {tmp_path}: give one that all machines share (--store)"
    ]
    (tmp_path / "token").write_text("/elsewhere")
    assert sees(str(tmp_path), "token", tmp_path / "wbc") == [
        f"finds another folder at {tmp_path}",
        f"does not see the data in {tmp_path / 'wbc'}",
    ]
