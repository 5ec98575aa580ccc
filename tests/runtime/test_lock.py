"""Locks between processes and machines."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cellda.errors import CelldaError
from cellda.runtime.storage import holder, lease
from cellda.runtime.storage.lock import LockedError, is_held, locked
from cellda.runtime.storage.store import Store
from leases import left_by_a_dead_process, of_another_machine

HOLD = """
import sys
from pathlib import Path
from cellda.runtime.storage import holder, lease, lock
lease.BEAT = 0.05
with lock.locked(Path(sys.argv[1])) as held:
    print(flush=True)
    sys.stdin.read()
    print(held.held, flush=True)
"""


@pytest.fixture
def quick(monkeypatch):
    """Short leases."""
    monkeypatch.setattr(lease, "BEAT", 0.05)
    monkeypatch.setattr(lease, "LEASE", 0.5)


@pytest.fixture
def other(tmp_path: Path):
    """Another process that holds the lock until its standard input is closed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.readline()
        yield process
        process.stdin.close()


def test_a_lock_of_another_process_is_refused_or_waited_for(tmp_path: Path, other) -> None:
    name = f"process {other.pid} on {socket.gethostname()}"
    assert is_held(tmp_path / "lock")
    with pytest.raises(LockedError, match=name), locked(tmp_path / "lock"):
        pass
    said = []

    def waiting(holder: str) -> None:
        said.append(holder)
        threading.Timer(0.2, other.stdin.close).start()

    with locked(tmp_path / "lock", waiting):
        assert said == [name]
    assert not list(tmp_path.iterdir())


def test_a_lock_of_a_process_that_died_is_free_at_once_and_without_a_word(
    tmp_path: Path, other, capsys
) -> None:
    other.kill()
    other.wait()
    assert (tmp_path / "lock").exists()
    assert not is_held(tmp_path / "lock")
    with locked(tmp_path / "lock"), pytest.raises(LockedError), locked(tmp_path / "lock"):
        pass
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr().err == ""


def test_a_killed_process_that_its_parent_has_not_asked_for_is_gone(tmp_path: Path, other) -> None:
    other.kill()
    time.sleep(0.2)
    with locked(tmp_path / "lock"):
        pass


def test_another_process_with_the_number_of_a_dead_one_holds_nothing(tmp_path: Path) -> None:
    file = left_by_a_dead_process(tmp_path / "lock")
    content = file.read_bytes()
    pid = content.partition(b'"pid": ')[2].partition(b",")[0]
    file.write_bytes(content.replace(b'"pid": ' + pid, b'"pid": %d' % os.getpid()))
    with locked(file):
        pass


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"pid": "x", "host": "y"}'])
def test_a_holder_that_has_not_written_who_it_is_is_waited_for_and_then_taken_over(
    content: bytes, tmp_path: Path, quick, capsys
) -> None:
    (tmp_path / "lock").write_bytes(content)
    began = time.monotonic()
    with locked(tmp_path / "lock"):
        assert time.monotonic() - began >= lease.BEAT
    assert "another process" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


# --- holders on other machines


@pytest.mark.parametrize("hours", [-1, 0, 1])
def test_a_silent_machine_is_taken_over_after_the_lease_whatever_its_clock_says(
    hours: int, tmp_path: Path, quick, capsys
) -> None:
    file = of_another_machine(tmp_path / "lock")
    os.utime(file, (time.time() + 3600 * hours,) * 2)
    began = time.monotonic()
    with locked(file, lambda _: None):
        assert lease.LEASE <= time.monotonic() - began < 3 * lease.LEASE
    assert (
        "Nothing was heard of process 42 on node7 for 1 s: its work on lock is taken over."
        in capsys.readouterr().err
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("hours", [-1, 0, 1])
def test_a_machine_whose_heart_beats_is_never_taken_over(hours: int, tmp_path: Path, quick) -> None:
    file, ended = of_another_machine(tmp_path / "lock"), threading.Event()

    def beat() -> None:
        count = 0
        while not ended.wait(0.1):
            count += 1
            of_another_machine(file, count)
            os.utime(file, (time.time() + 3600 * hours,) * 2)
        file.unlink()

    beating = threading.Thread(target=beat)
    beating.start()
    try:
        with pytest.raises(LockedError, match="process 42 on node7"), locked(file):
            pass
        threading.Timer(4 * lease.LEASE, ended.set).start()
        began = time.monotonic()
        with locked(file, lambda _: None):
            assert time.monotonic() - began > 3 * lease.LEASE
    finally:
        ended.set()
        beating.join()


def test_whether_another_machine_holds_a_lock_is_told_by_the_servers_clock(tmp_path: Path) -> None:
    file = of_another_machine(tmp_path / "lock")
    assert is_held(file)
    os.utime(file, (time.time() - lease.LEASE - 1,) * 2)
    assert not is_held(file)
    assert not is_held(tmp_path / "none")
    assert [one.name for one in tmp_path.iterdir()] == ["lock"]


def test_of_many_that_wait_for_a_silent_machine_one_holds_the_lock_at_a_time(tmp_path: Path, quick) -> None:
    file, inside, most, entered = tmp_path / "lock", [], [], []

    def wait() -> None:
        with locked(file, lambda _: None) as held:
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.02)
            entered.append(held.held)
            inside.pop()

    for _ in range(5):
        of_another_machine(file)
        threads = [threading.Thread(target=wait) for _ in range(6)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    assert entered == [True] * 30
    assert max(most) == 1
    assert not list(tmp_path.iterdir())


def test_a_machine_that_died_while_it_took_a_lock_over_blocks_nobody(tmp_path: Path, quick) -> None:
    file = of_another_machine(tmp_path / "lock")
    (tmp_path / "lock.taking").touch()
    with locked(file, lambda _: None):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="no SIGSTOP")
def test_a_process_that_slept_through_its_lease_finds_out_and_leaves_the_lock_of_the_other_one(
    tmp_path: Path, other, quick, monkeypatch
) -> None:
    other.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(holder, "here", lambda: {"host": "another", "boot": "1"})  # as from another machine
    with locked(tmp_path / "lock", lambda _: None) as own:
        other.send_signal(signal.SIGCONT)
        other.stdin.close()
        assert other.stdout.readline() == "False\n"
        other.wait()
        assert own.held
    assert not list(tmp_path.iterdir())


def test_what_was_taken_over_is_not_stored_by_the_one_that_slept(tmp_path: Path) -> None:
    def make(folder: Path) -> None:
        file = folder.with_name(folder.name.replace(".partial", ".lock"))
        file.unlink()
        of_another_machine(file)  # who has taken it over

    store = Store(tmp_path)
    with pytest.raises(
        CelldaError, match=r"Another process has taken over [0-9a-f]{16}, because this one was not heard"
    ):
        store.build("stage", {"n": 1}, make)
    assert not store.path("stage", {"n": 1}).exists()
    assert store.path("stage", {"n": 1}).with_suffix(".lock").exists()
