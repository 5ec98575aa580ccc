"""Every command and every block of code of README and docs runs, page by page and in order, on drawn cells.

The preset `laptop` stands for a tiny network here, and `pooled` for a model of it. The long form (`pytest -m slow`) runs
the same pages with the real ones.
"""

import io
import re
import runpy
import shutil
import sys
import tomllib
from pathlib import Path

import click
import pytest
import typer.main
from accelerate.commands.launch import launch_command_parser

from cellda import presets, source_models
from cellda.cli.commands import app
from cellda.datasets.bccd import Bccd
from cellda.datasets.raabin import Raabin
from cellda.experiment import cross_validation
from documents import PAGES, ROOT, SHELLS, Block, blocks, draw_world, label
from tiny import SIDE, model_folder

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "optional-dependencies"
]
TINY = {
    "backbone": {"name": "test_efficientnet", "weights": "none", "image_size": SIDE},
    "training": {"epochs": 1},
    "search": None,
}
READ_ONLY = {
    "cellda app my_images": "it answers until it is stopped: tests/app",
    "cellda bench --target raabin --target bccd --source barcelona --data wbc --preset laptop --draws 5 --save zoo": (
        "hundreds of runs: tests/experiment/test_leaderboard.py"
    ),
    "cellda ablate --target raabin --target bccd --source barcelona --data wbc --preset laptop --draws 3": (
        "36 runs: tests/experiment/test_study.py"
    ),
    "cellda export pooled --format bioimageio --save pooled.zip": "it needs another pydantic: tests/export",
    "cellda ablate --target synthetic/1 --source synthetic/0 --preset laptop --on processes:2": "tests/cluster",
    "cellda --install-completion": "it writes into the shell of whoever runs the tests",
    "cellda datasets fetch barcelona --data ~/wbc": "a download: tests/datasets/test_fetch.py",
    "cellda datasets fetch barcelona --data wbc": "a download: tests/datasets/test_fetch.py",
}
"""Commands whose words are read by the program, but which are run elsewhere."""
ELSEWHERE = {
    "docs/plugins.md": "the package of the guide is installed and run by tests/plugins/test_other_packages.py",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("world")
    draw_world(home)
    return home


@pytest.fixture
def small(tmp_path_factory, monkeypatch) -> None:
    """Small stand-ins for what a page calls `laptop` and `pooled`."""
    model = tmp_path_factory.mktemp("pooled") / "pooled"
    model_folder(model, framing="cell")
    monkeypatch.setitem(presets.SIZES, "laptop", TINY)
    best = presets.RECOMMENDED["best"]
    first, *others = best["adapter"]
    monkeypatch.setattr(cross_validation, "MOST_FOLDS", 2)
    brief = {"adapter": [{"name": first, "epochs": 2}, *others]}
    monkeypatch.setitem(presets.RECOMMENDED, "best", {**best, **brief})
    with source_models.registry.scratch():
        monkeypatch.setitem(source_models.registry._folders, "pooled", model)
        yield


class Reader:
    """Somebody who types what a page says."""

    def __init__(self, home: Path, call) -> None:
        self.home, self.call = home, call
        self.names: dict[str, object] = {"__name__": "page"}
        self.done = 0

    def read(self, block: Block) -> None:
        """Do what a block says."""
        if block.language == "python":
            exec(compile(block.text, "page", "exec"), self.names)
            self.done += 1
        elif block.language in SHELLS:
            for words in block.commands():
                self.type(words)
                self.done += 1

    def type(self, words: list[str]) -> None:
        """Type one command."""
        words = [re.sub(r"^~", str(self.home), word.removeprefix(".venv/bin/")) for word in words]
        while re.match(r"[A-Z_]+=", words[0]):
            words = words[1:]
        if ">" in words:
            words = words[: words.index(">")]
        match words:
            case ["cellda", *arguments]:
                self.cellda(arguments)
            case ["accelerate", "launch", *options]:
                launched = launch_command_parser().parse_args(options)
                assert (launched.module, launched.training_script) == (True, "cellda")
                self.cellda(launched.training_script_args)
            case ["make", task, *_]:
                assert re.search(rf"^{task}:.*## ", MAKEFILE, re.MULTILINE), f"There is no `make {task}`."
            case ["pip", "install", what]:
                extras = re.findall(r"\[(.*)\]", what)
                assert set(",".join(extras).split(",")) <= {*EXTRAS, ""}
            case ["python", "-m", "pytest", *arguments]:
                assert all((ROOT / one).exists() for one in arguments if one.endswith(".py"))
            case ["python", "-m", module, *arguments]:
                options = [word for word in arguments if word.startswith("--")]
                file = ROOT / (module.replace(".", "/") + ".py")
                assert set(options) <= set(options_of(file)), f"{module} has no such option."
            case ["python", "run_model.py", *arguments]:
                shutil.copy(ROOT / "src/cellda/export/run_model.py", "run_model.py")
                sys.argv = ["run_model.py", *arguments]
                runpy.run_path("run_model.py", run_name="__main__")
            case ["python", script]:
                assert (ROOT / script).is_file()
            case _:
                raise AssertionError(f"Nobody knows how to check: {' '.join(words)}")

    def cellda(self, arguments: list[str]) -> None:
        """Run a command of cellda; a table that a person fills in is filled in before it is read."""
        typed = " ".join(["cellda", *arguments]).replace(str(self.home), "~")
        if typed in READ_ONLY:
            understood(arguments)
            return
        for table in Path.cwd().glob("to_label*.csv"):
            label(table)
        said = self.call(*arguments)
        assert said.status == 0, f"{typed}\n{said.out}{said.err}"


def options_of(file: Path) -> list[str]:
    """The options that a script states, and those that all scripts of benchmarks share."""
    shared = ROOT / "benchmarks" / "common"
    text = "".join(one.read_text(encoding="utf-8") for one in (file, *shared.glob("*.py")))
    return re.findall(r'"(--[a-z-]+)"', text)


def understood(arguments: list[str]) -> None:
    """Let the program read the words of a command, without doing it."""
    command, words = typer.main.get_command(app), arguments
    context = command.make_context(
        "cellda", list(words), resilient_parsing=words[:1] == ["--install-completion"]
    )
    while isinstance(command, click.Group) and context.protected_args + context.args:
        name, command, words = command.resolve_command(context, [*context.protected_args, *context.args])
        assert command is not None
        context = command.make_context(name, list(words), parent=context)


@pytest.fixture
def reader(world: Path, tmp_path: Path, cellda_, monkeypatch, tmp_path_factory) -> Reader:
    home = tmp_path / "home"
    shutil.copytree(world, home)
    (home / "benchmarks").symlink_to(ROOT / "benchmarks")
    monkeypatch.chdir(home)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 9))  # to whatever is asked
    for dataset in (Raabin, Bccd):
        monkeypatch.setattr(dataset, "few_shot", 12)  # instead of 100: there are few cells in this world
    return Reader(home, cellda_)


def read(page: str, reader: Reader) -> None:
    for block in blocks(page):
        reader.read(block)
    assert reader.done == sum(
        len(block.commands()) if block.language in SHELLS else block.language == "python"
        for block in blocks(page)
    )


SAID = [page for page in PAGES if page not in ELSEWHERE]


@pytest.mark.filterwarnings("ignore::UserWarning")  # what a run says of so small a world
@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("page", SAID)
def test_what_a_page_says_works(page: str, reader: Reader):
    read(page, reader)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("page", SAID)
def test_what_a_page_says_works_with_the_networks_that_it_names(page: str, reader: Reader):
    read(page, reader)


def test_a_page_that_says_something_wrong_is_found(reader: Reader):
    """What the tests above would see: an option, a script, a task, an extra and a name that do not exist."""
    for words in (
        ["cellda", "list", "--al"],
        ["make", "tests"],
        ["pip", "install", "cellda[ap]"],
        ["python", "-m", "benchmarks.studies.ablation", "--nosuch"],
        ["rm", "-r", "my_cells"],
    ):
        with pytest.raises(AssertionError):
            reader.type(words)
    with pytest.raises(ImportError):
        reader.read(Block("python", "from cellda import Recipes"))
