"""Registries say what is wrong with a plug-in instead of passing over it, and results depend on plug-ins' code."""

import importlib
import importlib.util
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import pytest

import cellda.adapters
import cellda.datasets
import tiny
from cellda import Recipe
from cellda.adapters import Offer
from cellda.errors import ConfigurationError
from cellda.experiment.study import Study
from cellda.models.timm_names import encoder_structure
from cellda.plugins.code_digest import forget, member_code
from cellda.plugins.registry import Registry
from cellda.plugins.settings import Settings
from interpreter import python
from rewritten import rewritten
from tiny import CLASSES


class Kind(Enum):
    """Of a thing."""

    SOUR = "like lemons"
    SWEET = "like sugar"


PLUGIN = """
from {package} import registry

@registry.register({name})
class Thing:
    '''What it does.'''
    def value(self):
        return {value}
"""


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """No test knows the code that another has read."""
    forget()
    yield
    forget()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "things_of_a_test"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from cellda.plugins.registry import Registry\nregistry = Registry('thing', 'things_of_a_test', 'builtins:object')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.startswith("things_of_a_test")]:
        del sys.modules[name]


def plugin(folder: Path, file: str, name: str, value: int = 1) -> Path:
    path = folder / f"{file}.py"
    path.write_text(PLUGIN.format(package=folder.name, name=name, value=value))
    return path


def registry_of(folder: Path) -> Registry[object]:
    return __import__(folder.name).registry  # type: ignore[no-any-return]


def test_any_quotes_register(package: Path) -> None:
    plugin(package, "single", "'single'")
    plugin(package, "double", '"double"')
    assert registry_of(package).names() == ["double", "single"]
    assert registry_of(package).summary("single") == "What it does."


def test_a_summary_is_of_the_registered_class_whatever_stands_before_it(package: Path) -> None:
    (package / "second.py").write_text(
        "from functools import total_ordering\nfrom things_of_a_test import registry\n\n"
        "@total_ordering\nclass First:\n    '''A helper.'''\n    def __lt__(self, other):\n        return True\n\n"
        "@registry.register('second')\nclass Second:\n    '''What is registered.'''\n"
    )
    assert registry_of(package).summary("second") == "What is registered."


def test_a_file_that_is_not_python_is_named_with_its_line(package: Path) -> None:
    (package / "half.py").write_text("from things_of_a_test import registry\n\n@registry.register('half'\n")
    with pytest.raises(ConfigurationError, match=r"half\.py, line 3, is not valid Python"):
        registry_of(package).names()


def test_a_member_whose_file_raises_is_a_sentence(package: Path) -> None:
    path = plugin(package, "raising", "'raising'")
    path.write_text(path.read_text() + "\n1 / 0\n")
    with pytest.raises(
        ConfigurationError, match=r"thing 'raising' cannot be loaded: ZeroDivisionError.*raising\.py, line 10"
    ):
        registry_of(package).get("raising")


def test_what_every_process_finds_is_told_from_what_this_one_has_registered(package: Path) -> None:
    plugin(package, "file", "'file'")
    registry = registry_of(package)
    registry.register("session")(type("Session", (), {}))
    assert registry.names() == ["file", "session"]
    assert registry.installed("file")
    assert not registry.installed("session")


class Base(ABC):
    """What things of a test derive from."""

    flavours: ClassVar[frozenset[Kind]]

    @abstractmethod
    def value(self) -> int: ...


def test_create_builds_checks_options_and_refuses_what_is_not_a_member() -> None:
    registry: Registry[Base] = Registry("thing", "cellda.framing", f"{__name__}:Base")

    @registry.register("sweet")
    class Sweet(Base):
        flavours = frozenset({Kind.SWEET})

        def __init__(self, amount: int = 1) -> None:
            self.amount = amount

        def value(self) -> int:
            return self.amount

    @registry.register("settings")
    class Chosen(Settings, Base):
        flavours: ClassVar = frozenset()
        amount: int = 1

        def value(self) -> int:
            return self.amount

    @registry.register("vague")
    class Vague(Base):
        def value(self) -> int:
            return 0

    for name in ("sweet", "settings"):
        assert registry.create(name).value() == 1
        assert registry.create(name, amount=3).value() == 3
        with pytest.raises(
            ConfigurationError, match=rf"thing '{name}' are not valid:\n.*'amuont': did you mean 'amount'"
        ):
            registry.create(name, amuont=3)
        with pytest.raises(ConfigurationError, match="field 'amount'"):
            registry.create(name, amount="much")
    wanted = r"Vague.*does not state its flavours.*\n.*Kind\.SOUR: like lemons\n.*Kind\.SWEET: like sugar"
    with pytest.raises(ConfigurationError, match=wanted):
        registry.create("vague")


def test_another_name_than_the_files_is_refused(package: Path) -> None:
    plugin(package, "one", "'another'")
    with pytest.raises(ConfigurationError, match=r"one\.py registers 'another'.*@register\(\"one\"\)"):
        registry_of(package).names()


def defined(module: str) -> type:
    """A class that was defined in this module; each is another one, and all have the same name."""
    return type("Thing", (), {"__module__": module})


def test_a_built_in_name_is_refused_before_its_member_is_imported(package: Path) -> None:
    plugin(package, "thing", "'thing'")
    registry = registry_of(package)
    said = r"The thing name 'thing' is already taken by things_of_a_test\.thing(\.Thing)?; register elsewhere\.Thing under"
    with pytest.raises(ConfigurationError, match=said):
        registry.register("thing")(defined("elsewhere"))
    assert "things_of_a_test.thing" not in sys.modules
    assert registry.get("thing").__module__ == "things_of_a_test.thing"
    with pytest.raises(ConfigurationError, match=said):
        registry.register("thing")(defined("elsewhere"))


