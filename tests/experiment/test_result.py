"""What a run leaves behind: its folder, its record, and what they say when they are damaged."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cellda import Recipe, RunResult
from cellda.datasets.reading.account import Account
from cellda.errors import ConfigurationError, DataError
from cellda.evaluation.condition import Condition
from cellda.evaluation.predictions import RUN
from cellda.experiment.record import RunRecord, Trial, costs_of
from tiny import CLASSES, PROBABILITIES


def predictions(cells: int = 60) -> pd.DataFrame:
    """A classifier that is right on two cells of three."""
    label = np.arange(cells) % 6
    found = np.where(np.arange(cells) % 3 == 0, (label + 1) % 6, label)
    p = np.full((cells, 6), 0.02)
    p[np.arange(cells), found] = 0.9
    facts = {"adapter": "full", "framing": "none", "normalizer": "reinhard", "source": "barcelona"}
    table = pd.DataFrame(
        {
            **Condition(name="our_workflow", n=100, labels_used=100, **facts).columns(),
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


def record(**fields: Any) -> RunRecord:
    chosen = {
        "digest": "0123456789abcdef",
        "condition": "our_workflow",
        "recipe": Recipe.preset("laptop").model_dump(mode="json"),
        "adapter": {"name": "full"},
        "target": "raabin",
        "draw": 0,
        "seed": 0,
        "protocol": "clean",
        "pool": None,
        "versions": {"torch": "2"},
        "device": "cpu",
        "support_files": ("a.png",),
        "unsupported": ("monocyte",),
        "accounts": (Account("raabin", 9),),
        "unframed": {},
        "twins": {},
        "selector": "support_cv",
        "oracle": False,
        "labels_used": 100,
        "image_passes": 200,
        "seconds": {"source": 50.0, "search": 4.0, "adapt": 2.0, "predict": 1.5},
        "trials": (TRIAL,),
    }
    return RunRecord(**{**chosen, **fields})


TRIAL = Trial(number=0, state="complete", score=1 / 3, values={"lr": 1e-4}, seconds=0.1)


@pytest.fixture
def finished(tmp_path: Path) -> RunResult:
    folder = tmp_path / "run"
    folder.mkdir()
    RunResult.write(folder, record(), predictions())
    return RunResult(folder)


def test_a_result_reads_back_what_was_written(finished: RunResult):
    assert finished.digest == "0123456789abcdef"
    assert finished.labels_used == 100
    assert finished.trials == (TRIAL,)
    assert finished.record == record()
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
    with pytest.raises(ConfigurationError, match="is a file; give a folder"):
        finished.save(tmp_path / "file")


def test_a_result_without_a_model_says_so(finished: RunResult):
    with pytest.raises(ConfigurationError, match="did not keep its model; run it with keep_model=True"):
        _ = finished.model


def test_what_is_no_run_is_said_so(finished: RunResult, tmp_path: Path):
    with pytest.raises(DataError, match=r"(?s)missing:\n.*record\.json\n.*predictions\.parquet"):
        RunResult(tmp_path / "nothing")
    for broken, message in (("{", "cannot be read"), ("[]", "has no digest"), ("{}", "has no digest")):
        (finished.path / "record.json").write_text(broken)
        with pytest.raises(DataError, match=message):
            RunResult(finished.path)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"labels_used": "many"}, r"field 'labels_used': .*got 'many'"),
        ({"label_used": 3}, r"unknown field 'label_used': did you mean 'labels_used'"),
        ({"trials": [{"number": 0}]}, r"field 'trials\.0\.state' is missing"),
        ({"seconds": None}, r"field 'seconds'"),
    ],
)
def test_a_damaged_record_is_told_by_file_and_field(finished: RunResult, edit, said: str):
    file = finished.path / "record.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | edit))
    with pytest.raises(
        DataError,
        match=rf"(?s)record\.json is not in the record format of this version.*run it again.*{said}",
    ):
        RunResult(finished.path)


def test_a_record_of_a_version_that_said_less_is_refused(finished: RunResult):
    file = finished.path / "record.json"
    older = {name: value for name, value in json.loads(file.read_text()).items() if name != "image_passes"}
    file.write_text(json.dumps(older))
    with pytest.raises(DataError, match="field 'image_passes' is missing"):
        RunResult(finished.path)


def test_costs_are_an_extract_of_records():
    other = record(draw=1, pool="query", seconds={"source": 9.0, "adapt": 3.0})
    table = costs_of([record(), other])
    assert list(table.columns) == [
        *RUN, "pool", "selector", "oracle", "labels_used", "image_passes", "seconds", "digest",
    ]  # fmt: skip
    assert table["seconds"].tolist() == [7.5, 3.0]  # without the source model's, which runs share
    assert table["pool"].fillna("none").tolist() == ["none", "query"]
