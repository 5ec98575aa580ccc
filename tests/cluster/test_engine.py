"""The engine with real workers: order, failures, workers that die."""

from pathlib import Path

import pytest

from cellda.cluster import start
from cellda.cluster.engine import Task
from cellda.cluster.place import Scheduler
from cellda.cluster.start import workers_at
from cellda.errors import ConfigurationError
from cluster import deadly


@pytest.fixture(scope="module")
def engine(machines):
    with workers_at(Scheduler(machines.address)) as found:
        yield found


def outcomes(engine, *tasks: Task) -> dict[str, object]:
    found: dict[str, object] = {}

    def finished(name: str, outcome: object) -> None:
        assert name not in found
        found[name] = outcome

    engine.run(tasks, finished, lambda _: None)
    return found


def test_tasks_are_done_after_those_they_wait_for(engine, tmp_path: Path):
    file = str(tmp_path / "order")
    names = [f"{kind}{number}" for kind in "abc" for number in range(4)]
    tasks = [
        Task(
            name,
            deadly.stamp,
            (file, name),
            tuple(one for one in names if one[0] < name[0] and one[1] == name[1]),
        )
        for name in names
    ]
    assert set(outcomes(engine, *tasks)) == set(names)
    done = Path(file).read_text().split()
    assert sorted(done) == sorted(names)
    assert all(done.index(f"a{n}") < done.index(f"b{n}") < done.index(f"c{n}") for n in range(4))


def test_what_fails_is_said_and_what_waits_for_it_fails_too(engine, tmp_path: Path):
    file = str(tmp_path / "order")
    found = outcomes(
        engine,
        Task("bad", deadly.refuse, ()),
        Task("after bad", deadly.stamp, (file, "after bad"), ("bad",)),
        Task("other", deadly.stamp, (file, "other")),
    )
    assert str(found["bad"]) == str(found["after bad"]) == "no such cell"
    assert isinstance(found["other"], float)
    assert Path(file).read_text().split() == ["other"]


def test_a_worker_that_dies_takes_nothing_with_it(engine, tmp_path: Path):
    assert outcomes(engine, Task("dies once", deadly.die_once, (str(tmp_path / "mark"),))) == {
        "dies once": "done"
    }


def test_what_kills_every_worker_is_tried_once_more_alone_and_named(engine, tmp_path: Path, capsys):
    file = str(tmp_path / "order")
    found = outcomes(engine, Task("too large", deadly.die, ()), Task("fits", deadly.stamp, (file, "fits")))
    assert isinstance(found["too large"], MemoryError)
    assert isinstance(found["fits"], float)
    assert "too large: its workers died; it is tried once more, alone." in capsys.readouterr().err


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setattr(start, "PATIENCE", 1)
    place = workers_at(Scheduler("tcp://127.0.0.1:9"))
    with pytest.raises(ConfigurationError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        place.__enter__()


def test_what_waits_for_something_that_was_given_up_is_given_up_at_once(engine, tmp_path: Path, capsys):
    file = str(tmp_path / "order")
    found = outcomes(
        engine,
        Task("kills", deadly.die, ()),
        Task("next", deadly.stamp, (file, "next"), ("kills",)),
        Task("last", deadly.stamp, (file, "last"), ("next",)),
    )
    assert "kills, for which it waits, was given up" in str(found["next"])
    assert "next, for which it waits, was given up" in str(found["last"])
    assert not Path(file).exists()
    assert capsys.readouterr().err.count("tried once more, alone") == 1
