"""`cellda study`: how far a study is, from the store alone."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cellda import Study
from cellda.errors import CelldaError
from cellda.experiment.plan import LOGS, Plan, plans, standing
from cellda.experiment.run import WITHOUT_MODEL
from cellda.runtime.storage.entry import LOCK, PARTIAL
from cellda.runtime.storage.store import Store
from cluster.conftest import machines as machines  # a fixture
from leases import left_by_a_dead_process
from tiny import quiet, recipe

HOLD = """
import sys, time
from pathlib import Path
from cellda.runtime.storage.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def study(store: Path, **recipes) -> Study:
    base = recipe()
    return Study(
        {"none": base.with_(adapter="none"), **recipes},
        ["synthetic/1"],
        draws=range(2),
        workspace=quiet(store),
    )


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def shown(cellda_, store: Path, *words: str) -> dict:
    said = cellda_("study", "show", *words, "--store", store, "--json")
    assert said.status == 0, said.err
    return json.loads(said.out)


def test_a_finished_study_is_shown(cellda_, store: Path):
    made = study(store)
    made.run()
    found = shown(cellda_, store)
    assert {run["digest"] for run in found["done"]} == {run.digest for _, run in made.runs()}
    assert [(run["condition"], run["target"], run["draw"]) for run in found["done"]] == [
        ("none", "synthetic/1", 0),
        ("none", "synthetic/1", 1),
    ]
    assert found["running"] == found["failed"] == found["waiting"] == []
    assert found["on"] == "local"
    assert found["ended"] >= found["begun"]
    text = cellda_("study", "show", "--store", store)
    assert "all runs are made" in text.out
    before = (store / "studies").stat().st_mtime_ns
    made.run()  # nothing to do: nothing is written
    assert (store / "studies").stat().st_mtime_ns == before


def test_what_failed_is_shown_with_its_reason(cellda_, store: Path):
    made = study(store, full=recipe(adapter={"name": "full", "lr": 1e30, "epochs": 2}))
    with pytest.raises(CelldaError, match="2 of 4 runs failed"):
        made.run()
    found = shown(cellda_, store)
    assert len(found["done"]) == 2
    assert {run["condition"] for run in found["failed"]} == {"full"}
    assert all("finite" in run["why"] for run in found["failed"])
    text = cellda_("study", "show", "--store", store)
    assert "failed: full on synthetic/1, draw 0, seed 0" in text.out


def test_what_is_at_work_is_told_from_what_was_killed(cellda_, store: Path):
    made = study(store)
    runs = made.runs()
    plan = Plan.of(runs, "processes:2")
    plan.write(Store(store))
    places = [store / WITHOUT_MODEL / run.digest for _, run in runs]
    for place in places:  # both are half made; a process holds the first only
        place.with_name(place.name + PARTIAL).mkdir(parents=True)
    left_by_a_dead_process(places[1].with_name(places[1].name + LOCK))
    words = [sys.executable, "-c", HOLD, str(places[0].with_name(places[0].name + LOCK))]
    with subprocess.Popen(words, stdout=subprocess.PIPE, env={**os.environ}) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        found = shown(cellda_, store)
        holder.kill()
    assert [run["digest"] for run in found["running"]] == [places[0].name]
    assert [run["digest"] for run in found["waiting"]] == [places[1].name]
    assert shown(cellda_, store)["running"] == []


def test_the_time_left_is_that_of_the_speed_so_far(store: Path):
    made = study(store)
    runs = made.runs()
    plan = Plan.of(runs, "local").model_copy(update={"begun": time.time() - 100})
    assert standing(plan, Store(store)).seconds_left is None
    (store / WITHOUT_MODEL / runs[0][1].digest).mkdir(parents=True)
    left = standing(plan, Store(store)).seconds_left
    assert left == pytest.approx(100, abs=5)


def test_the_last_study_is_meant_and_others_are_named(cellda_, store: Path):
    study(store).run()
    study(store, head=recipe(adapter="head_only")).run()
    last, first = plans(Store(store))
    assert shown(cellda_, store)["study"] == last.name
    assert shown(cellda_, store)["others"] == [first.name]
    assert shown(cellda_, store, first.name)["study"] == first.name
    wrong = cellda_("study", "show", "nosuch", "--store", store)
    assert wrong.status == 2
    assert "no study 'nosuch'" in wrong.err


def test_logs_are_found_by_the_digest(cellda_, store: Path):
    (store / LOGS).mkdir(parents=True)
    (store / LOGS / "run-0123456789abcdef.log").write_text("Traceback\nValueError: no such cell\n")
    said = cellda_("study", "log", "0123", "--store", store)
    assert said.status == 0
    assert "ValueError: no such cell" in said.out
    wrong = cellda_("study", "log", "999", "--store", store)
    assert wrong.status == 2
    assert "only workers leave logs" in wrong.err


def test_a_store_without_studies_says_so(cellda_, store: Path):
    store.mkdir()
    said = cellda_("study", "show", "--store", store)
    assert said.status == 2
    assert "No study was run" in said.err


def test_a_damaged_plan_is_named(cellda_, store: Path):
    (store / "studies").mkdir(parents=True)
    (store / "studies" / "a.json").write_text("{")
    said = cellda_("study", "show", "--store", store)
    assert said.status == 2
    assert "a.json cannot be read" in said.err


def test_an_ended_study_is_attached_to_without_asking_anybody(cellda_, store: Path):
    study(store).run()
    said = cellda_("study", "attach", "--store", store, "--json")
    assert said.status == 0
    assert len(json.loads(said.out)["done"]) == 2


def test_a_study_that_ended_with_its_process_cannot_be_attached_to(cellda_, store: Path):
    Plan.of(study(store).runs(), "processes:2").write(Store(store))
    said = cellda_("study", "attach", "--store", store)
    assert said.status == 2
    assert "ends with the process that began it" in said.err


def test_what_a_lost_study_has_not_made_is_an_error(cellda_, store: Path, machines):
    Plan.of(study(store).runs(), machines.address).write(Store(store))
    said = cellda_("study", "attach", "--store", store)
    assert said.status == 2
    assert "2 runs are not made" in said.err
