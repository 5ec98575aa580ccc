"""Paths in a recipe: relative to its file, or, from Python, to the working directory."""

from pathlib import Path

import pytest
import yaml
from pydantic import Field

import cellda.adapters
import cellda.normalizers
from cellda import Recipe
from cellda.adapters.base import Adapter, Effect
from cellda.normalizers.base import Normalizer
from cellda.plugins.settings import Settings

SMALL = {"name": "test_efficientnet", "image_size": 32}


class Inner(Settings):
    """Settings within an adapter."""

    prototypes: Path | None = None


@pytest.fixture(autouse=True)
def members():
    """Two members of somebody else, for one test."""
    with cellda.normalizers.registry.scratch(), cellda.adapters.registry.scratch():

        @cellda.normalizers.register("reference_file")
        class Reference(Normalizer):
            """A normalizer whose reference is in a file."""

            def __init__(
                self, image: Path | None = None, more: tuple[Path, ...] = (), label: str = "own"
            ) -> None:
                super().__init__()

            def forward(self, images, mask=None):
                return images

        @cellda.adapters.register("teacher")
        class Teacher(Adapter):
            """An adapter that starts from a checkpoint."""

            effects = frozenset({Effect.ENCODER})
            checkpoint: Path | None = None
            inner: Inner = Field(default_factory=Inner)
            note: str = "own"

            def adapt(self, model, target, context):
                return model

            def image_passes(self, offer):
                return 0

        yield


FIELDS = {
    "backbone": {**SMALL, "weights": "own.safetensors"},
    "sources": ["raabin", {"name": "table", "options": {"images": "cells"}}],
    "normalizer": {
        "name": "reference_file",
        "image": "ref.png",
        "more": ["a.png", "/there/b.png"],
        "label": "own",
    },
    "adapter": [
        {"name": "teacher", "checkpoint": "../t.pt", "inner": {"prototypes": "p.npy"}, "note": "a/b"},
        "tta",
    ],
    "search": None,
}


def paths_of(recipe):
    """All paths of the recipe above, as they would be opened."""
    teacher = recipe.adapter.parts()[0]
    options = recipe.normalizer.options
    return [
        Path(recipe.backbone.weights),
        Path(recipe.sources[1].options["images"]),
        Path(options["image"]),
        *map(Path, options["more"]),
        Path(teacher.checkpoint),
        Path(teacher.inner.prototypes),
    ]


def expected(folder):
    return [
        folder / "own.safetensors",
        folder / "cells",
        folder / "ref.png",
        folder / "a.png",
        Path("/there/b.png"),
        folder / "../t.pt",
        folder / "p.npy",
    ]


def test_paths_in_a_file_are_relative_to_the_file(tmp_path, monkeypatch):
    (tmp_path / "recipes").mkdir()
    file = tmp_path / "recipes" / "mine.yaml"
    file.write_text(yaml.safe_dump(FIELDS), encoding="utf-8")
    for folder, named in (
        (tmp_path, Path("recipes/mine.yaml")),
        (tmp_path / "recipes", Path("mine.yaml")),
        (tmp_path, file),
    ):
        monkeypatch.chdir(folder)
        recipe = Recipe.from_yaml(named)
        assert paths_of(recipe) == expected(tmp_path / "recipes")
        assert recipe.normalizer.options["label"] == "own"
        assert recipe.adapter.parts()[0].note == "a/b"
        assert recipe.sources[0].name == "raabin"


def test_paths_from_python_are_relative_to_the_working_directory(tmp_path):
    assert paths_of(Recipe(**FIELDS)) == expected(Path())
    assert paths_of(Recipe.from_yaml(yaml.safe_dump(FIELDS))) == expected(Path())


def test_a_written_recipe_finds_its_files_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = Recipe(**FIELDS).to_yaml()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "recipe.yaml").write_text(text, encoding="utf-8")
    monkeypatch.chdir("/")
    assert paths_of(Recipe.from_yaml(tmp_path / "elsewhere" / "recipe.yaml")) == expected(tmp_path)


@pytest.mark.parametrize("weights", ["timm", "packaged", "none", "~/own.pth", "/there/own.pth"])
def test_names_and_whole_paths_stay(tmp_path, weights):
    name = "tf_efficientnet_lite0" if weights == "packaged" else "test_efficientnet"
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump({"backbone": {"name": name, "weights": weights}}), encoding="utf-8")
    assert Recipe.from_yaml(file).backbone.weights == weights


def test_weights_next_to_a_recipe_are_found(tmp_path, monkeypatch):
    (tmp_path / "own.pth").write_bytes(b"weights")
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump({"backbone": {**SMALL, "weights": "own.pth"}}), encoding="utf-8")
    monkeypatch.chdir("/")
    assert Recipe.from_yaml(file).backbone.weights_digest is not None


@pytest.mark.parametrize(
    "fields",
    [
        {"normalizer": {"name": "no_such", "image": "a"}},
        {"normalizer": 3},
        {"sources": [{"name": "no_such", "options": {"images": "a"}}]},
        {"sources": {"table": 1}},
        {"adapter": [{"name": 3}]},
        {"backbone": [1]},
        {"backbone": {"weights": 3}},
        {"no_such": "a"},
    ],
)
def test_wrong_fields_are_refused_as_before(tmp_path, fields):
    from cellda.errors import CelldaError

    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(fields), encoding="utf-8")
    with pytest.raises(CelldaError, match="recipe"):
        Recipe.from_yaml(file)
