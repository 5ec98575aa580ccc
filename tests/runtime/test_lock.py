"""Locks between processes."""

import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cellda.runtime.lock import LockedError, locked


@pytest.fixture
def other(tmp_path: Path):
    """Another process that holds the lock until its standard input is closed."""
    code = (
        "import sys; from pathlib import Path; from cellda.runtime.lock import locked\n"
        f"with locked(Path({str(tmp_path / 'lock')!r})):\n    print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        yield process
        process.stdin.close()


def test_a_lock_of_another_process_is_refused_or_waited_for(tmp_path: Path, other) -> None:
    name = f"process {other.pid} on {socket.gethostname()}"
    with pytest.raises(LockedError, match=name), locked(tmp_path / "lock"):
        pass
    said = []

    def waiting(holder: str) -> None:
        said.append(holder)
        threading.Timer(0.2, other.stdin.close).start()

    with locked(tmp_path / "lock", waiting):
        assert said == [name]
    assert not list(tmp_path.iterdir())


def test_a_lock_of_a_process_that_died_is_free(tmp_path: Path, other) -> None:
    other.kill()
    other.wait()
    assert (tmp_path / "lock").exists()
    with locked(tmp_path / "lock"), pytest.raises(LockedError), locked(tmp_path / "lock"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_holder_that_nobody_can_name_is_another_process(tmp_path: Path, other) -> None:
    for content in ("", "[1]", '{"pid": "x", "host": "y"}'):
        (tmp_path / "lock.holder").write_text(content)
        with pytest.raises(LockedError, match=r"^another process$"), locked(tmp_path / "lock"):
            pass


def test_the_file_stays_where_it_is_still_needed(tmp_path: Path) -> None:
    with locked(tmp_path / "lock", keep=lambda: True):
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["lock"]
