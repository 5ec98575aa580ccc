"""Imports lead down the house, and never in a circle; the drawing in the documentation is the house that is tested."""

import ast
import re
from pathlib import Path
from textwrap import dedent

import pytest

from cellda.plugin import REGISTRIES
from project.house import (
    DOCUMENT,
    HEIGHT,
    NAMED,
    SOURCE,
    arrows,
    circles,
    drawing,
    drawn,
    modules,
    room,
    upward,
)


@pytest.fixture(scope="module")
def files() -> dict[str, Path]:
    return modules()


def test_every_room_has_a_floor(files: dict[str, Path]):
    rooms = {room(name) for name in files}
    assert rooms == set(HEIGHT), "give a new room a floor and a line in tests/project/house.py"


def test_no_import_looks_up(files: dict[str, Path]):
    assert [str(arrow) for arrow in upward(arrows(files))] == []


def test_no_modules_import_each_other_in_a_circle(files: dict[str, Path]):
    assert circles(arrows(files), files) == []


def test_each_door_is_used(files: dict[str, Path]):
    assert {arrow.place for arrow in arrows(files) if arrow.is_door} == {
        "run",
        "adapt",
        "report",
        "TYPE_CHECKING",
    }


def test_only_plugins_are_imported_by_a_computed_name(files: dict[str, Path]):
    computed = re.compile(r"\bimport_module\b|\b__import__\b")
    found = {name for name, file in files.items() if computed.search(file.read_text(encoding="utf-8"))}
    assert found == {"cellda.plugins.loading", "cellda.plugins.registry"}


def test_the_base_of_every_registry_counts_as_an_import(files: dict[str, Path]):
    named = {(arrow.source, arrow.target) for arrow in arrows(files) if arrow.place == NAMED}
    assert named == {(kind.package, kind.base.partition(":")[0]) for kind in REGISTRIES.values()}


MAY_IMPORT = {
    ("cellda.adapters", "cellda.models.heads"): "an adapter builds the head that it predicts with",
}
"""Members of which registry may import members of which, and why; the rest share code through families and base classes."""


def test_no_member_imports_another_member(files: dict[str, Path]):
    package_of = {
        module: kind.package
        for kind in REGISTRIES.values()
        for name in kind.names()
        if (module := f"{kind.package}.{name}") in files
    }
    assert set(package_of.values()) == {kind.package for kind in REGISTRIES.values()}
    between = [arrow for arrow in arrows(files) if {arrow.source, arrow.target} <= package_of.keys()]
    pairs = {str(arrow): (package_of[arrow.source], package_of[arrow.target]) for arrow in between}
    assert [arrow for arrow, pair in pairs.items() if pair not in MAY_IMPORT] == []
    assert set(pairs.values()) == MAY_IMPORT.keys(), "an exception that nothing needs"


def test_the_documentation_shows_this_house():
    shown = drawn(DOCUMENT.read_text(encoding="utf-8"))
    assert shown == drawing(), "run `python tests/project/house.py`"


# --- the walk itself, on packages that break each rule


