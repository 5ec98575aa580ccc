"""The package as a user meets it: imports, metadata, registries."""

import ast
import importlib
import importlib.util
import re
import tomllib
from importlib import metadata, resources
from pathlib import Path

import pytest
import yaml

import cellda
from cellda.errors import ConfigurationError, UnknownNameError
from cellda.plugin import REGISTRIES
from cellda.plugins.registry import Registry
from interpreter import python

ROOT = Path(__file__).parents[2]


def fresh(kind: str) -> Registry:
    """The registry of a kind without what other test modules register in this process."""
    registry = REGISTRIES[kind]
    return Registry(registry.kind, registry.package, registry.base)


BUILT_IN = [(kind, name) for kind in REGISTRIES for name in fresh(kind).names()]


# --- imports


def test_import_is_light():
    heavy = (
        "torch torchvision timm kornia numpy pandas scipy sklearn matplotlib optuna accelerate pydantic rich"
    )
    loaded = python(f"import sys, cellda; print([m for m in '{heavy}'.split() if m in sys.modules])")
    assert loaded.strip() == "[]"


def test_listing_plugins_imports_none_of_them():
    listing = python(
        """
        import sys
        from cellda.plugin import REGISTRIES
        for registry in REGISTRIES.values():
            for name in registry.names():
                assert registry.summary(name), name
                assert f"{registry.package}.{name}" not in sys.modules, name
                print(name)
        assert "torch" not in sys.modules
        """
    )
    assert {"full", "folder", "synthetic", "identity", "reinhard", "mlp", "snd"} <= set(listing.split())


def test_recipe_is_imported_without_torch():
    python("import sys; from cellda import Recipe; assert 'torch' not in sys.modules")


def test_the_authors_face_loads_what_is_imported_from_it():
    python("import sys; from cellda.plugin import Adapter, tunable; assert 'torch' not in sys.modules")


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["datasets"]])
def test_command_line_answers_without_torch(arguments: list[str]):
    answer = python(
        f"""
        import sys
        from cellda.cli import main
        sys.argv = ["cellda", *{arguments}]
        try:
            main()
        except SystemExit as end:
            assert not end.code, end.code
        assert "torch" not in sys.modules
        """
    )
    assert "datasets" in answer


FACES = (
    "cellda",
    "cellda.adapters",
    "cellda.datasets",
    "cellda.framing",
    "cellda.models",
    "cellda.normalizers",
    "cellda.plugin",
)
"""Packages and modules that import their names on first use."""


def typed_names(module: str) -> set[str]:
    """What type checkers see that a module imports."""
    file = importlib.util.find_spec(module).origin
    block = next(
        node
        for node in ast.parse(Path(file).read_text(encoding="utf-8")).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    return {alias.name for node in block.body for alias in node.names}


@pytest.mark.parametrize("face", FACES)
def test_a_lazy_face_offers_what_type_checkers_see(face: str):
    module = importlib.import_module(face)
    assert set(dir(module)) == typed_names(face)
    for name in typed_names(face) | set(module.__all__):
        assert getattr(module, name) is not None


def test_the_package_offers_what_the_quick_start_needs():
    assert set(cellda.__all__) == {
        "CellClassifier",
        "CelldaError",
        "Recipe",
        "RunResult",
        "Study",
        "__version__",
        "adapt",
        "adapt_model",
        "run",
        "suggest",
    }


# --- metadata


def test_one_version_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cellda.__version__ == project["version"] == citation["version"] == metadata.version("cellda")
    assert f"## [{cellda.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_package_is_typed_and_licensed():
    assert resources.files("cellda").joinpath("py.typed").is_file()
    assert metadata.metadata("cellda")["License-Expression"] == "Apache-2.0"
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_every_dependency_is_declared():
    """Every library that cellda imports is a dependency, or comes with an extra that users install."""
    imported = python(
        """
        import ast, pathlib, sys
        import cellda
        roots = set()
        for file in pathlib.Path(cellda.__file__).parent.rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    roots |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    roots.add(node.module.partition(".")[0])
        print(*sorted(roots - set(sys.stdlib_module_names) - {"cellda"}))
        """
    ).split()
    distributions = metadata.packages_distributions()
    declared = {
        re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0].lower())
        for requirement in metadata.requires("cellda") or ()
        if not re.search(r"extra == .(dev|docs)", requirement)
    }
    missing = [
        name
        for name in imported
        if not any(
            re.sub(r"[-_.]+", "-", distribution.lower()) in declared
            for distribution in distributions.get(name, [name])
        )
        and not any(one.startswith(f"{name}-") for one in declared)  # a part of a package of several
    ]
    assert missing == []


# --- registries


@pytest.mark.parametrize(("kind", "name"), BUILT_IN)
def test_built_in_plugin_is_named_after_its_file(kind: str, name: str):
    registry = REGISTRIES[kind]
    cls = registry.get(name)
    assert cls.name == name
    assert cls.__module__ == f"{registry.package}.{name}"


@pytest.mark.parametrize(("kind", "name"), BUILT_IN)
def test_summary_is_the_first_line_of_the_docstring(kind: str, name: str):
    line = fresh(kind).summary(name)  # read from the source
    assert line == (REGISTRIES[kind].get(name).__doc__ or "").strip().splitlines()[0]
    assert line.endswith(".")


@pytest.mark.parametrize(
    ("kind", "typo", "meant"),
    [
        ("normalizers", "reinhart", "reinhard"),
        ("framing", "cel", "cell"),
        ("adapters", "Head-Only", "head_only"),
        ("datasets", "rabin", "raabin"),
        ("heads", "liner", "linear"),
        ("selectors", "entrop", "entropy"),
        ("suggesters", "typiclast", "typiclust"),
    ],
)
def test_unknown_name_says_the_near_ones(kind: str, typo: str, meant: str):
    with pytest.raises(
        UnknownNameError, match=f"no {REGISTRIES[kind].kind} '{typo}'; did you mean '{meant}'"
    ):
        REGISTRIES[kind].get(typo)
    with pytest.raises(UnknownNameError, match=f"did you mean '{meant}'"):
        REGISTRIES[kind].summary(typo)


def test_unknown_name_without_a_near_one_lists_all():
    with pytest.raises(UnknownNameError) as caught:
        REGISTRIES["normalizers"].get("zzz")
    assert all(name in str(caught.value) for name in REGISTRIES["normalizers"].names())
    assert "did you mean" not in str(caught.value)


def test_a_name_is_taken_once():
    registry: Registry = Registry("normalizer", "cellda.normalizers", "builtins:object")

    @registry.register("mine")
    class First: ...

    registry.register("mine")(First)  # a module that is loaded again registers the same class again
    with pytest.raises(ConfigurationError, match=r"'mine' is already taken by .*First; register .*Second"):

        @registry.register("mine")
        class Second: ...

    assert registry.get("mine") is First
