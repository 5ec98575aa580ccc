"""Loggers hear of a run what it did, and change nothing of it."""

import json
import sqlite3
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from cellda.errors import ConfigurationError
from cellda.experiment.stages import SOURCE_RECORD
from cellda.tracking import Logger, MLflow, TensorBoard, WandB
from cellda.tracking.named import LOGGERS, named
from tiny import recipe, target

SEARCHED = {"search": {"trials": 3, "folds": 2}}


class Notes(Logger):
    """Keeps everything."""

    name, package = "notes", "json"

    def __init__(self) -> None:
        self.begun, self.params, self.texts = "", {}, {}
        self.scalars: dict[str, list[tuple[int, float]]] = {}
        self.ends: list[bool] = []

    def start(self, run, params):
        self.begun, self.params = run, dict(params)

    def scalar(self, series, step, value):
        self.scalars.setdefault(series, []).append((step, value))

    def text(self, name, content):
        self.texts[name] = content

    def end(self, *, finished):
        self.ends.append(finished)


def run(folder: Path, *log: Logger, **edits):
    return recipe(**edits).run(target(), store=folder, progress=False, log=log)


def test_a_run_is_logged(tmp_path: Path):
    notes = Notes()
    result = run(tmp_path, notes, **SEARCHED)
    assert notes.begun.endswith(result.digest)
    assert notes.params["digest"] == result.digest
    assert notes.params["adapter.lr"] == result.recipe.adapter.lr
    assert notes.params["sources.0.name"] == "synthetic/0"
    [source] = (tmp_path / "source").glob("*/" + SOURCE_RECORD)
    losses = json.loads(source.read_text())["losses"]
    assert notes.scalars["loss/source"] == list(enumerate(losses))
    # The trainings inside trials are not those of the adaptation.
    epochs = result.record.adapter["epochs"]
    assert [step for step, _ in notes.scalars["loss/adapt/full"]] == list(range(epochs))
    assert notes.scalars["search/score"] == [(t.number, t.score) for t in result.trials]
    assert notes.scalars["search/lr"] == [
        (t.number, t.values["lr"])  # noqa: PD011
        for t in result.trials
    ]
    accuracy = result.metrics.accuracy
    logged = {name: points for name, points in notes.scalars.items() if "accuracy" in name}
    assert logged["measure/accuracy"] == [(0, accuracy.value)]
    assert logged["measure/accuracy/low"] == [(0, accuracy.low)]
    assert logged["measure/accuracy/high"] == [(0, accuracy.high)]
    assert notes.scalars["cost/labels_used"] == [(0, 18.0)]
    assert json.loads(notes.texts["trials"].strip("`json\n"))[0]["number"] == 0
    assert notes.ends == [True]


def test_a_run_from_the_store_is_logged_with_what_is_stored(tmp_path: Path):
    first, again = Notes(), Notes()
    run(tmp_path, first, **SEARCHED)
    run(tmp_path, again, **SEARCHED)
    stored = {name: points for name, points in first.scalars.items() if not name.startswith("loss/adapt")}
    assert again.scalars == stored
    assert (again.begun, again.params, again.texts) == (first.begun, first.params, first.texts)


def test_a_logger_changes_nothing(tmp_path: Path):
    pytest.importorskip("tensorboard")
    plain = run(tmp_path / "plain", **SEARCHED)
    logged = run(tmp_path / "logged", TensorBoard(tmp_path / "runs"), Notes(), **SEARCHED)
    assert logged.digest == plain.digest
    pd.testing.assert_frame_equal(logged.predictions, plain.predictions, check_exact=True)

    def held(folder: Path) -> Counter:
        return Counter(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())

    assert held(tmp_path / "logged") == held(tmp_path / "plain")
    weights = [next(one.path.glob("model/*.safetensors")).read_bytes() for one in (plain, logged)]
    assert weights[0] == weights[1]


class Broken(Notes):
    """Fails after a few values, as when a connection is lost."""

    def scalar(self, series, step, value):
        raise OSError("the line is dead")


def test_a_logger_that_breaks_is_named_and_the_run_goes_on(tmp_path: Path):
    notes = Notes()
    with pytest.warns(UserWarning, match="notes stopped: the line is dead") as said:
        result = run(tmp_path, Broken(), notes)
    assert len(said) == 1
    assert notes.scalars["measure/accuracy"] == [(0, result.metrics.accuracy.value)]


