"""The store: built once, whole or not at all; and the folder that a run leaves behind."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cellda import Recipe, RunResult
from cellda.errors import ConfigurationError, DataError
from cellda.evaluation.predictions import PROBABILITIES
from cellda.runtime import store
from cellda.runtime.store import Store
from cellda.taxonomy import CLASSES

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


# --- a run's folder


def predictions(cells: int = 60) -> pd.DataFrame:
    """A classifier that is right on two cells of three."""
    label = np.arange(cells) % 6
    found = np.where(np.arange(cells) % 3 == 0, (label + 1) % 6, label)
    p = np.full((cells, 6), 0.02)
    p[np.arange(cells), found] = 0.9
    table = pd.DataFrame(
        {
            "condition": "our_workflow",
            "target": "raabin",
            "draw": 0,
            "seed": 0,
            "protocol": "clean",
            "path": [f"{number}.png" for number in range(cells)],
            "group": None,
            "label": [CLASSES[code] for code in label],
            "predicted": [CLASSES[code] for code in found],
        }
    )
    return table.assign(**dict(zip(PROBABILITIES, p.T, strict=True)))


def record(**fields: Any) -> dict[str, Any]:
    return {
        "digest": "0123456789abcdef",
        "condition": "our_workflow",
        "target": "raabin",
        "draw": 0,
        "protocol": "clean",
        "recipe": Recipe.preset("laptop").model_dump(mode="json"),
        "labels_used": 100,
        "unsupported": ["monocyte"],
        "trials": [],
        **fields,
    }


@pytest.fixture
def finished(tmp_path: Path) -> RunResult:
    folder = tmp_path / "run"
    folder.mkdir()
    RunResult.write(folder, record(), predictions())
    return RunResult(folder)


def test_a_result_reads_back_what_was_written(finished: RunResult):
    assert finished.digest == "0123456789abcdef"
    assert finished.labels_used == 100
    assert finished.trials == ()
    assert finished.recipe == Recipe.preset("laptop")
    assert len(finished.predictions) == 60
    assert finished.metrics.accuracy.value == pytest.approx(2 / 3)


def test_a_result_prints_what_it_is_and_its_measures(finished: RunResult):
    text = str(finished)
    for part in (
        "our_workflow on raabin, draw 0, protocol clean, run 0123456789abcdef",
        "100 target labels used; 60 query images",
        "classes without a support image: monocyte",
        "accuracy",
        "macro F1",
        "0.67",
        "neutrophil",
    ):
        assert part in text
    assert max(map(len, text.splitlines())) <= 100


def test_a_result_is_saved_whole_and_over_itself(finished: RunResult, tmp_path: Path):
    (finished.path / "model").mkdir()
    (finished.path / "model" / "classifier.json").write_text("{}")
    place = finished.save(tmp_path / "saved" / "here")
    again = RunResult.load(place)
    pd.testing.assert_frame_equal(again.predictions, finished.predictions)
    assert again.record == finished.record
    assert (place / "model" / "classifier.json").is_file()
    assert finished.save(place) == again.save(place) == place


def test_a_result_is_not_saved_over_another(finished: RunResult, tmp_path: Path):
    other = tmp_path / "other"
    other.mkdir()
    RunResult.write(other, record(digest="f" * 16), predictions())
    with pytest.raises(ConfigurationError, match="already holds another run"):
        finished.save(other)
    assert RunResult(other).digest == "f" * 16
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="is a file; name a folder"):
        finished.save(tmp_path / "file")


def test_a_result_without_a_model_says_so(finished: RunResult):
    with pytest.raises(ConfigurationError, match="did not keep its model; run it with keep_model=True"):
        _ = finished.model


def test_what_is_no_run_is_said_so(finished: RunResult, tmp_path: Path):
    with pytest.raises(DataError, match=r"(?s)missing:\n.*record\.json\n.*predictions\.parquet"):
        RunResult(tmp_path / "nothing")
    for broken, message in (("{", "cannot be read"), ("[]", "names no digest"), ("{}", "names no digest")):
        (finished.path / "record.json").write_text(broken)
        with pytest.raises(DataError, match=message):
            RunResult(finished.path)
