"""The scheduler is killed and started again; the client goes and comes back."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

from cellda.cluster.engine import Task
from cellda.cluster.place import Scheduler
from cellda.cluster.start import workers_at
from cellda.errors import CelldaError, ConfigurationError
from cellda.experiment.attached import attach
from cellda.experiment.plan import Plan, plan_of
from cellda.runtime.storage.store import Store
from cluster import deadly
from cluster.conftest import Machines
from cluster.studies import study


def lines(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []


def wait_for(true, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def many(file: Path, number: int) -> list[Task]:
    return [Task(f"{file.parent.name}-{k}", deadly.slow, (str(file), str(k))) for k in range(number)]


def test_a_scheduler_that_is_started_again_gets_what_is_not_finished(tmp_path: Path, capsys):
    there, file = Machines(tmp_path), tmp_path / "done"
    found: dict[str, object] = {}

    def restart() -> None:
        wait_for(lambda: len(found) > 5)
        there.stop()
        there.start(2)

    other = threading.Thread(target=restart)
    try:
        with workers_at(Scheduler(there.address)) as engine:
            other.start()
            checks: list[int] = []
            engine.run(many(file, 40), found.__setitem__, lambda _: None, lambda: checks.append(1))
            other.join()
    finally:
        there.stop()
    assert list(found.values()) == [name.rpartition("-")[2] for name in found]
    assert len(found) == 40
    assert len(lines(file)) <= 42  # at most what was in flight is done again
    assert len(checks) == 2  # new workers are looked at, too
    said = capsys.readouterr().err
    assert "it is waited for" in said
    assert "there again" in said


def test_what_has_failed_is_tried_again_by_the_same_command(machines, tmp_path: Path):
    """Also what only waits for it: the scheduler, where work outlives its client, keeps no failures."""
    wanted, name = tmp_path / "wanted", tmp_path.name
    tasks = [
        Task(f"first-{name}", deadly.needs, (str(wanted),)),
        Task(f"second-{name}", deadly.needs, (str(wanted),), (f"first-{name}",)),
        Task(f"third-{name}", deadly.needs, (str(wanted),), (f"second-{name}",)),
    ]
    for _ in range(2):
        failed: dict[str, object] = {}
        with workers_at(Scheduler(machines.address)) as engine:
            engine.run(tasks, failed.__setitem__, lambda _: None)
        assert [type(outcome) for outcome in failed.values()] == [ValueError] * 3
    wanted.touch()
    found: dict[str, object] = {}
    with workers_at(Scheduler(machines.address)) as engine:
        engine.run(tasks, found.__setitem__, lambda _: None)
    assert found == {task.name: "done" for task in tasks}


CLIENT = """
import sys
from cluster.test_lost import many
from cellda.cluster.place import Scheduler
from cellda.cluster.start import workers_at
from pathlib import Path
with workers_at(Scheduler(sys.argv[1])) as engine:
    engine.run(many(Path(sys.argv[2]), int(sys.argv[3])), lambda *_: None, lambda _: None)
