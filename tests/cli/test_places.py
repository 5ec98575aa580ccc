"""Places that cannot be written are refused before the work; any other error of the system is a sentence."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from PIL import Image

from cellda.cli.commands import app
from cellda.errors import ConfigurationError
from cellda.experiment.result import RunResult
from cellda.runtime.place import saving
from tiny import recipe

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc and /dev/full")

WRITES = {"--save", "--csv", "--out", "--report", "--store"}
"""Names of options that say where to write."""


def writing_options():
    """(command, option) of every option of every command that says where to write, and those of its subcommands."""
    found = []

    def walk(command, names):
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, [*names, name])
        # `doctor` reports what it cannot write, and `store` and `study` only show.
        for option in () if names[:1] in (["doctor"], ["store"], ["study"]) else command.params:
            found.extend((tuple(names), name) for name in option.opts if name in WRITES)

    walk(typer.main.get_command(app), [])
    return found


NEEDED = {
    ("run",): ["--target", "synthetic/1"],
    ("ablate",): ["--target", "synthetic/1"],
    ("bench",): ["--target", "synthetic/1"],
    ("adapt",): [],
    ("predict",): [".", "."],
    ("suggest",): ["."],
    ("count",): [".", "--model", "."],
    ("report",): ["."],
    ("export",): [".", "--format", "onnx"],
    ("table",): ["summary", "."],
    ("figure",): ["query_size", "."],
}
"""What else a command needs before its options are looked at."""


def test_every_command_that_writes_is_known():
    assert {command for command, _ in writing_options()} <= NEEDED.keys()
    assert {option for _, option in writing_options()} == WRITES - {"--report"}


@pytest.mark.parametrize(("command", "option"), writing_options())
def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    cellda_, monkeypatch, tmp_path, command, option
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    said = cellda_(*command, *NEEDED[command], option, tmp_path / "file" / "below")
    assert said.status == 2
    assert said.err.startswith(
        f"cellda: {option}: {tmp_path / 'file' / 'below'} cannot be written: a part of the path"
    )
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs names that are not UTF-8")
@pytest.mark.parametrize(("command", "option"), writing_options())
def test_a_place_whose_name_is_not_utf8_is_refused_before_the_work(
    cellda_, monkeypatch, tmp_path, command, option
):
    monkeypatch.chdir(tmp_path)
    said = cellda_(*command, *NEEDED[command], option, tmp_path / os.fsdecode(b"run\xff"))
    assert said.status == 2
    assert "cannot be used for results: its path is not valid UTF-8" in said.err
    assert not list(tmp_path.iterdir())


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder dataset of two classes."""
    for name in ("Basophil", "Monocyte"):
        (tmp_path / "own" / name).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (40, 40), (200, 60 * number, len(name))).save(
                tmp_path / "own" / name / f"{number}.png"
            )
    return tmp_path / "own"


@pytest.mark.parametrize(
    ("command", "option"),
    [("run", "--store"), ("run", "--save"), ("adapt", "--store"), ("adapt", "--save"), ("ablate", "--store"),
     ("bench", "--save"), ("bench", "--store")],
)  # fmt: skip
def test_results_do_not_go_into_a_folder_of_images(cellda_, tmp_path, own, command, option):
    name = "--labelled" if command == "adapt" else "--target"
    for inner in (own, own / "Basophil", own / "new" / "folder"):
        given = [command, name, f"folder={own}", option, inner]
        if command == "adapt" and option == "--store":
            given += ["--save", tmp_path / "model"]
        said = cellda_(*given)
        assert said.status == 2
        assert f"{option}: {inner} lies in the folder of images {own}, where results would be" in said.err
    if command == "adapt":
        said = cellda_("adapt", "--unlabelled", own, "--save", own / "model")
        assert f"--save: {own / 'model'} lies in the folder of images {own}" in said.err
    assert sorted(file.name for file in own.iterdir()) == ["Basophil", "Monocyte"]


def test_python_keeps_results_out_of_folders_of_images_too(tmp_path, own):
    for call in (
        lambda: recipe().run(f"folder={own}", store=own / "store", progress=False),
        lambda: recipe().adapt(f"folder={own}", store=own / "store", progress=False),
        lambda: recipe(adapter="adabn").adapt(unlabelled=own, store=own / "store", progress=False),
    ):
        with pytest.raises(ConfigurationError, match="lies in the folder of images"):
            call()
    assert sorted(file.name for file in own.iterdir()) == ["Basophil", "Monocyte"]