def package(folder: Path, **texts: str) -> dict[str, Path]:
    """A package `cellda` with these modules, written as `room__file="..."`; `__` stands for a folder."""
    for name, text in {"face": "", **texts}.items():
        file = folder / "cellda" / (name.replace("__", "/").replace("face", "__init__") + ".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text))
    return modules(folder)


@pytest.mark.parametrize(
    "text",
    [
        "from cellda.recipe import Recipe",
        "import cellda.recipe",
        "from cellda import recipe",
        "from . import recipe",
        "from .recipe import Recipe",
        "def late():\n    from cellda.recipe import Recipe",
        "class Sized:\n    async def late(self):\n        import cellda.recipe",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from cellda.recipe import Recipe",
        "try:\n    import cellda.recipe\nexcept ImportError:\n    pass",
        "registry = Registry('error', 'cellda.errors', 'cellda.recipe:Recipe')",
    ],
)
def test_an_import_that_looks_up_is_found(tmp_path: Path, text: str):
    files = package(tmp_path, errors=text, recipe="class Recipe: ...")
    (arrow,) = upward(arrows(files))
    assert (arrow.source, arrow.target) == ("cellda.errors", "cellda.recipe")


def test_an_import_of_another_room_on_the_same_floor_looks_up(tmp_path: Path):
    files = package(tmp_path, runtime__face="", runtime__store="import cellda.plugins", plugins__face="")
    assert [str(arrow) for arrow in upward(arrows(files))] == [
        "cellda.runtime.store:1 imports cellda.plugins"
    ]


def test_an_import_within_a_room_or_from_below_does_not_look_up(tmp_path: Path):
    files = package(
        tmp_path,
        errors="import os",
        data__face="",
        data__check="from cellda.errors import CelldaError\nfrom cellda.data.root import ROOT",
        data__root="",
    )
    found = arrows(files)
    assert [arrow.target for arrow in found] == ["cellda.errors", "cellda.data.root"]
    assert upward(found) == []


def test_only_the_doors_look_up(tmp_path: Path):
    recipe = """
        class Recipe:
            def run(self):
                from cellda.experiment.workflow import run
            def digest(self):
                from cellda.experiment.workflow import digest
            def adapt(self):
                from cellda.cli import adapt
        """
    files = package(tmp_path, recipe=recipe, experiment__face="", experiment__workflow="", cli__face="")
    assert [str(arrow) for arrow in upward(arrows(files))] == [
        "cellda.recipe:6 imports cellda.experiment.workflow (digest)",
        "cellda.recipe:8 imports cellda.cli (adapt)",
    ]


def test_a_circle_is_found_wherever_its_imports_stand(tmp_path: Path):
    files = package(
        tmp_path,
        data__face="",
        data__one="import cellda.data.two",
        data__two="def late():\n    import cellda.data.three",
        data__three="if TYPE_CHECKING:\n    import cellda.data.one",
        data__four="import cellda.data.one",
    )
    assert circles(arrows(files), files) == [["cellda.data.one", "cellda.data.three", "cellda.data.two"]]


def test_only_the_face_of_a_package_may_be_lazy(tmp_path: Path):
    texts = {"data__base": "import cellda.data", "data__face": "def create():\n    import cellda.data.base"}
    files = package(tmp_path, **texts)
    assert circles(arrows(files), files) == []
    files = package(tmp_path, **{**texts, "data__face": "import cellda.data.base"})
    assert circles(arrows(files), files) == [["cellda.data", "cellda.data.base"]]


# ------------------------------------------------------------------ sizes


def inside(file: Path) -> str:
    """The path of a file of the package, the same on every system."""
    return file.relative_to(SOURCE).as_posix()


def functions(files: dict[str, Path]) -> list[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function of the package, with the place it is defined in."""
    return [
        (f"{inside(file)}:{node.lineno} {node.name}", node)
        for file in files.values()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def test_no_file_is_long(files: dict[str, Path]) -> None:
    lengths = {inside(file): len(file.read_text(encoding="utf-8").splitlines()) for file in files.values()}
    assert {name: lines for name, lines in lengths.items() if lines > 300} == {}
    members = {
        name: lines for name, lines in lengths.items() if re.fullmatch(r"cellda/adapters/[a-z]\w*\.py", name)
    }
    assert {name for name, lines in members.items() if lines > 100} == {
        "cellda/adapters/base.py",
        "cellda/adapters/chain.py",
    }


def test_no_function_has_many_parameters(files: dict[str, Path]) -> None:
    many = []
    for place, node in functions(files):
        named = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        every = [*named, *filter(None, (node.args.vararg, node.args.kwarg))]
        given = [one for one in every if one.arg not in ("self", "cls")]
        if len(given) > 8 and not place.startswith("cellda/cli/"):
            many.append(place)
    assert many == []


# ------------------------------------------------------------------ repetition


def code_lines(file: Path) -> list[tuple[int, str]]:
    """The lines of a file with their numbers; without indents, blank lines and imports."""
    text = file.read_text(encoding="utf-8")
    imports = {
        number
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    numbered = enumerate(map(str.strip, text.splitlines()), start=1)
    return [(number, line) for number, line in numbered if line and number not in imports]


def repeated(files: dict[str, Path], length: int) -> list[str]:
    """Runs of so many lines of code that occur more than once, each as the places where it starts."""
    places: dict[tuple[str, ...], list[str]] = {}
    for name, file in files.items():
        lines = code_lines(file)
        for start in range(len(lines) - length + 1):
            window = tuple(line for _, line in lines[start : start + length])
            places.setdefault(window, []).append(f"{name}:{lines[start][0]}")
    return [" and ".join(found) for found in places.values() if len(found) > 1]


def test_no_two_places_share_ten_lines(files: dict[str, Path]) -> None:
    assert repeated(files, 10) == []


def test_a_repetition_is_found_whatever_its_indent_and_blank_lines(tmp_path: Path) -> None:
    lines = [f"value_{number} = {number}" for number in range(10)]
    imports = "from os import (\n    path,\n)\n"
    one = imports + "\n".join(lines)
    two = imports + "if True:\n    " + "\n\n    ".join(lines)
    files = package(tmp_path, data__one=one, data__two=two)
    assert repeated(files, 10) == ["cellda.data.one:4 and cellda.data.two:5"]
    assert repeated(files, 11) == []
    assert repeated(package(tmp_path, data__two=two.replace("value_5", "other")), 10) == []


def test_a_repetition_within_a_file_is_found(tmp_path: Path) -> None:
    lines = "\n".join(f"value_{number} = {number}" for number in range(10))
    files = package(tmp_path, data__one=f"{lines}\n# again\n{lines}")
    assert repeated(files, 10) == ["cellda.data.one:1 and cellda.data.one:12"]
