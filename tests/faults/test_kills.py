"""A study that is killed, or made by several processes of which some are killed, gives the same predictions."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from faults import counts

if not hasattr(os, "fork"):
    pytest.skip("needs processes that fork", allow_module_level=True)


def watched(place: Path, kills: int, patience: float) -> dict[str, Any]:
    """What `studies.py` found out, in a process whose children can be killed."""
    script = Path(__file__).with_name("studies.py")
    said = subprocess.run(
        [sys.executable, script, place, str(kills), str(patience), "0"],
        capture_output=True,
        text=True,
        check=False,
        env=with_tests(),
    )
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)


def with_tests() -> dict[str, str]:
    """The environment in which the script finds the tests' own modules."""
    tests = str(Path(__file__).parents[1])
    return {**os.environ, "PYTHONPATH": os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")])}


@pytest.fixture(scope="module")
def found(request, tmp_path_factory) -> dict[str, Any]:
    kills, patience = request.param
    return watched(tmp_path_factory.mktemp("kills"), kills, patience)


FORMS = [
    pytest.param((1, 0.3), id="short"),
    pytest.param((50, 0.1), id="long", marks=pytest.mark.faults),
]


@pytest.mark.parametrize("found", FORMS, indirect=True)
def test_kills_change_nothing_lose_nothing_and_leave_nothing(found: dict[str, Any]) -> None:
    counts.write(
        "kills",
        [
            {
                "test": "one process, killed at random moments",
                "kills": found["kills"],
                "studies": found["studies"],
                "identical": found["identical"],
                "made_twice": found["twice"],
                "left_behind": len(found["left"]),
                "killed_in": "; ".join(f"{kind} {number}" for kind, number in found["at"].items()),
            },
            {
                "test": "eight processes on one store, three holders of a lock killed",
                "kills": found["together"]["killed"],
                "studies": found["together"]["well"],
                "identical": found["together"]["identical"],
                "made_twice": "",
                "left_behind": len(found["together"]["left"]),
                "killed_in": "",
            },
        ],
    )
    assert found["kills"] >= 1
    assert found["identical"] == found["studies"]
    assert found["twice"] == 0
    assert found["left"] == []


@pytest.mark.parametrize("found", FORMS, indirect=True)
def test_processes_share_a_store_though_holders_of_locks_are_killed(found: dict[str, Any]) -> None:
    together = found["together"]
    assert together["killed"] == 3
    assert together["well"] == together["identical"] == 5
    assert together["left"] == []
    assert "Waiting for process" in together["said"]