def test_a_folder_of_another_run_is_refused_before_the_work(cellda_, tmp_path, monkeypatch):
    folder = tmp_path / "taken"
    folder.mkdir()
    monkeypatch.setattr(
        "cellda.experiment.result.RunRecord.read", lambda _: type("Record", (), {"digest": "another"})
    )
    (folder / "record.json").write_text("{}", encoding="utf-8")
    monkeypatch.setattr("cellda.experiment.workflow.make_ready", lambda *_: pytest.fail("the work began"))
    (tmp_path / "recipe.yaml").write_text(recipe().to_yaml(), encoding="utf-8")
    said = cellda_("run", "--recipe", tmp_path / "recipe.yaml", "--target", "synthetic/1", "--save", folder)
    assert said.status == 2
    assert "already holds another run" in said.err


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EMFILE, errno.EIO])
def test_any_other_error_of_the_system_is_a_sentence(cellda_, monkeypatch, code):
    def fail(*_):
        raise OSError(code, os.strerror(code), "/some/file")

    monkeypatch.setattr("cellda.cli.output.Output.answer", fail)
    said = cellda_("list", "adapters")
    assert said.status == 2
    assert said.err.startswith("cellda: /some/file: ")
    assert said.err.count("\n") == 1
    assert ";" in said.err


def test_errors_that_libraries_quote_are_sentences_too(cellda_, monkeypatch):
    def fail(*_):
        raise RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("cellda.cli.output.Output.answer", fail)
    said = cellda_("list", "adapters")
    assert said.status == 2
    assert "no room left on the disk" in said.err


def called(*arguments, **streams):
    return subprocess.run(
        [sys.executable, "-m", "cellda", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        **streams,
    )


@LINUX
@pytest.mark.parametrize("arguments", [["list", "adapters"], ["--version"], ["--help"]])
def test_a_full_disk_behind_the_standard_output_is_a_sentence(arguments):
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = called(*arguments, stdout=full)
    assert done.returncode == 2
    assert done.stderr.startswith("cellda: Reading or writing failed: there is no room left on the disk")
    assert done.stderr.count("\n") == 1


def test_a_reader_that_stops_reading_is_no_error():
    read, write = os.pipe()
    os.close(read)
    done = called("list", "adapters", stdout=write)
    os.close(write)
    assert done.stderr == ""


def test_a_copy_that_fails_leaves_no_new_folder(tmp_path, monkeypatch):
    source = tmp_path / "run"
    source.mkdir()
    for name in ("record.json", "predictions.parquet"):
        (source / name).write_text(name, encoding="utf-8")
    done = []

    def fail(*places, **_):
        done.append(places)
        Path(places[1]).mkdir(parents=True)
        (Path(places[1]) / "a").write_text("half", encoding="utf-8")
        raise OSError(errno.ENOSPC, "full", str(places[1]))

    monkeypatch.setattr("cellda.experiment.result.shutil.copytree", fail)
    monkeypatch.setattr("cellda.experiment.result.check_free", lambda *_: None)
    monkeypatch.setattr(RunResult, "__init__", lambda self, path: setattr(self, "path", path))
    monkeypatch.setattr(RunResult, "digest", "made")
    said = rf"{tmp_path / 'copy'} cannot be written: there is no room left on the disk; .* The run is kept in {source}"
    with pytest.raises(ConfigurationError, match=said):
        RunResult(source).save(tmp_path / "copy")
    assert done
    assert not (tmp_path / "copy").exists()


def fill(folder, error):
    """Write into a folder until the disk is full."""
    with saving(folder, "The model is in the store."):
        folder.mkdir(exist_ok=True)
        raise error


TORCH = "[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0"


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), RuntimeError(TORCH)])
def test_a_folder_that_cannot_be_filled_is_removed_and_named(tmp_path, error):
    (tmp_path / "older").mkdir()
    for name in ("new", "older"):
        with pytest.raises(ConfigurationError) as caught:
            fill(tmp_path / name, error)
        assert f"{tmp_path / name} cannot be written: there is no room left on the disk; " in str(
            caught.value
        )
        assert str(caught.value).endswith("The model is in the store.")
        assert "enforce" not in str(caught.value)
    assert [file.name for file in tmp_path.iterdir()] == ["older"]
