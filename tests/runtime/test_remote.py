"""A store in a bucket, which several machines share."""

import json
import re
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

from buckets import Machine, machines, server
from cellda.errors import CelldaError, ConfigurationError
from cellda.runtime.storage import inventory, lease
from cellda.runtime.storage.bucket import Bucket
from cellda.runtime.storage.bucket_lock import ObjectSite
from cellda.runtime.storage.entry_state import State
from cellda.runtime.storage.lease import LockedError, held
from cellda.runtime.storage.store import Store

KEY = {"n": 1}


@pytest.fixture(scope="module")
def served():
    with server() as environment:
        yield environment


@pytest.fixture
def machine(monkeypatch, served, tmp_path: Path) -> Machine:
    return machines(monkeypatch, served, tmp_path)


@pytest.fixture
def quick(monkeypatch):
    """Short leases."""
    monkeypatch.setattr(lease, "BEAT", 0.05)
    monkeypatch.setattr(lease, "LEASE", 0.5)
    monkeypatch.setattr(ObjectSite, "poll", 0.05)


def make(folder: Path) -> None:
    (folder / "below").mkdir(exist_ok=True)
    (folder / "below" / "numbers").write_bytes(bytes(range(256)))
    (folder / "working" / "checkpoint").write_bytes(b"0" * 1000)


def never(_folder: Path) -> None:
    raise AssertionError("it is made a second time")


def names(store: Store, kind: str = "stage") -> list[str]:
    return sorted(one.name.partition("/")[2] for one in store.remote.bucket.listed(kind))


def of_another_machine(store: Store, count: int = 0) -> str:
    """Write a lock that a process on another machine holds, or held; its name."""
    name = f"stage/{store.path('stage', KEY).name}.lock"
    content = {"host": "node7", "boot": "b pid:[1]", "pid": 42, "started": "7", "token": "1"}
    store.remote.bucket.write(name, json.dumps(content).encode() + b"\n" + b"%020d" % count)
    return name


def test_a_result_is_made_by_one_machine_and_copied_by_another_when_it_is_wanted(machine) -> None:
    first = machine("a")
    folder = first.build("stage", KEY, make)
    assert not (folder / "working").exists()
    assert names(first) == [f"{folder.name}.json", f"{folder.name}.zip"]
    second = machine("b")
    assert second.has("stage", KEY)
    assert not second.path("stage", KEY).exists()
    other = second.build("stage", KEY, never)
    assert other != folder
    files = sorted(file.relative_to(folder) for file in folder.rglob("*") if file.is_file())
    assert [str(file) for file in files] == ["below/numbers", "key.json", "manifest.json"]
    assert all((other / file).read_bytes() == (folder / file).read_bytes() for file in files)
    assert sorted(file.relative_to(other) for file in other.rglob("*") if file.is_file()) == files
    assert second.find("stage", KEY) == other
    assert machine("c").find("stage", {"n": 2}) is None
    assert not machine("c").has("stage", {"n": 2})


def test_what_an_entry_was_made_of_lies_beside_it(machine) -> None:
    store = machine("a")
    name = store.build("stage", KEY, make).name
    assert json.loads(store.remote.bucket.read(f"stage/{name}.json")) == {"n": 1, "keys": 2}


BUILD = """
import sys, time
from pathlib import Path
from cellda.runtime.storage.store import Store
def make(folder):
    (folder / "file").write_text("x")
    (Path(sys.argv[2]) / str(time.monotonic_ns())).touch()
    print("begun", flush=True)
    time.sleep(float(sys.argv[3]))
print(Store(sys.argv[1]).build("stage", {"n": 1}, make), flush=True)
"""


