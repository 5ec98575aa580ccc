"""A mistake on the command line is answered at once: before torch, timm, pandas or optuna are imported."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import cellda

HEAVY = ("torch", "torchvision", "timm", "kornia", "pandas", "sklearn", "optuna", "matplotlib")
ON = ("--target", "synthetic/1")

MISTAKES: dict[str, tuple[list[str], str]] = {
    "command": (["rnu"], r"No such command 'rnu'"),
    "option": (["run", *ON, "--presets", "x"], r"No such option: --presets"),
    "no target": (["run"], r"Missing option '--target'"),
    "target": (["run", "--target", "raabn"], r"There is no dataset 'raabn'; did you mean 'raabin'\?"),
    "one of several targets": (["bench", *ON, "--target", "bcd"], r"no dataset 'bcd'; did you mean 'bccd'"),
    "place of a target": (["ablate", "--target", "folder=no/such"], r"no such file or folder: - no/such"),
    "place of data": (["run", *ON, "--data", "no/such"], r"no such file or folder: - no/such"),
    "preset": (["run", *ON, "--preset", "labtop"], r"no preset 'labtop'; did you mean 'laptop'"),
    "condition": (["ablate", *ON, "--condition", "head"], r"no preset 'head'; did you mean 'head_only'"),
    "adapter": (["run", *ON, "--adapter", "ful"], r"no adapter 'ful'; did you mean 'full'"),
    "in a chain": (
        ["adapt", "--save", "x", "--adapter", "ful+tta"],
        r"no adapter 'ful'; did you mean 'full'",
    ),
    "compared": (["bench", *ON, "--adapter", "our_workflow", "--adapter", "ful"], r"no adapter 'ful'"),
    "left out": (["bench", *ON, "--without", "ful"], r"no adapter 'ful'; did you mean 'full'"),
    "framing": (["run", *ON, "--framing", "cel"], r"no framing 'cel'; did you mean 'cell'"),
    "source": (["run", *ON, "--source", "barcelna"], r"no dataset 'barcelna'; did you mean 'barcelona'"),
    "recipe file": (["run", *ON, "--recipe", "no.yaml"], r"no such file or folder: - no\.yaml"),
    "adapter in a recipe file": (
        ["run", *ON, "--recipe", "mistakes.yaml"],
        r"mistakes\.yaml: .*no adapter 'ful'; did you",
    ),
    "field in a recipe file": (
        ["adapt", "--save", "x", "--recipe", "mistakes.yaml"],
        r"unknown field 'few_shot\.m'",
    ),
    "recipe file that is none": (
        ["ablate", *ON, "--recipe", "list.yaml"],
        r"list\.yaml does not hold a mapping",
    ),
    "in a recipe compared": (
        ["bench", *ON, "--condition", "a=mistakes.yaml"],
        r"mistakes\.yaml: .*no adapter 'ful'",
    ),
    "no place of data": (["run", "--target", "raabin"], r"Dataset 'raabin' is read from a folder: say where"),
    "no data of one of several": (
        ["ablate", *ON, "--target", "bccd"],
        r"Dataset 'bccd' is read from a folder",
    ),
    "no folder in the data": (
        ["bench", "--target", "bccd", "--data", "."],
        r"no folder 'bccd' for dataset 'bccd'",
    ),
    "no data of the labelled": (
        ["adapt", "--save", "x", "--labelled", "bccd"],
        r"Dataset 'bccd' is read from a folder",
    ),
    "recipe compared": (["bench", *ON, "--condition", "a=no.yaml"], r"no such file or folder: - no\.yaml"),
    "recipe without a name": (["bench", *ON, "--condition", "no.yaml"], r"takes NAME=FILE.*got 'no\.yaml'"),
    "protocol": (["run", *ON, "--protocol", "papr"], r"'papr' is not one of 'clean', 'paper'"),
    "pool": (["run", *ON, "--pool", "both"], r"'both' is not one of 'query', 'disjoint'"),
    "pool of bench": (["bench", *ON, "--pool", "both"], r"'both' is not one of 'query', 'disjoint'"),
    "protocol of a table": (
        ["table", "summary", ".", "--protocol", "p"],
        r"'p' is not one of 'clean', 'paper'",
    ),
    "number": (["run", *ON, "--n", "many"], r"Invalid value for '--n'"),
    "no number": (["run", *ON, "--n", "0"], r"Invalid value for '--n'"),
    "no draws": (["ablate", *ON, "--draws", "0"], r"Invalid value for '--draws'"),
    "no setting": (["run", *ON, "--set", "seed"], r"--set takes FIELD=VALUE.*got 'seed'"),
    "field": (["run", *ON, "--set", "few_shot.m=3"], r"unknown field 'few_shot\.m': known: draw, kind, n"),
    "value": (["adapt", "--save", "x", "--set", "seed=x"], r"field 'seed'.*got 'x'"),
    "field for bench": (["bench", *ON, "--set", "trainin.lr=1"], r"'trainin': did you mean .*'training'"),
    "field for ablate": (
        ["ablate", *ON, "--set", "search.trial=1"],
        r"'search\.trial': did you mean 'trials'",
    ),
    "labelled": (
        ["adapt", "--save", "x", "--labelled", "foldr=."],
        r"no dataset 'foldr'; did you mean 'folder'",
    ),
    "unlabelled": (["adapt", "--save", "x", "--unlabelled", "no.png"], r"no such file or folder: - no\.png"),
    "model": (["predict", "no/model", "."], r"'no/model' is neither a source model nor a folder"),
    "source model": (
        ["run", *ON, "--model", "no/model"],
        r"'no/model' is neither a source model nor a folder",
    ),
    "images": (["predict", ".", "no.png", "nor.png"], r"no such file or folder: - no\.png - nor\.png"),
    "table": (["table", "sumary", "."], r"no table 'sumary'; did you mean 'summary'"),
    "figure": (["figure", "prr", ".", "--out", "x.png"], r"no figure 'prr'; did you mean 'pr'"),
    "predictions": (["table", "summary", "nowhere"], r"no such file or folder: - nowhere"),
    "dataset to check": (["datasets", "check", "foldr", "."], r"no dataset 'foldr'; did you mean 'folder'"),
    "framing to try": (["datasets", "check", "folder", ".", "--framing", "cel"], r"no framing 'cel'"),
    "dataset to fetch": (["datasets", "fetch", "rabin", "--data", "."], r"no dataset 'rabin'; did you mean"),
    "list": (["list", "adaptors"], r"'adaptors' is not one of"),
}

CALL = """
import contextlib, io, json, sys
from cellda.cli import main
answers = []
for arguments in json.load(sys.stdin):
    sys.argv = ["cellda", *arguments]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as stopped:
            status = stopped.code or 0
    loaded = [name for name in HEAVY if name in sys.modules]
    answers.append([status, out.getvalue(), err.getvalue(), loaded])
