"""Whatever is written, by cellda or by a library for it, has the mode that the user's umask gives."""

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image
from typer.testing import CliRunner

from cellda.cli.commands import app
from cellda.datasets.download.fetch import fetch
from cellda.evaluation.predictions import read_predictions, write_predictions
from cellda.reporting.figures import save_figure
from cellda.runtime.content_index import ContentIndex
from served import Server
from tiny import model_folder, recipe, target

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs modes")


@pytest.fixture(params=[0o022, 0o002, 0o077], ids="{:03o}".format)
def umask(request) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def wrong(folder: Path, umask: int) -> dict[str, str]:
    """What below a folder has another mode than the umask gives."""
    found = {}
    for path in folder.rglob("*"):
        mode, usual = stat.S_IMODE(path.stat().st_mode), 0o777 if path.is_dir() else 0o666
        if mode != usual & ~umask:
            found[str(path.relative_to(folder))] = oct(mode)
    return found


def test_every_saver_obeys_the_umask(tmp_path: Path, umask: int):
    """A run with a fitted normalizer, its copy, a model, a card, predictions, tables and figures."""
    store, out = tmp_path / "store", tmp_path / "out"
    made = recipe(normalizer="reinhard")
    result = made.run(target(), store=store)
    result.save(out / "run")
    made.adapt(target(), store=store).save(out / "model")
    model_folder(out / "card")
    rows = read_predictions(out / "run")
    write_predictions(rows, out / "table.parquet")
    save_figure(Figure(), out / "figure.png")
    image = tmp_path / "cell.png"
    Image.new("RGB", (32, 32)).save(image)
    for arguments in (
        ["predict", str(out / "run" / "model"), str(image), "--save", str(out / "predictions.csv")],
        ["predict", str(out / "run" / "model"), str(image), "--save", str(out / "predictions.parquet")],
        ["table", "conditions", str(out / "run"), "--csv", str(out / "table.csv")],
    ):
        assert CliRunner().invoke(app, arguments).exit_code == 0
    kinds = {path.suffix for folder in (store, out) for path in folder.rglob("*") if path.is_file()}
    assert {".safetensors", ".json", ".parquet", ".csv", ".png", ".yaml"} <= kinds
    assert wrong(store, umask) == {}
    assert wrong(out, umask) == {}


def test_a_download_obeys_the_umask(server: Server, tecom: bytes, tmp_path: Path, umask: int):
    server.content = tecom
    fetch("jiangxi_tecom", tmp_path)
    assert wrong(tmp_path, umask) == {}


def test_the_index_of_contents_obeys_the_umask(tmp_path: Path, umask: int):
    ContentIndex(tmp_path / "store").add([("/cells/a.png", bytes(32), bytes(16))])
    assert wrong(tmp_path, umask) == {}