def build(store: Store, made: Path, seconds: float) -> subprocess.Popen:
    """A process on this machine, as it is now, that builds an entry."""
    return subprocess.Popen(
        [sys.executable, "-c", BUILD, str(store), str(made), str(seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_machines_that_want_the_same_at_once_make_it_once(machine, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    first = build(machine("a"), tmp_path / "made", 3)
    assert first.stdout.readline() == "begun\n"
    second = build(machine("b"), tmp_path / "made", 3)
    told = [process.communicate(timeout=60) for process in (first, second)]
    assert len(list((tmp_path / "made").iterdir())) == 1
    assert f"Waiting for process {first.pid} on" in told[1][1]
    assert "which builds stage/" in told[1][1]
    assert all(Path(out.strip().splitlines()[-1]).is_dir() for out, _ in told)
    store = machine("c")
    assert [Path(name).suffix for name in names(store)] == [".json", ".zip"]


def test_a_machine_that_dies_at_work_leaves_nothing_that_is_taken_for_a_result(
    machine, tmp_path: Path
) -> None:
    (tmp_path / "made").mkdir()
    with build(machine("a"), tmp_path / "made", 60) as first:
        assert first.stdout.readline() == "begun\n"
        store = machine("b")
        assert inventory.at_work(store, "stage") == {store.path("stage", KEY).name}
        assert not store.has("stage", KEY)
        first.kill()
    assert inventory.at_work(store, "stage") == set()
    store.build("stage", KEY, make)
    assert [Path(name).suffix for name in names(store)] == [".json", ".zip"]


# --- locks


def test_a_silent_machine_is_taken_over_and_named(machine, quick, capsys) -> None:
    store = machine("a")
    of_another_machine(store)
    began = time.monotonic()
    store.build("stage", KEY, make)
    assert time.monotonic() - began >= lease.LEASE
    assert "Nothing was heard of process 42 on node7 for 1 s: its work on" in capsys.readouterr().err
    assert [Path(name).suffix for name in names(store)] == [".json", ".zip"]


def test_a_machine_whose_heart_beats_is_not_taken_over(machine, quick) -> None:
    store, ended = machine("a"), threading.Event()
    name = of_another_machine(store)

    def beat() -> None:
        count = 0
        while not ended.wait(0.1):
            count += 1
            of_another_machine(store, count)

    beating = threading.Thread(target=beat)
    beating.start()
    try:
        with (
            pytest.raises(LockedError, match="process 42 on node7"),
            held(ObjectSite(store.remote.bucket, name)),
        ):
            pass
    finally:
        ended.set()
        beating.join()


def test_whether_another_machine_holds_a_lock_is_told_by_the_buckets_clock(machine, monkeypatch) -> None:
    site = ObjectSite(machine("a").remote.bucket, of_another_machine(machine("a")))
    assert lease.is_held(site)
    monkeypatch.setattr(Bucket, "now", lambda self: self.changed(site._object) + lease.LEASE + 1)
    assert not lease.is_held(site)


def test_a_holder_beats(machine, quick) -> None:
    site = ObjectSite(machine("a").remote.bucket, "stage/one.lock")
    with held(site) as lock:
        first = site.read()
        deadline = time.monotonic() + 30
        while site.read() == first:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        lock.check()
        assert lease.is_held(site)
    assert site.read() is None
    assert not lease.is_held(site)


def test_of_many_that_wait_for_a_silent_machine_one_holds_the_lock_at_a_time(machine, quick) -> None:
    store = machine("a")
    name, inside, most, entered = of_another_machine(store), [], [], []

    def wait() -> None:
        with held(ObjectSite(store.remote.bucket, name), lambda _: None) as lock:
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.02)
            entered.append(lock.held)
            inside.pop()

    threads = [threading.Thread(target=wait) for _ in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert entered == [True] * 6
    assert max(most) == 1
    assert names(store) == []


def test_a_machine_that_slept_through_its_lease_stores_nothing(machine) -> None:
    store = machine("a")

    def sleep(folder: Path) -> None:
        make(folder)
        of_another_machine(store)  # who has taken it over

    with pytest.raises(CelldaError, match=r"Another process has taken over [0-9a-f]{16}, because this one"):
        store.build("stage", KEY, sleep)
    assert [Path(name).suffix for name in names(store)] == [".lock"]
    assert not store.has("stage", KEY)


def test_of_two_that_believe_to_hold_the_lock_the_first_stores_and_the_other_takes_its_result(
    machine,
) -> None:
    other = machine("b")
    store = machine("a")

    def overtaken(folder: Path) -> None:
        make(folder)
        (folder / "own").touch()
        theirs = other.root / "made" / store.path("stage", KEY).name
        other.remote.send(Store(other.root).build("stage", KEY, make), "stage", theirs.name)

    folder = store.build("stage", KEY, overtaken)
    assert not (folder / "own").exists()
    assert (folder / "below" / "numbers").exists()
    assert names(store) == [f"{folder.name}.json", f"{folder.name}.zip"]


# --- faults


def test_an_upload_that_is_cut_is_no_result_and_nothing_is_made_again(machine, monkeypatch) -> None:
    store = machine("a")

    def cut(*_, **__):
        raise ConnectionResetError("Connection reset by peer")

    with monkeypatch.context() as patched:
        patched.setattr(store.remote.bucket._files, "put_file", cut)
        with pytest.raises(
            ConfigurationError, match=r"it cannot be reached \(ConnectionResetError: Connection"
        ):
            store.build("stage", KEY, make)
    assert not store.has("stage", KEY)
    assert machine("b").find("stage", KEY) is None
    store.build("stage", KEY, never)
    machine("b").build("stage", KEY, never)


def damaged_by(change):
    def damage(content: bytes, folder: Path) -> bytes:
        with zipfile.ZipFile(folder / "own.zip", "w") as archive:
            change(archive)
        return (folder / "own.zip").read_bytes()

    return damage


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda content, _: content[:-30], "File is not a zip file"),
        (lambda _, __: b"", "File is not a zip file"),
        (
            lambda content, _: content.replace(bytes(range(256)), bytes(255) + b"\1"),
            "Bad CRC-32 for file 'below/numbers'",
        ),
        (damaged_by(lambda archive: archive.writestr("key.json", "{}")), "manifest.json is missing"),
    ],
    ids=["cut", "empty", "changed", "another"],
)
def test_a_damaged_object_is_named_set_aside_and_made_again(
    machine, damage, told: str, tmp_path: Path, capsys
) -> None:
    store = machine("a")
    name = store.build("stage", KEY, make).name
    bucket = store.remote.bucket
    bucket.write(f"stage/{name}.zip", damage(bucket.read(f"stage/{name}.zip"), tmp_path))
    other = machine("b")
    assert other.find("stage", KEY) is None
    said = capsys.readouterr().err.replace("\n", " ")
    assert f"The stored result {store}/stage/{name}.zip is damaged: {told}" in said
    assert f"It is now stage/{name}.damaged.zip, and is computed again when needed." in said
    other.build("stage", KEY, make)
    assert names(store) == [f"{name}.damaged.zip", f"{name}.json", f"{name}.zip"]


def test_an_entry_of_another_name_is_not_taken(machine, capsys) -> None:
    store = machine("a")
    first, second = (store.build("stage", {"n": number}, make).name for number in (1, 2))
    bucket = store.remote.bucket
    bucket.write(f"stage/{first}.zip", bucket.read(f"stage/{second}.zip"))
    assert machine("b").find("stage", KEY) is None
    assert f"it was made as {second}" in capsys.readouterr().err.replace("\n", " ")


def test_what_was_removed_from_the_bucket_is_sent_again_by_who_has_it(machine) -> None:
    store = machine("a")
    name = store.build("stage", KEY, make).name
    store.remote.bucket.remove_all("stage")
    again = machine("a")
    again.build("stage", KEY, never)
    assert names(again) == [f"{name}.json", f"{name}.zip"]
    machine("b").build("stage", KEY, never)


def test_a_copy_that_was_damaged_here_is_copied_again(machine, capsys) -> None:
    store = machine("a")
    folder = store.build("stage", KEY, make)
    (folder / "below" / "numbers").write_bytes(b"")
    assert store.find("stage", KEY) == folder
    assert (folder / "below" / "numbers").read_bytes() == bytes(range(256))
    assert "below/numbers has 0 of 256 bytes" in capsys.readouterr().err


# --- pieces, files, and what lies there


def test_pieces_meet_in_the_bucket_and_go_with_the_stage(machine) -> None:
    first, second = machine("a"), machine("b")
    pieces = first.pieces("stage", KEY)
    pieces.put("one", {"score": 0.1})
    theirs = second.pieces("stage", KEY)
    assert theirs.get("one") == {"score": 0.1}
    assert theirs.get("two") is None
    theirs.put("two", [2])
    assert pieces.get("two") == [2]
    assert len(pieces) == len(theirs) == 2
    assert pieces.address == theirs.address
    machine("a")
    first.build("stage", KEY, make)
    assert len(pieces) == 0


def test_small_files_are_seen_by_all(machine) -> None:
    machine("a").files.write("studies/one.json", b"{}")
    store = machine("b")
    assert store.files.read("studies/one.json") == b"{}"
    assert [one.name for one in store.files.listed("studies")] == ["studies/one.json"]
    store.files.remove("studies/one.json")
    assert machine("a").files.read("studies/one.json") is None


def test_what_lies_in_a_bucket_is_told_and_removed(machine) -> None:
    store = machine("a")
    good = store.build("stage", KEY, make).name
    old = store.build("stage", {"n": 2, "old": True}, make).name
    bad = store.build("stage", {"n": 3}, make).name
    bucket = store.remote.bucket
    bucket.write(f"stage/{bad}.zip", b"half")
    bucket.write("stage/0123456789abcdef.json", b"{}")

    def orphaned(key) -> str | None:
        return "it is old" if key.get("old") else None

    found = {entry.place.name: entry for entry in inventory.entries(store, orphaned)}
    assert {name: entry.state for name, entry in found.items()} == {
        f"{good}.zip": State.USABLE,
        f"{old}.zip": State.ORPHANED,
        f"{bad}.zip": State.USABLE,
        "0123456789abcdef.json": State.PARTIAL,
    }
    assert {entry.kind for entry in found.values()} == {"stage"}
    assert found[f"{bad}.zip"].size == 4
    assert abs(found[f"{good}.zip"].age) < 1
    checked = {entry.place.name: entry for entry in inventory.entries(store, orphaned, verify=True)}
    assert checked[f"{bad}.zip"].state is State.DAMAGED
    assert "not a zip" in checked[f"{bad}.zip"].why
    assert checked[f"{good}.zip"].state is State.USABLE
    assert set(inventory.made(store, "stage")) == {good, old, bad}
    with held(ObjectSite(bucket, f"stage/{good}.lock")):
        assert not inventory.remove(store, found[f"{good}.zip"])
    for entry in found.values():
        assert inventory.remove(store, entry)
    assert names(store) == []
    assert not store.path("stage", KEY).exists()  # the copy goes, too


def test_one_listing_answers_for_all_results_of_a_kind(machine, monkeypatch) -> None:
    store = machine("a")
    for number in range(3):
        store.build("stage", {"n": number}, make)
    asked = []
    listed = Bucket.listed
    monkeypatch.setattr(Bucket, "listed", lambda self, folder: asked.append(folder) or listed(self, folder))
    other = machine("b")
    found = [other.has("stage", {"n": number}) for number in range(6)]
    assert found == [True] * 3 + [False] * 3
    assert asked == ["stage"]


def test_a_store_is_refused_before_any_work_if_its_bucket_is_not_there(machine) -> None:
    machine("a")
    with pytest.raises(
        ConfigurationError, match=re.escape("The store s3://none/a cannot be used: there is no")
    ):
        Store("s3://none/a").check_writable()


def test_a_store_says_what_it_is(machine, tmp_path: Path) -> None:
    store = machine("a")
    assert str(store) == store.address == store.remote.bucket.url
    assert store.root.is_relative_to(tmp_path / "a")
    folder = Store(tmp_path / "x")
    assert (str(folder), folder.remote) == (str(tmp_path / "x"), None)
