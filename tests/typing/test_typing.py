"""What a type checker tells those who use cellda: wrong calls are errors, each in its line, and right ones pass."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

WRONG, RIGHT = HERE / "wrong_calls.py", HERE / "right_calls.py"

Errors = dict[tuple[Path, int], str]
"""File and line -> what the checker says of it."""


def mypy(folder: Path) -> Errors:
    """Errors of `mypy --strict`, as the project sets it up, whose cache it shares."""
    quiet = ["--no-error-summary", "--no-pretty"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *quiet, str(WRONG), str(RIGHT)],
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found: Errors = {}
    for line in done.stdout.splitlines():
        place = re.match(r"(.*?):(\d+): (?:error|note): (.*)", line)
        assert place is not None, line
        at = (ROOT / place[1], int(place[2]))
        found[at] = found.get(at, "") + place[3]
    return found


def pyright(folder: Path) -> Errors:
    """Errors of pyright in its basic mode, as an editor shows them."""
    project = folder / "pyrightconfig.json"
    settings = {
        "include": [str(WRONG), str(RIGHT)],
        "typeCheckingMode": "basic",
        "extraPaths": [str(ROOT / "src")],
    }
    project.write_text(json.dumps(settings), encoding="utf-8")
    command = ["--project", str(project), "--pythonpath", sys.executable, "--level", "error", "--outputjson"]
    done = subprocess.run(
        [sys.executable, "-m", "basedpyright", *command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == 2
    found: Errors = {}
    for one in report["generalDiagnostics"]:
        at = (Path(one["file"]), one["range"]["start"]["line"] + 1)
        found[at] = found.get(at, "") + one["message"]
    return found


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_wrong_calls_are_errors_and_right_ones_pass(checker: Callable[[Path], Errors], tmp_path: Path):
    lines = enumerate(WRONG.read_text(encoding="utf-8").splitlines(), 1)
    marked = {(WRONG, line): text.partition("# error: ")[2] for line, text in lines if "# error: " in text}
    found = checker(tmp_path)
    assert {at: said for at, said in found.items() if at not in marked} == {}
    assert [line for (_, line) in marked.keys() - found.keys()] == []
    assert {
        line: found[WRONG, line] for (_, line), word in marked.items() if word not in found[WRONG, line]
    } == {}