def test_a_run_that_fails_is_ended_as_failed(tmp_path: Path, monkeypatch):
    notes = Notes()
    monkeypatch.setattr("cellda.experiment.workflow.make", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(tmp_path, notes)
    assert notes.ends == [False]


class Unreachable(Notes):
    """A server that does not answer."""

    def start(self, run, params):
        raise OSError("nobody answers")


def test_a_logger_that_cannot_start_is_refused_before_the_work(tmp_path: Path, trainings: Counter):
    notes = Notes()
    with pytest.raises(ConfigurationError, match="notes cannot start: nobody answers"):
        run(tmp_path, notes, Unreachable())
    assert not trainings
    assert notes.ends == [False]
    with pytest.raises(ConfigurationError, match="log takes loggers"):
        run(tmp_path, "tensorboard")


@pytest.mark.parametrize("name", LOGGERS)
def test_a_missing_package_is_named(name: str, monkeypatch, tmp_path: Path, trainings: Counter):
    monkeypatch.setattr("cellda.tracking.base.find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=rf"pip install 'cellda\[{name}\]'"):
        run(tmp_path, LOGGERS[name]())
    assert not trainings


def test_a_logger_is_named_with_its_place():
    assert isinstance(found := named("tensorboard=some/runs"), TensorBoard)
    assert found.folder == Path("some/runs")
    assert named("mlflow=sqlite:///a=b.db").uri == "sqlite:///a=b.db"
    assert named("wandb=blood").project == "blood"
    with pytest.raises(ConfigurationError, match="did you mean 'tensorboard'"):
        named("tensorbord=runs")
    with pytest.raises(ConfigurationError, match="names no place"):
        named("tensorboard=")


# --- the three, read back


def test_tensorboard_holds_the_run(tmp_path: Path):
    pytest.importorskip("tensorboard", reason="needs pip install 'cellda[tensorboard]'")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    notes = Notes()
    result = run(tmp_path / "store", TensorBoard(tmp_path / "runs"), notes)
    [folder] = (tmp_path / "runs").iterdir()
    assert folder.name.endswith(result.digest)
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    assert set(events.Tags()["scalars"]) == set(notes.scalars)
    for name, points in notes.scalars.items():
        found = [(event.step, event.value) for event in events.Scalars(name)]
        assert [step for step, _ in found] == [step for step, _ in points]
        assert [value for _, value in found] == pytest.approx([value for _, value in points], rel=1e-6)
    text = events.Tensors("recipe/text_summary")[0].tensor_proto.string_val[0].decode()
    assert f"| digest | `{result.digest}` |" in text


def test_a_folder_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path, trainings: Counter):
    pytest.importorskip("tensorboard")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"tensorboard: .*file is a file; give a folder"):
        run(tmp_path, TensorBoard(tmp_path / "file"))
    assert not trainings


@pytest.mark.filterwarnings("ignore")  # of another library
def test_mlflow_holds_the_run(tmp_path: Path):
    pytest.importorskip("mlflow", reason="needs pip install 'cellda[mlflow]'")
    notes = Notes()
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    result = run(tmp_path / "store", MLflow(uri, "cells"), notes)
    with sqlite3.connect(tmp_path / "mlflow.db") as base:
        params = dict(base.execute("select key, value from params"))
        metrics = base.execute("select key, step, value from metrics order by key, step").fetchall()
        [(status, name)] = base.execute("select status, name from runs").fetchall()
    assert params == {key: str(value) for key, value in notes.params.items()}
    assert metrics == [(key, *point) for key in sorted(notes.scalars) for point in notes.scalars[key]]
    assert (status, name) == ("FINISHED", notes.begun)
    assert name.endswith(result.digest)


@pytest.mark.filterwarnings("ignore")  # of another library
def test_wandb_holds_the_run(tmp_path: Path):
    pytest.importorskip("wandb", reason="needs pip install 'cellda[wandb]'")
    notes = Notes()
    result = run(tmp_path / "store", WandB("cells", "offline", tmp_path), notes)
    [file] = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    content = file.read_bytes()
    assert result.digest.encode() in content
    for series in notes.scalars:
        assert series.encode() in content


def test_the_command_line_takes_loggers(cellda_, tmp_path: Path):
    pytest.importorskip("tensorboard")
    file = tmp_path / "tiny.yaml"
    file.write_text(recipe().to_yaml())
    said = cellda_(
        "run", "--recipe", file, "--target", "synthetic/1", "--log", f"tensorboard={tmp_path}/runs"
    )
    assert said.status == 0, said.err
    assert len(list((tmp_path / "runs").glob("*/events*"))) == 1
    said = cellda_("run", "--recipe", file, "--target", "synthetic/1", "--log", "tensorbord")
    assert said.status == 2
    assert "did you mean 'tensorboard'" in said.err
