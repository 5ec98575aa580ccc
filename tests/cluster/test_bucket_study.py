"""Studies whose store is a bucket, on machines that share nothing else."""

import time
from pathlib import Path

import pandas as pd
import pytest

from buckets import Machine, forget, machines, server
from cellda import Study
from cellda.errors import ConfigurationError
from cellda.experiment.elsewhere import sees
from cellda.experiment.plan import logs_of, plan_of, standing
from cellda.runtime.storage.store import Store
from cluster.conftest import Machines
from cluster.studies import study
from tiny import quiet, recipe


@pytest.fixture(scope="module")
def served():
    with server() as environment:
        yield environment


@pytest.fixture
def machine(monkeypatch, served, tmp_path: Path) -> Machine:
    return machines(monkeypatch, served, tmp_path)


def entries(store: Store, kind: str) -> dict[str, float]:
    return store.remote.made(kind)


@pytest.fixture
def cluster(machine, served, tmp_path: Path):
    """Two workers, each of which is a machine with its own copies."""
    machine("client")
    (tmp_path / "logs").mkdir()
    made = Machines(tmp_path / "logs", workers=0)
    for name in ("one", "other"):
        made.environment["CELLDA_COPIES"] = str(tmp_path / name)
        made.add_worker()
    yield made
    made.stop()


def test_workers_that_share_only_a_bucket_give_what_one_process_gives(
    cluster, machine, here, tmp_path: Path
) -> None:
    store = machine("client")
    there = study(store).run(on=cluster.address)
    pd.testing.assert_frame_equal(there, here, check_exact=True)
    assert [len(entries(store, kind)) for kind in ("pixels", "source", "runs-without-model")] == [3, 1, 12]
    logs = sorted(one.name.partition("-")[0] for one in logs_of(store, ""))
    assert logs == ["logs/pixels"] * 3 + ["logs/run"] * 12 + ["logs/source"]
    copied = {folder.name for folder in store.root.iterdir()}
    assert not copied & {"source", "pixels"}  # only what was wanted
    both = [list((tmp_path / name).glob("*/runs-without-model/*")) for name in ("one", "other")]
    assert all(both)
    again = machine("another client")
    now = standing(plan_of(again, None), again)
    assert (len(now.done), len(now.running), len(now.waiting)) == (12, 0, 0)
    before = entries(store, "runs-without-model")
    pd.testing.assert_frame_equal(study(again).run(), here, check_exact=True)
    assert entries(store, "runs-without-model") == before


@pytest.mark.slow
def test_the_parts_of_a_run_meet_in_the_bucket(cluster, machine, tmp_path: Path) -> None:
    edits = {"calibration": "temperature", "search": {"trials": 5, "folds": 2, "batch": 2}}

    def probe(store) -> Study:
        return Study({"probe": recipe(adapter="probe", **edits)}, ["synthetic/1"], workspace=quiet(store))

    store = machine("client")
    there = probe(store).run(on=cluster.address)
    kinds = [one.name.partition("-")[0] for one in logs_of(store, "")]
    assert (kinds.count("logs/trial"), kinds.count("logs/fold")) == (5, 3)
    assert not [
        one
        for kind in store.remote.bucket.folders()
        for one in store.remote.bucket.listed(f"{kind}")
        if "pieces" in one.name
    ]
    (record,) = probe(store).records()
    local = probe(tmp_path / "local")
    pd.testing.assert_frame_equal(there, local.run(), check_exact=True)
    (other,) = local.records()
    assert [trial.model_dump(exclude={"seconds"}) for trial in record.trials] == [
        trial.model_dump(exclude={"seconds"}) for trial in other.trials
    ]


def test_an_asynchronous_search_is_refused_without_a_database(machine) -> None:
    asked = recipe(search={"trials": 2, "folds": 2, "asynchronous": True})
    with pytest.raises(
        ConfigurationError, match="keeps its trials in a file, which workers cannot share in s3://"
    ):
        asked.run("synthetic/1", store=machine("a"), progress=False)


def test_a_bucket_that_is_not_there_is_refused_before_any_work(machine) -> None:
    machine("a")
    began = time.monotonic()
    with pytest.raises(ConfigurationError, match="there is no such bucket; create it first"):
        recipe().run("synthetic/1", store="s3://none/a", progress=False)
    assert time.monotonic() - began < 60


def test_a_worker_that_does_not_reach_the_bucket_says_so(machine, monkeypatch) -> None:
    store = machine("a")
    store.files.write(".seen", store.address.encode())
    assert sees(store.address, ".seen", None) == []
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    forget()
    (told,) = sees(store.address, ".seen", None)
    assert told.startswith(f"cannot read the store {store}: ")
    assert "it cannot be reached (EndpointConnectionError: Could not connect" in told
