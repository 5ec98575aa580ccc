"""What the tests of the benchmarks share."""

from pathlib import Path

import pytest

from tiny import recipe

if not (Path(__file__).parents[2] / "benchmarks").is_dir():
    collect_ignore_glob = ["test_*.py"]  # the benchmarks come with a clone, not with the package


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """Holds the store that scripts share, and the recipe: one synthetic source with enough cells to hold some out."""
    place = tmp_path_factory.mktemp("benchmarks")
    chosen = recipe(sources=[{"name": "synthetic/0", "options": {"per_class": 30}}])
    (place / "recipe.yaml").write_text(chosen.to_yaml())
    return place


@pytest.fixture
def options(folder, tmp_path) -> list[str]:
    return ["--recipe", str(folder / "recipe.yaml"), "--store", str(folder / "store"), "--out", str(tmp_path)]