"""


def client(machines, file: Path, number: int) -> subprocess.Popen:
    words = [sys.executable, "-c", CLIENT, machines.address, str(file), str(number)]
    return subprocess.Popen(words, env=machines.environment)


def test_work_goes_on_when_its_client_is_killed_and_another_one_joins_it(machines, tmp_path: Path):
    file = tmp_path / "done"
    first = client(machines, file, 30)
    wait_for(lambda: len(lines(file)) > 2)
    first.kill()
    first.wait()
    before = len(lines(file))
    wait_for(lambda: len(lines(file)) > before + 2)  # nobody waits for it
    found: dict[str, object] = {}
    with workers_at(Scheduler(machines.address)) as engine:
        unfinished = engine.known(task.name for task in many(file, 30))
        engine.run(
            [task for task in many(file, 30) if task.name in unfinished],
            found.__setitem__,
            lambda _: None,
        )
    assert unfinished
    done = list(map(int, lines(file)))
    assert sorted(set(done)) == list(range(30))
    assert len(done) <= 32  # what ended while it was asked for; runs would be found in the store


def test_ctrl_c_takes_the_tasks_back_and_whoever_runs_the_same_is_told(machines, tmp_path: Path):
    file = tmp_path / "done"
    first = client(machines, file, 200)
    wait_for(lambda: len(lines(file)) > 2)
    raised: list[BaseException] = []

    def join() -> None:
        with workers_at(Scheduler(machines.address)) as engine:
            try:
                engine.run(many(file, 200), lambda *_: None, lambda _: None)
            except CelldaError as error:
                raised.append(error)

    second = threading.Thread(target=join)
    second.start()
    time.sleep(2)
    first.send_signal(signal.SIGINT)
    assert first.wait() != 0
    second.join(60)
    assert "taken back by another process" in str(raised[0])
    time.sleep(1)
    done = len(lines(file))
    time.sleep(1)
    assert len(lines(file)) == done < 200


def test_tasks_of_networks_go_to_workers_with_a_gpu_if_there_are_any(tmp_path: Path):
    there = Machines(tmp_path, workers=1)
    try:
        there.add_worker("--resources", "GPU=1", "--name", "with-gpu")
        with workers_at(Scheduler(there.address)) as engine:
            engine.client.wait_for_workers(2, timeout=60)
            found: dict[str, object] = {}
            tasks = [Task(f"t{k}", deadly.where, (), network=k % 2 == 0) for k in range(12)]
            engine.run(tasks, found.__setitem__, lambda _: None)
    finally:
        there.stop()
    assert {found[f"t{k}"] for k in range(0, 12, 2)} == {"with-gpu"}
    assert {found[f"t{k}"] for k in range(1, 12, 2)} != {"with-gpu"}


STUDY = """
import sys
from pathlib import Path
from cluster.studies import study
study(Path(sys.argv[1])).run(on=sys.argv[2])
"""


def test_a_study_whose_process_is_gone_is_attached_to(machines, here, tmp_path: Path):
    words = [sys.executable, "-c", STUDY, str(tmp_path), machines.address]
    first = subprocess.Popen(words, env=machines.environment)
    wait_for(lambda: any((tmp_path / "logs").glob("run-*")))
    first.kill()
    first.wait()
    store = Store(tmp_path)
    plan = plan_of(store, None)
    assert plan.ended is None
    now = attach(plan, store, progress=False)
    assert len(now.done) == len(plan.runs) == 12
    assert plan_of(store, None).ended is not None
    pd.testing.assert_frame_equal(study(tmp_path).run(on="tcp://127.0.0.1:9"), here, check_exact=True)
    assert attach(plan, store, progress=False).done == now.done  # an ended one asks nobody


def test_a_study_in_one_process_cannot_be_attached_to(tmp_path: Path):
    plan = Plan.of(study(tmp_path).runs(), "local")
    with pytest.raises(ConfigurationError, match="begun on local, where it ends with the process"):
        attach(plan, Store(tmp_path), progress=False)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs prlimit")
def test_a_worker_without_room_is_said_and_the_same_command_goes_on(here, tmp_path: Path):
    import resource

    def allow(size: int) -> None:
        """How large a file may be that one of the workers writes: what a full disk says, too."""
        nanny = psutil.Process(there.processes[1].pid)
        for child in nanny.children():
            resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    there = Machines(tmp_path)
    try:
        with workers_at(Scheduler(there.address)) as engine:
            engine.client.wait_for_workers(2, timeout=60)
        allow(20_000)
        with pytest.raises(CelldaError, match=r"of 12 runs failed(.|\n)*There is no room for"):
            study(tmp_path / "store").run(on=there.address)
        allow(resource.RLIM_INFINITY)
        found = study(tmp_path / "store").run(on=there.address)
    finally:
        there.stop()
    pd.testing.assert_frame_equal(found, here, check_exact=True)
