"""The package as a user meets it: imports, metadata, registries, other people's plug-ins."""

import importlib
import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata, resources
from pathlib import Path
from textwrap import dedent

import pytest
import yaml

import cellda
from cellda.errors import ConfigurationError, UnknownNameError
from cellda.plugins.registry import Registry

ROOT = Path(__file__).parents[2]
KINDS = ("adapters", "datasets", "framing", "normalizers")


def registry_of(kind: str) -> Registry:
    return importlib.import_module(f"cellda.{kind}").registry


# Fresh registries: what other test modules register in this process is not built in.
BUILT_IN = [(kind, name) for kind in KINDS for name in Registry(kind, f"cellda.{kind}").names()]


def python(code: str, *path: Path) -> str:
    """What a fresh interpreter prints, with `path` ahead on its import path."""
    search = [*map(str, path), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(search)}
    done = subprocess.run(
        [sys.executable, "-c", dedent(code)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


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
        from cellda import adapters, datasets, framing, normalizers
        for room in (adapters, datasets, framing, normalizers):
            for name in room.names():
                assert room.summary(name), name
                assert f"{room.__name__}.{name}" not in sys.modules, name
                print(name)
        assert "torch" not in sys.modules
        """
    )
    assert {"full", "head_only", "folder", "synthetic", "identity", "reinhard"} <= set(listing.split())


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
        re.match(r"[\w.-]+", requirement)[0].lower()
        for requirement in metadata.requires("cellda") or ()
        if not re.search(r"extra == .(dev|docs)", requirement)
    }
    missing = [
        name
        for name in imported
        if not any(distribution.lower() in declared for distribution in distributions.get(name, [name]))
    ]
    assert missing == []


# --- registries


@pytest.mark.parametrize(("kind", "name"), BUILT_IN)
def test_built_in_plugin_is_named_after_its_file(kind: str, name: str):
    cls = registry_of(kind).get(name)
    assert cls.name == name
    assert cls.__module__ == f"cellda.{kind}.{name}"


@pytest.mark.parametrize(("kind", "name"), BUILT_IN)
def test_summary_is_the_first_line_of_the_docstring(kind: str, name: str):
    registry = Registry(kind, f"cellda.{kind}")  # fresh: reads the source, nothing is registered in it
    assert registry.summary(name) == (registry_of(kind).get(name).__doc__ or "").strip().splitlines()[0]
    assert registry.summary(name).endswith(".")


@pytest.mark.parametrize(
    ("kind", "typo", "meant"),
    [
        ("normalizers", "reinhart", "reinhard"),
        ("framing", "cel", "cell"),
        ("adapters", "Head-Only", "head_only"),
        ("datasets", "rabin", "raabin"),
    ],
)
def test_unknown_name_says_the_near_ones(kind: str, typo: str, meant: str):
    with pytest.raises(
        UnknownNameError, match=f"no {registry_of(kind).kind} '{typo}'; did you mean '{meant}'"
    ):
        registry_of(kind).get(typo)
    with pytest.raises(UnknownNameError, match=f"did you mean '{meant}'"):
        registry_of(kind).summary(typo)


def test_unknown_name_without_a_near_one_lists_all():
    with pytest.raises(UnknownNameError) as caught:
        registry_of("normalizers").get("zzz")
    assert all(name in str(caught.value) for name in registry_of("normalizers").names())
    assert "did you mean" not in str(caught.value)


def test_a_name_is_taken_once():
    registry: Registry = Registry("normalizer", "cellda.normalizers")

    @registry.register("mine")
    class First: ...

    registry.register("mine")(First)  # a module that is loaded again registers the same class again
    with pytest.raises(ConfigurationError, match=r"'mine' is already taken by .*First; register .*Second"):

        @registry.register("mine")
        class Second: ...

    assert registry.get("mine") is First


# --- other people's packages


@pytest.fixture
def third_party(tmp_path: Path) -> Path:
    """An installed distribution with one normalizer and one adapter, as pip leaves it in site-packages."""
    package = tmp_path / "stainlab"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "invert.py").write_text(
        dedent(
            '''
            from cellda.normalizers import Normalizer, register

            @register("invert")
            class Invert(Normalizer):
                """Turns every colour into its complement."""

                def __init__(self, strength: float = 1.0) -> None:
                    super().__init__()
                    self.strength = strength

                def forward(self, images, mask=None):
                    return (images + self.strength * (1 - 2 * images)).clamp(0, 1)
            '''
        )
    )
    (package / "patience.py").write_text(
        dedent(
            '''
            from cellda.adapters import Adapter, Need, register, tunable

            @register("patience")
            class Patience(Adapter):
                """Waits. Nobody et al. 2020."""

                effects = frozenset()
                needs = frozenset({Need.LABELS})
                rate: float = tunable(1e-4, low=1e-5, high=1e-2, log=True)

                def adapt(self, model, target, context):
                    return model

                def image_passes(self, offer):
                    return 0
            '''
        )
    )
    info = tmp_path / "stainlab-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stainlab\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[cellda.normalizers]\ninvert = stainlab.invert:Invert\n"
        "[cellda.adapters]\npatience = stainlab.patience:Patience\n"
    )
    return tmp_path


def test_third_party_plugins_are_listed_without_import(third_party: Path):
    python(
        """
        import sys
        from cellda import adapters, normalizers
        assert "invert" in normalizers.names() and "patience" in adapters.names()
        assert normalizers.summary("invert") == "Turns every colour into its complement."
        assert adapters.summary("patience") == "Waits. Nobody et al. 2020."
        assert "torch" not in sys.modules and "stainlab.invert" not in sys.modules
        """,
        third_party,
    )


def test_third_party_plugins_are_built_and_checked_like_our_own(third_party: Path):
    python(
        """
        import torch
        from cellda import adapters, normalizers
        from cellda.errors import ConfigurationError, UnknownNameError
        from cellda.plugins.settings import search_space

        invert = normalizers.create("invert", strength=1.0)
        assert invert.name == "invert"
        assert torch.equal(invert(torch.zeros(1, 3, 2, 2)), torch.ones(1, 3, 2, 2))
        try:
            normalizers.create("invert", strenght=1.0)
        except ConfigurationError as error:
            assert "did you mean 'strength'" in str(error), error
        else:
            raise AssertionError("an unknown option was accepted")
        try:
            normalizers.get("invrt")
        except UnknownNameError as error:
            assert "did you mean 'invert'" in str(error), error
        else:
            raise AssertionError("an unknown name was accepted")
        assert search_space(type(adapters.create("patience")))["rate"].high == 1e-2
        """,
        third_party,
    )


def test_adapters_that_are_not_whole_are_refused_in_a_sentence(third_party: Path):
    (third_party / "stainlab" / "patience.py").write_text(
        dedent(
            """
            from cellda.adapters import Adapter, register

            @register("patience")
            class Patience(Adapter):
                def adapt(self, model, target, context):
                    return model

            @register("nothing")
            class Nothing: ...

            @register("forgetful")
            class Forgetful(Patience):
                effects = frozenset()

                def adapt(self, model, target, context): ...

                def image_passes(self, offer):
                    return 0
            """
        )
    )
    python(
        """
        from cellda import Recipe
        from cellda.errors import ConfigurationError

        def said(run):
            try:
                run()
            except ConfigurationError as error:
                return str(error)
            raise AssertionError("it was accepted")

        assert "'patience' does not define image_passes" in said(lambda: Recipe(adapter="patience"))
        assert "'nothing' does not derive from cellda.adapters.Adapter" in said(lambda: Recipe(adapter="nothing"))
        tiny = Recipe(
            sources=[{"name": "synthetic/0", "options": {"per_class": 6}}],
            backbone={"name": "test_efficientnet", "weights": "none", "image_size": 32},
            training={"epochs": 1}, few_shot={"n": 18}, adapter="forgetful", search=None, device="cpu",
        )
        import cellda.datasets
        target = cellda.datasets.load("synthetic/1", per_class=7)
        told = said(lambda: tiny.run(target, store=STORE, progress=False))
        assert "'forgetful' returned a NoneType instead of a classifier" in told, told
        """.replace("STORE", repr(str(third_party / "store"))),
        third_party,
    )


# --- documents


def test_plugins_of_the_guide_work():
    """The classes printed in docs/plugins.md register, keep their contract and do what they say."""
    guide = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    blocks = [part.partition("```")[0] for part in guide.split("```python\n")[1:]]
    assert len(blocks) == 4
    python(
        "\n".join(blocks)
        + dedent(
            """
            import tempfile
            from pathlib import Path
            import torch
            from cellda import adapters, datasets, framing, normalizers
            from cellda.plugins.settings import search_space

            assert set(search_space(adapters.get("batchnorm_only"))) == {"lr", "epochs"}

            tinted = torch.rand(2, 3, 16, 16) * torch.tensor([0.8, 0.5, 0.6])[:, None, None]
            smear = torch.ones(2, 16, 16, dtype=torch.bool)
            grey = normalizers.create("grey_world", level=0.4)(tinted, smear)
            assert torch.allclose(grey.mean((2, 3)), torch.full((2, 3), 0.4), atol=0.02), grey.mean((2, 3))

            picture = torch.zeros(8, 10, 3, dtype=torch.uint8)
            picture[4:, 5:] = 200
            assert framing.create("bright").box(picture.numpy()) == (5, 4, 5, 4)

            root = Path(tempfile.mkdtemp())
            for name in ("p1/NEU_1.png", "p1/BLA_1.png", "p2/LYT_1.png"):
                (root / name).parent.mkdir(exist_ok=True)
                (root / name).touch()
            ward = datasets.load("our_ward", root)
            assert ward.class_counts() == {"lymphocyte": 1, "neutrophil": 1}
            assert list(ward.table["group"]) == ["p1", "p2"]
            """
        )
    )
