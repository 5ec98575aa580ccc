"""The asynchronous search: its trials through Optuna's storage, in a file or in a real PostgreSQL."""

import json
import threading
import time
import traceback
from collections.abc import Iterator

import optuna
import pytest

from cellda import Recipe
from cellda.adapters.base import AdaptContext, TargetView
from cellda.errors import ConfigurationError
from cellda.runtime.storage.pieces import Pieces
from cellda.selection import storage
from cellda.selection.judge import Judge
from cellda.selection.search import SearchResult, search
from cellda.selection.settings import Search
from cellda.selection.shared import ASKED, Shared
from cellda.selection.storage import LOG, VARIABLE, check_storage, storage_in, storage_name
from postgres import PASSWORD, server
from selection.test_search import ROWS, Brightness, Killed, Mortal, Thresholds, Untrained
from tiny import brightness_set


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with server() as address:
        yield f"postgresql+psycopg://{address}"


@pytest.fixture(params=["file", "postgresql"])
def kept(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where trials are kept."""
    if request.param == "postgresql":
        monkeypatch.setenv(VARIABLE, request.getfixturevalue("database"))
    else:
        monkeypatch.delenv(VARIABLE, raising=False)
    return request.param


@pytest.fixture(autouse=True)
def fresh() -> None:
    Thresholds.seen.clear()
    Mortal.deaths.clear()


def judge(adapter: Thresholds | None = None, trials: int = 8) -> Judge:
    view = TargetView(brightness_set(per_class=12, classes=2).subset(list(ROWS)))
    settings = Search(trials=trials, asynchronous=True)
    return Judge(adapter or Thresholds(), Untrained, view, AdaptContext(Brightness(), 0), settings)


def values(found: SearchResult) -> list:
    return [[trial[name] for name in ("number", "state", "score", "values")] for trial in found.trials]


def test_in_one_process_it_is_a_search(kept, tmp_path) -> None:
    found = search(judge(trials=20), Pieces(tmp_path / "one"))
    assert [trial["number"] for trial in found.trials] == list(range(20))
    assert found.trials[0]["values"] == Thresholds().searched()
    best = max((t for t in found.trials if t["state"] == "complete"), key=lambda trial: trial["score"])
    assert found.adapter.searched() == best["values"]
    assert best["score"] > 0.9
    assert "pruned" in {trial["state"] for trial in found.trials}
    assert values(search(judge(trials=20), Pieces(tmp_path / "again"))) == values(found)


def test_the_study_is_gone_afterwards(kept, tmp_path) -> None:
    search(judge(trials=2), Pieces(tmp_path))
    assert optuna.get_all_study_names(storage_in(tmp_path)) == []


def test_several_processes_share_the_trials(kept, tmp_path) -> None:
    """Each of three asks when it is free; together they make as many as were asked for."""
    numbers = iter(range(9))
    errors: list[BaseException] = []

    def work() -> None:
        try:
            mine = Shared(judge(trials=9), Pieces(tmp_path))
            for number in numbers:
                mine.make(number)
        except BaseException as error:
            errors.append(error)

    Shared(judge(trials=9), Pieces(tmp_path))
    threads = [threading.Thread(target=work) for _ in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert errors == []
    assert Shared(judge(trials=9), Pieces(tmp_path)).made == 9
    calls = len(Thresholds.seen)
    found = search(judge(trials=9), Pieces(tmp_path))
    assert len(Thresholds.seen) == calls  # nothing more was tried
    assert len(found.trials) == 9
    assert sum(trial["values"] == Thresholds().searched() for trial in found.trials) == 1


def make_all(trials: Shared, begun: list[int]) -> None:
    """One after another; those that are begun are in the list."""
    for number in range(8):
        begun.append(number)
        trials.make(number)


@pytest.mark.parametrize("death", [0, 1, 4])
def test_a_trial_whose_worker_dies_is_tried_again(kept, tmp_path, death) -> None:
    Mortal.deaths[:] = [death]
    dying = Shared(judge(Mortal()), Pieces(tmp_path))
    begun: list[int] = []
    with pytest.raises(Killed):
        make_all(dying, begun)
    number = begun[-1]
    (left,) = dying._study.get_trials(states=(optuna.trial.TrialState.RUNNING,))
    assert left.user_attrs[ASKED] == number
    Mortal.deaths.clear()
    Shared(judge(Mortal()), Pieces(tmp_path)).make(number)  # the task is given to another worker
    found = search(judge(Mortal()), Pieces(tmp_path))
    assert left.params in [trial["values"] for trial in found.trials]
    assert sum(trial["values"] == Mortal().searched() for trial in found.trials) == 1
    assert len(found.trials) == 8


def test_the_values_of_a_worker_that_nobody_replaces_are_tried_by_another(tmp_path, monkeypatch, database):
    """Optuna's signs of life in the database: they stop, and the next trial has the values of the one that died."""
    monkeypatch.setenv(VARIABLE, database)
    monkeypatch.setattr(storage, "BEAT", 1)
    monkeypatch.setattr(storage, "GRACE", 2)
    dying, living = Shared(judge(Mortal()), Pieces(tmp_path)), Shared(judge(Mortal()), Pieces(tmp_path))
    dying.make(0)
    Mortal.deaths[:] = [len(Mortal.seen)]
    with pytest.raises(Killed):
        dying.make(1)
    (left,) = dying._study.get_trials(states=(optuna.trial.TrialState.RUNNING,))
    Mortal.deaths.clear()
    time.sleep(3)
    living.make(2)  # notices, and has them tried again
    living.make(3)
    states = {trial.number: trial for trial in living._study.get_trials()}
    assert states[left.number].state is optuna.trial.TrialState.FAIL
    assert left.params in [trial.params for trial in living._finished()]


def test_half_a_line_of_a_worker_that_died_is_dropped(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    mine = Shared(judge(), Pieces(tmp_path))
    mine.make(0)
    with (tmp_path / LOG).open("ab") as log:
        log.write(b'{"op_code":5,"worker_id":"x","trial_i')
    mine.make(1)
    assert len(search(judge(), Pieces(tmp_path)).trials) == 8


def test_a_lock_that_a_worker_left_when_it_died_is_taken_over(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    mine = Shared(judge(), Pieces(tmp_path))
    (tmp_path / f"{LOG}.lock").touch()
    monkeypatch.setattr(mine._storage._backend._lock, "grace_period", 1)
    mine.make(0)
    assert mine.made == 1


def test_another_storage_in_the_middle_is_refused(tmp_path, monkeypatch, database) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    Shared(judge(), Pieces(tmp_path)).make(0)
    monkeypatch.setenv(VARIABLE, database)
    with pytest.raises(ConfigurationError, match=f"a file in the store(.|\n)*set {VARIABLE}") as raised:
        Shared(judge(), Pieces(tmp_path))
    assert PASSWORD not in str(raised.value)


# --- the address of the database


def test_the_address_is_said_without_its_password(monkeypatch) -> None:
    monkeypatch.setenv(VARIABLE, f"postgresql://lab:{PASSWORD}@db.example:5433/trials?sslpassword={PASSWORD}")
    assert storage_name() == "postgresql://lab@db.example:5433/trials"
    monkeypatch.delenv(VARIABLE)
    assert storage_name() == "a file in the store"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (f"lab:{PASSWORD}@host", "is no address of a database"),
        (f"mysql://lab:{PASSWORD}@host/trials", "only PostgreSQL is known to work"),
        (f"sqlite:///{PASSWORD}.db", "only PostgreSQL is known to work"),
        (f"postgresql://lab:{PASSWORD}@127.0.0.1:9/trials", "lab@127.0.0.1:9/trials that"),
    ],
)
def test_a_database_that_cannot_be_used_is_refused_without_its_password(monkeypatch, address, said) -> None:
    monkeypatch.setenv(VARIABLE, address)
    with pytest.raises(ConfigurationError) as raised:
        check_storage()
    assert said in str(raised.value)
    assert PASSWORD not in "".join(traceback.format_exception(raised.value))


def test_a_wrong_password_is_not_repeated(monkeypatch, database) -> None:
    monkeypatch.setenv(VARIABLE, database.replace(PASSWORD, "guessed-one"))
    with pytest.raises(ConfigurationError, match=r"cannot be used: .*authentication failed") as raised:
        check_storage()
    assert "guessed-one" not in "".join(traceback.format_exception(raised.value))


def test_batches_and_no_batches_exclude_each_other() -> None:
    with pytest.raises(ConfigurationError, match=r"leave out batch=2, or asynchronous=true"):
        Recipe(search={"asynchronous": True, "batch": 2})
    assert Search(**json.loads(Search(asynchronous=True).model_dump_json())).asynchronous