json.dump(answers, sys.stdout)
"""


class Answer(NamedTuple):
    """What a command left: exit status, standard output and error, and which heavy libraries it had imported."""

    status: int
    out: str
    err: str
    loaded: list[str]


def answers(calls: list[list[str]], folder: Path) -> list[Answer]:
    """What `cellda` answers to each of these, one after the other in one fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", CALL.replace("HEAVY", repr(HEAVY))],
        input=json.dumps(calls),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [Answer(*answer) for answer in json.loads(done.stdout)]


@pytest.fixture(scope="module")
def answered(tmp_path_factory) -> dict[str, Answer]:
    folder = tmp_path_factory.mktemp("mistakes")
    (folder / "mistakes.yaml").write_text("adapter: ful\nfew_shot: {m: 3}\n", encoding="utf-8")
    (folder / "list.yaml").write_text("- full\n", encoding="utf-8")
    said = answers([arguments for arguments, _ in MISTAKES.values()], folder)
    assert {file.name for file in folder.iterdir()} == {"mistakes.yaml", "list.yaml"}
    return dict(zip(MISTAKES, said, strict=True))


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_answered_before_anything_heavy_is_imported(answered: dict[str, Answer], mistake: str):
    answer = answered[mistake]
    assert answer.status == 2
    assert re.search(MISTAKES[mistake][1], re.sub(r"[\s│]+", " ", answer.err)), answer.err
    assert answer.out == ""
    assert answer.loaded == []


def test_the_version(tmp_path: Path):
    (said,) = answers([["--version"]], tmp_path)
    assert said == Answer(0, f"cellda {cellda.__version__}\n", "", [])


@pytest.mark.parametrize("command", ["run", "adapt", "ablate", "bench"])
def test_commands_that_take_a_recipe_take_settings(tmp_path: Path, command: str):
    (said,) = answers([[command, "--help"]], tmp_path)
    assert "--set" in said.out
    assert "FIELD=VALUE" in said.out


@pytest.mark.parametrize(
    ("arguments", "default"),
    [
        (["run"], "default: the recipe's"),
        (["table"], "default: all that the files hold"),
        (["figure"], "default: the one that the files hold"),
    ],
)
def test_help_says_what_protocol_is_taken(tmp_path: Path, arguments: list[str], default: str):
    (said,) = answers([[*arguments, "--help"]], tmp_path)
    words = re.sub(r"[\s│]+", " ", said.out)
    about = words.partition("--protocol")[2]
    assert default in about.partition("--")[0].lower()
