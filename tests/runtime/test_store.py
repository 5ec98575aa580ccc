"""The store: built once, whole or not at all."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from cellda.errors import ConfigurationError
from cellda.runtime.storage import lease, lock, manifest, store
from cellda.runtime.storage.store import Store
from cellda.runtime.work import Stage, Work, watched
from leases import left_by_a_dead_process

KEY = {"recipe": "a", "seed": 0}


def write(folder: Path) -> None:
    (folder / "result.txt").write_text("done")


class Counted:
    """A stage that counts how often it is made."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, folder: Path) -> None:
        self.times += 1
        write(folder)


# --- stages


def test_a_stage_is_built_once(tmp_path: Path):
    make = Counted()
    first = Store(tmp_path).build("stage", KEY, make)
    again = Store(tmp_path).build("stage", dict(reversed(KEY.items())), make)
    assert first == again == Store(tmp_path).path("stage", KEY)
    assert make.times == 1
    assert (first / "result.txt").read_text() == "done"
    assert sorted(path.name for path in first.parent.iterdir()) == [first.name]


def test_a_stage_says_what_it_depends_on(tmp_path: Path):
    folder = Store(tmp_path).build("stage", KEY, write)
    said = json.loads((folder / "key.json").read_text())
    assert said == {**KEY, "keys": store.KEYS}


def test_another_key_kind_or_version_is_another_stage(tmp_path: Path, monkeypatch):
    place = Store(tmp_path)
    keys: list[dict[str, Any]] = [
        KEY,
        {**KEY, "seed": 1},
        {**KEY, "more": None},
        {"recipe": "a"},
        {"a": [1, 2]},
    ]
    paths = {place.path("stage", key) for key in keys} | {place.path("other", KEY)}
    assert len(paths) == len(keys) + 1
    monkeypatch.setattr(store, "KEYS", store.KEYS + 1)
    assert place.path("stage", KEY) not in paths


def test_a_stage_appears_only_when_it_is_whole(tmp_path: Path):
    place = Store(tmp_path)
    seen = []

    def make(folder: Path) -> None:
        write(folder)
        seen.append(place.path("stage", KEY).exists())

    assert place.build("stage", KEY, make).is_dir()
    assert seen == [False]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_what_was_begun_is_kept_and_gone_on_with(tmp_path: Path, error: type[BaseException]):
    place = Store(tmp_path)

    def breaks(folder: Path) -> None:
        (folder / "checkpoint").write_text("half")
        raise error

    def goes_on(folder: Path) -> None:
        (folder / "result.txt").write_text((folder / "checkpoint").read_text() + " and the rest")

    with pytest.raises(error):
        place.build("stage", KEY, breaks)
    assert not place.path("stage", KEY).exists()
    folder = place.build("stage", KEY, goes_on)
    assert (folder / "result.txt").read_text() == "half and the rest"


def test_two_builders_build_once(tmp_path: Path):
    make, started = Counted(), threading.Event()

    def slow(folder: Path) -> None:
        started.set()
        make(folder)
        time.sleep(0.2)  # give the other one time to come in if nothing holds it back

    def build() -> None:
        found.append(Store(tmp_path).build("stage", KEY, slow))

    found: list[Path] = []
    first, second = threading.Thread(target=build), threading.Thread(target=build)
    first.start()
    started.wait(10)
    second.start()
    first.join(10)
    second.join(10)
    assert make.times == 1
    assert found == [Store(tmp_path).path("stage", KEY)] * 2