def test_a_name_is_kept_for_the_module_that_registered_it(package: Path) -> None:
    registry = registry_of(package)
    first, again = defined("notebook"), defined("notebook")
    registry.register("mine")(first)
    assert registry.get("mine") is first
    registry.register("mine")(again)
    assert registry.get("mine") is again
    with pytest.raises(ConfigurationError, match=r"'mine' is already taken by notebook\.Thing"):
        registry.register("mine")(defined("other"))
    assert registry.get("mine") is again


def test_a_built_in_member_that_is_reloaded_replaces_itself(package: Path) -> None:
    plugin(package, "thing", "'thing'")
    registry = registry_of(package)
    first = registry.get("thing")
    again = importlib.reload(sys.modules[first.__module__]).Thing
    assert again is not first
    assert registry.get("thing") is again


def test_no_class_takes_the_name_of_an_adapter_of_cellda() -> None:
    registry: Registry[object] = Registry("adapter", "cellda.adapters", "builtins:object")
    with pytest.raises(ConfigurationError, match=r"'full' is already taken by cellda\.adapters\.full"):
        registry.register("full")(defined("elsewhere"))


def loaded(file: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, file.stem, module)
    spec.loader.exec_module(module)
    return module


def digest_in(package: Path) -> str:
    """The digest of the class `Thing` of a package, as a new process would find it."""
    for name in [name for name in sys.modules if name.startswith(package.name)]:
        del sys.modules[name]
    importlib.invalidate_caches()
    forget()
    return member_code(importlib.import_module(f"{package.name}.thing").Thing)


@pytest.mark.parametrize("edited", ["thing", "near", "far", "aside", "inner/deep"])
def test_any_file_of_another_package_counts(package: Path, edited: str) -> None:
    (package / "inner").mkdir()
    for name in ("near", "far", "aside", "inner/__init__", "inner/deep"):
        (package / f"{name}.py").write_text("VALUE = 1\n")
    (package / "thing.py").write_text("class Thing: ...\n")
    (package / "notes.txt").write_text("not code")
    before = digest_in(package)
    (package / "notes.txt").write_text("still not code")
    assert digest_in(package) == before
    file = package / f"{edited}.py"
    file.write_text(f"{file.read_text()}# Why.\n")
    assert digest_in(package) != before


def test_a_file_without_a_package_is_its_own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def digest_of(value: int) -> str:
        (tmp_path / "lonely.py").write_text(f"class Thing:\n    value = {value}\n")
        forget()
        return member_code(loaded(tmp_path / "lonely.py", monkeypatch).Thing)

    assert digest_of(1) == digest_of(1) != digest_of(2)


def test_a_member_of_cellda_counts_with_what_it_derives_from() -> None:
    codes = {name: member_code(cellda.adapters.get(name)) for name in cellda.adapters.names()}
    assert len(set(codes.values())) == len(codes)

    class Mine(cellda.adapters.get("full")):  # type: ignore[misc]
        """Derives from a member."""

    code = member_code(Mine)
    assert code not in codes.values()
    with rewritten("adapters/full.py"):
        assert member_code(Mine) != code
        assert member_code(cellda.adapters.get("ncm")) == codes["ncm"]
    assert member_code(Mine) == code


@pytest.mark.parametrize(
    "bodies",
    [
        ("LEVEL = 1", "LEVEL = 2"),
        ("value = property(lambda self: 2)", "value = property(lambda self: 3)"),
        ("def run(self): return (lambda x: x + 1)(1)", "def run(self): return (lambda x: x + 2)(1)"),
    ],
)
def test_whatever_changes_in_a_notebooks_class_counts(bodies) -> None:
    """In every process alike: neither addresses nor the order of sets is part of it."""
    code = """
        from cellda.plugins.code_digest import member_code
        namespace = {{"__name__": "nowhere"}}
        exec("class Thing:\\n    known = lambda self, x: x in {{'a', 'b', 'c'}}\\n    {body}", namespace)
        print(member_code(namespace["Thing"]))
    """
    one, again, other = (python(code.format(body=body)) for body in (bodies[0], *bodies))
    assert one == again != other


def test_a_class_without_a_file_is_told_by_its_functions() -> None:
    def made(value: int) -> type:
        return type("Made", (), {"__module__": "nowhere", "value": eval(f"lambda self: {value}")})

    assert member_code(made(1)) == member_code(made(1)) != member_code(made(2))


def test_epochs_alone_are_exact_also_in_an_edit() -> None:
    offer = Offer((20, 20, 20, 20, 20, 0), 0, 0, CLASSES, (), encoder_structure("test_efficientnet"))
    for recipe in (Recipe().with_(adapter={"epochs": 5}), Recipe(adapter={"name": "full", "epochs": 5})):
        assert recipe.adapter.image_passes(offer) == 500
    assert Recipe().with_(adapter={"epochs": 5, "min_steps": 400}).adapter.image_passes(offer) == 3100


def test_two_own_folders_are_told_apart(tmp_path: Path) -> None:
    sets = []
    for name in ("north", "south"):
        file = tmp_path / name / "neutrophil" / "cell.png"
        file.parent.mkdir(parents=True)
        file.write_bytes(b"picture")
        sets.append(cellda.datasets.load("folder", tmp_path / name))
    assert [cells.full_name for cells in sets] == ["folder/north", "folder/south"]


def test_targets_of_one_name_are_refused(tmp_path: Path) -> None:
    twice = Study({"one": tiny.recipe()}, [tiny.target(), tiny.target()], workspace=tiny.quiet(tmp_path))
    with pytest.raises(ConfigurationError, match=r"Two targets are called 'synthetic/1'"):
        twice.run()
