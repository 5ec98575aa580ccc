"""Studies on a scheduler and workers that are killed at random moments, as well as whoever began them."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pandas as pd
import psutil
import pytest

from cluster.conftest import Machines
from cluster.conftest import here as here  # a fixture
from cluster.studies import study
from faults import counts
from faults.stored import finished

if not hasattr(os, "fork"):
    pytest.skip("needs processes that fork", allow_module_level=True)

STUDY = """
import sys
from pathlib import Path
from cluster.studies import study
study(Path(sys.argv[1])).run(on=sys.argv[2]).to_parquet(sys.argv[3])
"""


def kill_a_worker(machines: Machines, moments: random.Random) -> bool:
    """Kill the process in which a worker computes, if one does; its nanny starts another one."""
    nannies = [one for one in machines.processes if one.args[3] == "worker"]
    children = [child for one in nannies for child in psutil.Process(one.pid).children() if _computes(child)]
    if not children:
        return False
    try:
        moments.choice(children).kill()
    except psutil.NoSuchProcess:
        return False
    return True


def _computes(process: psutil.Process) -> bool:
    try:
        return "spawn_main" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def kill_the_scheduler(machines: Machines) -> None:
    """Kill the scheduler, and start it again with new workers, as a service does."""
    machines.stop()
    machines.start(2)


@pytest.mark.faults
@pytest.mark.parametrize("kills", [20])
def test_kills_of_workers_scheduler_and_client_change_nothing(
    kills: int, here: pd.DataFrame, tmp_path: Path
) -> None:
    moments, done, twice, studies, same = random.Random(0), Counter(), 0, 0, 0
    machines = Machines(tmp_path)
    try:
        while sum(done.values()) < kills:
            store, result = tmp_path / f"store{studies}", tmp_path / f"{studies}.parquet"
            words = [sys.executable, "-c", STUDY, str(store), machines.address, str(result)]
            known: dict[str, tuple[int, int]] = {}
            client = subprocess.Popen(words, env=machines.environment)
            while client.poll() is None or client.returncode:
                assert client.poll() is None or client.returncode == -signal.SIGKILL
                with suppress(subprocess.TimeoutExpired):
                    client.wait(moments.uniform(2, 12))
                now = finished(store)
                twice += sum(now.get(name) != made for name, made in known.items())
                known = now
                if client.poll() is None and sum(done.values()) < kills:
                    victim = moments.choice(["worker", "worker", "scheduler", "client"])
                    if victim == "worker" and not kill_a_worker(machines, moments):
                        continue
                    done[victim] += 1
                    if victim == "scheduler":
                        kill_the_scheduler(machines)
                    elif victim == "client":
                        client.kill()
                        client.wait()
                        time.sleep(moments.uniform(0, 3))
                        client = subprocess.Popen(words, env=machines.environment)
            studies += 1
            same += pd.read_parquet(result).equals(here.reset_index(drop=True))
            assert {run.digest for _, run in study(store).runs() if run.finished()} == {
                run.digest for _, run in study(store).runs()
            }
    finally:
        machines.stop()
    counts.write(
        "machine_kills",
        [
            {
                "test": "a scheduler and two workers, killed at random moments",
                "kills": sum(done.values()),
                "workers": done["worker"],
                "schedulers": done["scheduler"],
                "clients": done["client"],
                "studies": studies,
                "identical": same,
                "made_twice": twice,
            }
        ],
    )
    assert same == studies
    assert twice == 0