def test_where_the_store_lies(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("CELLDA_STORE", str(tmp_path / "by_environment"))
    assert Store().root == tmp_path / "by_environment"
    assert Store(tmp_path / "given").root == tmp_path / "given"
    monkeypatch.delenv("CELLDA_STORE")
    assert Store().root.name == "cellda"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Store("~/mine").root == tmp_path / "mine"


def test_a_store_that_cannot_be_written_is_said_so(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"cannot be stored in .*file.*--store.*CELLDA_STORE"):
        Store(tmp_path / "file").build("stage", KEY, write)


# --- damage


def entry(root: Path) -> Path:
    """A finished stage with files in it and below."""

    def make(folder: Path) -> None:
        (folder / "model").mkdir()
        (folder / "model" / "weights").write_bytes(bytes(range(256)) * 20)
        (folder / "table.csv").write_text("a,b\n1,2\n")
        (folder / store.WORKING / "checkpoint").write_text("of use until then")

    return Store(root).build("stage", KEY, make)


FILES = ("model/weights", "table.csv", "key.json", "manifest.json")
FAULTS = {
    "cut": lambda content: content[: len(content) // 2],
    "emptied": lambda _content: b"",
    "flipped": lambda content: content[:7] + bytes([content[7] ^ 4]) + content[8:],
    "longer": lambda content: content + b"\0",
    "removed": None,
}


def harm(file: Path, fault: str) -> None:
    """Damage a file and leave its times as they were, as a disk does."""
    change, facts = FAULTS[fault], file.stat()
    content = file.read_bytes()
    file.unlink()
    if change is not None:
        file.write_bytes(change(content))
        os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def test_an_entry_states_the_size_and_hash_of_its_files(tmp_path: Path):
    folder = entry(tmp_path)
    said = json.loads((folder / "manifest.json").read_text())
    assert said["name"] == folder.name
    assert sorted(said["files"]) == sorted(FILES[:3])
    assert said["files"]["table.csv"]["bytes"] == 8
    assert not (folder / store.WORKING).exists()


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_entry_is_named_set_aside_and_built_again(tmp_path: Path, capsys, file: str, fault: str):
    folder = entry(tmp_path)
    whole = {name: (folder / name).read_bytes() for name in FILES}
    for number in ("", ".2"):
        harm(folder / file, fault)
        capsys.readouterr()
        assert Store(tmp_path).find("stage", KEY) is None
        said = capsys.readouterr().err
        assert f"{folder} is damaged: " in said
        assert file in said
        assert f"It is now {folder.name}.damaged{number}" in said
        assert (folder.parent / f"{folder.name}.damaged{number}").is_dir()
        assert entry(tmp_path) == folder
        assert {name: (folder / name).read_bytes() for name in FILES} == whole
    assert not list(tmp_path.rglob("*.lock"))


@pytest.mark.parametrize("found", ["file", "broken link"])
def test_what_is_not_a_folder_is_set_aside_before_the_work(tmp_path: Path, capsys, found: str):
    folder = Store(tmp_path).path("stage", KEY)
    for place in (folder, folder.with_name(f"{folder.name}.partial")):
        place.parent.mkdir(exist_ok=True)
        place.write_text("x") if found == "file" else place.symlink_to(tmp_path / "gone")
    assert Store(tmp_path).find("stage", KEY) is None
    said = capsys.readouterr().err
    assert (
        f"{folder} is damaged: {'it is a file' if found == 'file' else 'it is a link that leads nowhere'}"
        in said
    )
    assert f"It is now {folder.name}.damaged" in said
    assert entry(tmp_path) == folder
    assert sorted(place.name for place in folder.parent.iterdir()) == [folder.name, f"{folder.name}.damaged"]


def test_a_file_in_the_place_of_a_folder_of_the_store_is_named(tmp_path: Path):
    (tmp_path / "stage").write_text("x")
    with pytest.raises(ConfigurationError, match=rf"{tmp_path / 'stage'} is not a folder; remove it, or"):
        entry(tmp_path)


def test_an_entry_under_the_name_of_another_is_not_used(tmp_path: Path, capsys):
    folder = entry(tmp_path)
    other = Store(tmp_path).path("stage", {"another": "key"})
    folder.rename(other)
    assert Store(tmp_path).find("stage", {"another": "key"}) is None
    assert f"it was made as {folder.name}" in capsys.readouterr().err


def test_an_entry_is_read_through_once_a_process(tmp_path: Path, monkeypatch):
    folder = entry(tmp_path)
    read: list[Path] = []
    hash_of = manifest.hash_of
    monkeypatch.setattr(manifest, "hash_of", lambda file, *rest: read.append(file) or hash_of(file, *rest))
    for _ in range(3):
        assert Store(tmp_path).find("stage", KEY) == folder
    assert sorted(read) == sorted(folder / name for name in FILES[:3])


def test_a_large_entry_shows_that_it_is_checked(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(manifest, "SHOWN", 100)
    begun: list[Work] = []
    entry(tmp_path)
    with watched(begun.append):
        Store(tmp_path).find("stage", KEY)
    assert [work.stage for work in begun] == [Stage.VERIFY]


# --- kills between the last steps, and locks


def test_a_stage_that_was_sealed_before_the_kill_is_not_made_again(tmp_path: Path):
    folder = entry(tmp_path)
    whole = (folder / "manifest.json").read_bytes()
    (folder / store.WORKING).mkdir()
    folder.rename(f"{folder}.partial")
    left_by_a_dead_process(Path(f"{folder}.lock"))

    def again(_folder: Path) -> None:
        raise AssertionError("it is finished")

    assert Store(tmp_path).build("stage", KEY, again) == folder
    assert (folder / "manifest.json").read_bytes() == whole
    assert sorted(file.name for file in tmp_path.rglob("*")) == sorted(
        ["stage", folder.name, "model", "weights", "table.csv", "key.json", "manifest.json"]
    )


def test_what_a_kill_in_the_last_step_leaves_is_removed(tmp_path: Path):
    folder = entry(tmp_path)
    (folder / store.WORKING).mkdir()
    (folder / store.WORKING / "checkpoint").touch()
    left_by_a_dead_process(Path(f"{folder}.lock"))
    assert Store(tmp_path).find("stage", KEY) == folder
    assert not (folder / store.WORKING).exists()
    assert not Path(f"{folder}.lock").exists()


def test_a_half_sealed_stage_is_made_again(tmp_path: Path):
    folder = entry(tmp_path)
    folder.rename(f"{folder}.partial")
    harm(Path(f"{folder}.partial") / "table.csv", "cut")
    make = Counted()
    Store(tmp_path).build("stage", KEY, make)
    assert make.times == 1


def test_a_failure_that_leaves_nothing_to_resume_leaves_nothing(tmp_path: Path):
    def fails(_folder: Path) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        Store(tmp_path).build("stage", KEY, fails)
    assert list((tmp_path / "stage").iterdir()) == []


HOLDER = """
import sys, time
from pathlib import Path
from cellda.runtime.storage.store import Store

def make(folder):
    (folder / "half").touch()
    print("building", flush=True)
    time.sleep(60)

Store(sys.argv[1]).build("stage", {"recipe": "a", "seed": 0}, make)
"""


def test_who_waits_says_for_whom_and_goes_on_when_that_one_is_killed(tmp_path: Path, capsys):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "building\n"
        threading.Timer(lease.PATIENCE + 0.5, holder.kill).start()
        folder = Store(tmp_path).build("stage", KEY, write)
    said = capsys.readouterr().err
    assert (
        f"Waiting for process {holder.pid} on {socket.gethostname()}, which builds stage/{folder.name}."
        in said
    )
    assert sorted(file.name for file in folder.iterdir()) == [
        "half",
        "key.json",
        "manifest.json",
        "result.txt",
    ]
    assert [file.name for file in folder.parent.iterdir()] == [folder.name]


def test_who_only_uses_an_entry_is_named_as_well(tmp_path: Path, capsys):
    folder = entry(tmp_path)
    harm(folder / "table.csv", "flipped")
    held = f"""
import sys
from pathlib import Path
from cellda.runtime.storage.lock import locked
with locked(Path({str(folder) + ".lock"!r})):
    print(flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", held], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        holder.stdout.readline()
        threading.Timer(lease.PATIENCE + 0.5, holder.stdin.close).start()
        assert Store(tmp_path).find("stage", KEY) is None
    named = f"Waiting for process {holder.pid} on {socket.gethostname()}, which uses stage/{folder.name}."
    assert named in capsys.readouterr().err
    assert [file.name for file in folder.parent.iterdir()] == [f"{folder.name}.damaged"]


# --- stores of others


@pytest.fixture
def sealed_off(tmp_path: Path, monkeypatch):
    """Nothing can be created or renamed in the store, as in one of another user."""
    entry(tmp_path)

    def refuse(*_given, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(Path, "touch", refuse)
    monkeypatch.setattr(lock, "_created", refuse)
    return tmp_path


def test_what_lies_in_a_store_that_cannot_be_written_is_used(sealed_off: Path):
    assert entry(sealed_off) == Store(sealed_off).find("stage", KEY)
    with pytest.raises(ConfigurationError, match=r"cannot be stored in .*Permission denied.*--store"):
        Store(sealed_off).check_writable()
    with pytest.raises(ConfigurationError, match=r"cannot be stored in .*Permission denied.*--store"):
        Store(sealed_off).build("stage", {"another": "key"}, write)


def test_a_store_that_can_be_written_is_left_as_it_was(tmp_path: Path):
    Store(tmp_path / "new").check_writable()
    assert list((tmp_path / "new").iterdir()) == []
