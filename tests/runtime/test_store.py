"""The store: built once, whole or not at all."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from cellda.errors import ConfigurationError
from cellda.runtime import store
from cellda.runtime.store import Store

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
