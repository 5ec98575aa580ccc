"""One training in several processes: its result is that of one process, and an end of one of them ends all."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from browser import free_port
from cellda.cluster.place import Here, place_of
from cellda.errors import ConfigurationError
from cellda.experiment.record import RunRecord
from cellda.runtime.launched import launched
from cellda.training.loop import Trainer
from training import several
from training.several import ADAPTERS, SOURCE_TRAININGS, State, trained

QUICK = (*SOURCE_TRAININGS, "l2_sp", "delta", "fixmatch", "dann", "mmd")
"""Trainings of each kind: penalties on weights, hooks, two views, own parameters, distances within a batch."""

TOLERANCE = 3e-5
"""A thousandth of what the weights move by."""

ALONE = {"dropout", "mixstyle", "delta"}
"""What the main process trains alone."""


def environment(**more: object) -> dict[str, str]:
    """The environment of a program that imports what this one does."""
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    return {**os.environ, "PYTHONPATH": path, **{name: str(value) for name, value in more.items()}}


def start(size: int, *words: object) -> list[subprocess.Popen[str]]:
    """Start `several` as a launcher does, so many times."""
    port = free_port()
    return [
        subprocess.Popen(
            [sys.executable, several.__file__, *map(str, words)],
            env=environment(
                RANK=rank,
                LOCAL_RANK=rank,
                WORLD_SIZE=size,
                LOCAL_WORLD_SIZE=size,
                MASTER_ADDR="127.0.0.1",
                MASTER_PORT=port,
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]


def ended(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    """Exit status and standard error of all, which must end."""
    try:
        said = [process.communicate(timeout=120)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, text) for process, text in zip(processes, said, strict=True)]


class Together:
    """Trainings in several processes, the last of which dies while it trains with checkpoints.

    Args:
        folder: For what they write.
        size: Number of processes.
        names: The trainings.

    Attributes:
        weights: After each.
        said: What the main process has written on standard error.
        statuses: Exit status of each process.
        kept: Folder of the checkpoints.
    """

    def __init__(self, folder: Path, size: int, names: Sequence[str]) -> None:
        self.kept = folder / "kept"
        found = ended(start(size, folder / "weights.pt", self.kept, *names))
        self.said, self.statuses = found[0][1], [status for status, _ in found]
        assert (folder / "weights.pt").exists(), self.said
        self.weights: dict[str, State] = torch.load(folder / "weights.pt")


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> Together:
    return Together(tmp_path_factory.mktemp("both"), 2, QUICK)


def check_same(found: State, wanted: State) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert float((found[name] - value).abs().max()) <= TOLERANCE, name


@pytest.mark.parametrize("name", QUICK)
def test_two_processes_train_what_one_does(both, name) -> None:
    check_same(both.weights[name], trained(name))


def test_what_one_process_trains_alone_is_said(both) -> None:
    assert both.said.count(": one of the 2 processes trains, because ") == len(ALONE & set(QUICK))


def test_after_a_process_has_died_the_others_end_and_a_single_one_goes_on(both, tmp_path) -> None:
    assert both.statuses == [1, 9]
    assert "LostProcessError: One of the 2 processes has ended" in both.said
    assert [kept.name for kept in both.kept.iterdir()] == ["epoch_00002"]  # of three
    check_same(several.kept(both.kept), several.kept(tmp_path / "other"))


@pytest.mark.slow
def test_three_processes_train_what_one_does_with_every_adapter(tmp_path) -> None:
    found = Together(tmp_path, 3, (*SOURCE_TRAININGS, *ADAPTERS))
    for name, weights in found.weights.items():
        check_same(weights, trained(name))


# ---------------------------------------------------------------------------------------------- what is refused


@pytest.fixture
def beside(monkeypatch):
    """This process believes that a launcher has started it beside another."""
    for name, value in {"RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}.items():
        monkeypatch.setenv(name, str(value))
    launched.cache_clear()
    yield monkeypatch
    launched.cache_clear()


def test_a_program_whose_processes_would_all_do_everything_is_refused(beside) -> None:
    with pytest.raises(ConfigurationError, match=r"started this program 2 times.*ranks\.on_main"):
        Trainer("cpu")


def test_other_workers_beside_those_of_a_launcher_are_refused(beside) -> None:
    assert place_of("local") == Here()
    with pytest.raises(
        ConfigurationError, match="2 processes of a launcher train together, and 'processes:2'"
    ):
        place_of("processes:2")


def test_processes_that_it_starts_are_not_taken_for_its_neighbours(beside) -> None:
    assert launched() is not None
    assert not {"RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"} & os.environ.keys()


def test_a_launcher_that_divides_models_is_refused(beside) -> None:
    beside.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(ConfigurationError, match="FSDP divides them"):
        launched()


# ---------------------------------------------------------------------------------------------- the command

LAUNCH = ("accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1")
RUN = ("run", "--target", "synthetic/1", "--source", "synthetic/0", "--preset", "laptop", "--n", "20")
TINY = {
    "device": "cpu",
    "search": "null",
    "backbone.name": "test_efficientnet",
    "backbone.weights": "none",
    "backbone.image_size": "32",
    "training.epochs": "1",
}


@pytest.mark.slow
def test_the_command_works_once_under_accelerate(tmp_path) -> None:
    settings = [word for name, value in TINY.items() for word in ("--set", f"{name}={value}")]
    words = [*LAUNCH, f"--main_process_port={free_port()}", "-m", "cellda", *RUN, *settings]
    finished = subprocess.run(
        [sys.executable, "-m", *words, "--store", str(tmp_path), "--json"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout)  # a second one behind it would be no JSON
    assert finished.stderr.count("Saved in ") == 1
    [record] = tmp_path.glob("runs/*/record.json")
    assert RunRecord.read(record).device.endswith("2 processes")
