"""Every script starts with `python -m` from the root of a clone, and says what it does; which datasets it takes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.common.datasets import SYNTHETIC, datasets_of, names_of
from benchmarks.speed import growth
from cellda.errors import ConfigurationError

ROOT = Path(__file__).parents[2]
FOLDERS = ("studies", "figures", "questions", "speed")
SCRIPTS = sorted(
    ".".join(file.relative_to(ROOT).with_suffix("").parts)
    for folder in ("", *FOLDERS)
    for file in (ROOT / "benchmarks" / folder).glob("*.py")
    if 'if __name__ == "__main__"' in file.read_text(encoding="utf-8")
)

HELP = """
import contextlib, io, json, runpy, sys
said = {}
for name in sys.argv[1:]:
    sys.argv = [name, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as text:
        try:
            runpy.run_module(name, run_name="__main__", alter_sys=True)
            said[name] = [None, text.getvalue()]
        except SystemExit as end:
            said[name] = [end.code, text.getvalue()]
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def helped() -> dict[str, tuple[int | None, str]]:
    """Status and text of every script's `--help`, asked in a fresh interpreter at the root of the clone."""
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-c", HELP, *SCRIPTS],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_script_is_asked():
    assert len(SCRIPTS) >= 30
    others = [
        file
        for file in (ROOT / "benchmarks").rglob("*.py")
        if '__name__ == "__main__"' in file.read_text("utf-8")
    ]
    assert len(others) == len(SCRIPTS)


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_says_what_a_script_does_and_how_it_is_called(helped, name: str):
    status, text = helped[name]
    assert status == 0
    assert f"python -m {name}" in text
    assert "--help" in text


@pytest.mark.slow
def test_growth_runs_each_step_in_a_process_of_its_own(tmp_path, monkeypatch):
    for number in range(2):
        file = tmp_path / "tree" / "NEU" / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes([number]))
    monkeypatch.chdir(tmp_path)
    row = growth.measured("index", 2, tmp_path / "tree", tmp_path / "work")
    assert row["us_per_image"] == pytest.approx(1e6 * row["seconds"] / 2)
    assert (row["what"], row["images"]) == ("index", 2)
    with pytest.raises(SystemExit, match="'index' of 2 images ended with status 2"):
        growth.measured("index", 2, tmp_path / "nowhere", tmp_path / "work")


# --- which datasets


def test_datasets_are_those_that_are_there(tmp_path):
    assert [one.full_name for one in datasets_of(None, without=["synthetic/3"])] == [
        name for name in SYNTHETIC if name != "synthetic/3"
    ]
    with pytest.raises(ConfigurationError, match=r"no dataset in .*barcelona"):
        datasets_of(tmp_path)
    with pytest.raises(ConfigurationError, match="no folder 'raabin'"):
        datasets_of(tmp_path, ["raabin"])


def test_what_shows_the_cells_of_a_source_is_not_a_target(tmp_path):
    for name in ("barcelona", "bloodmnist", "raabin"):
        (tmp_path / name).mkdir()
    assert names_of(tmp_path) == ["barcelona", "bloodmnist", "raabin"]
    assert names_of(tmp_path, without=["barcelona"]) == ["raabin"]
    assert names_of(tmp_path, without=["bloodmnist/64"]) == ["raabin"]
    with pytest.raises(ConfigurationError, match="besides barcelona, raabin: it needs"):
        names_of(tmp_path, without=["barcelona", "raabin", "munich_2019"])
    with pytest.raises(ConfigurationError, match=r"There is no folder .*nowhere; --data"):
        names_of(tmp_path / "nowhere", without=["barcelona"])


@pytest.mark.real
def test_datasets_of_a_real_folder(data_root):
    found = [one.name for one in datasets_of(data_root, without=["barcelona"])]
    assert "barcelona" not in found
    assert {"raabin", "bccd", "jiangxi_tecom", "jin_woo_choi", "munich_2019"} <= set(found)
