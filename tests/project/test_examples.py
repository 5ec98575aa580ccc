"""The examples run as they are, on synthetic cells and with a tiny network."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

import cellda.datasets
from cellda import CellClassifier, RunResult
from cellda.adapters import AdaptContext, TargetView
from cellda.evaluation.predictions import read_predictions
from cellda.models.spec import Backbone
from cellda.normalizers.spec import NormalizerSpec
from cellda.presets import CONDITIONS
from cellda.training.loop import Trainer
from tiny import CLASSES, brightness_set, target
from tiny import recipe as tiny

EXAMPLES = Path(__file__).parents[2] / "examples"
SOURCE = [{"name": "synthetic/0", "options": {"per_class": 18}}]
"""Enough for the 100 source images of `mixed_source`."""


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_is_tested():
    assert {file.stem for file in EXAMPLES.glob("*.py")} == {
        "compare_recipes",
        "demo",
        "new_adapter",
        "own_folder",
        "own_research_code",
    }


def test_own_folder(tmp_path: Path, capsys):
    cells = target()
    for path, pixels in zip(cells.table["path"], cells.read(range(len(cells)), 40), strict=True):
        file = tmp_path / "cells" / f"{path}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(file)
    main = example("own_folder").main
    predicted = main(tmp_path / "cells", "synthetic/0", None, 18, tmp_path / "store", tiny())
    assert len(predicted) == 5
    assert set(predicted) <= {*CLASSES, None}
    printed = capsys.readouterr().out
    assert "42 images: {'basophil': 7" in printed
    assert "18 target labels used" in printed
    assert f"00000.png: {predicted[0] or 'no class'}" in printed
    # Another number of labelled cells makes a second classifier.
    main(tmp_path / "cells", "synthetic/0", None, 12, tmp_path / "store", tiny())
    saved = [RunResult.load(folder) for folder in (tmp_path / "store").glob("classifier-*")]
    assert sorted(result.labels_used for result in saved) == [12, 18]


def test_new_adapter(tmp_path: Path, capsys):
    accuracy = example("new_adapter").main(tiny(), target(), tmp_path)
    assert 0 <= accuracy <= 1
    assert "class_medians on synthetic/1" in capsys.readouterr().out


def test_new_adapter_classifies_by_the_nearest_class_median(tmp_path: Path):
    adapter = example("new_adapter").ClassMedians(scale=7.0)
    torch.manual_seed(0)
    backbone = Backbone(name="test_efficientnet", weights="none", image_size=32)
    model = CellClassifier(backbone, NormalizerSpec(name="identity")).eval()
    trainer = Trainer("cpu")
    support = brightness_set(classes=5)  # one class is not in the support
    support = replace(
        support, known_labels=support.labels.roll(1)
    )  # and one cell of each class is mislabelled
    embeddings = trainer.embeddings(model, support)
    model = adapter.adapt(model, TargetView(support), AdaptContext(trainer, seed=0))
    found = trainer.probabilities(model, support)

    expected = torch.zeros(len(support), 6)
    for label in support.labels.unique():
        of_class = np.sort(embeddings[support.labels == label].numpy(), axis=0)
        median = torch.from_numpy(of_class[(len(of_class) - 1) // 2])
        expected[:, label] = torch.exp(7.0 * torch.cosine_similarity(embeddings, median[None], dim=1))
    torch.testing.assert_close(found, expected / expected.sum(1, keepdim=True))
    kept = CellClassifier.load(model.save(tmp_path / "model"))
    torch.testing.assert_close(trainer.probabilities(kept, support), found)


def test_own_research_code(capsys):
    accuracy = example("own_research_code").main(target(), 18)
    assert 0 <= accuracy <= 1
    assert "on 24 other cells" in capsys.readouterr().out


def test_compare_recipes(tmp_path: Path, capsys):
    targets = [target(variant) for variant in (1, 2)]
    example("compare_recipes").main(tiny(), targets, 2, tmp_path)
    printed = capsys.readouterr().out
    for name in ("bn_frozen", "bn_train", "head_only", "synthetic/1", "synthetic/2"):
        assert name in printed


def test_demo(tmp_path: Path, capsys):
    demo = example("demo")
    assert list(demo.RECIPES) == list(CONDITIONS)
    recipes = {name: tiny(sources=SOURCE).with_preset(name) for name in CONDITIONS}
    brief = {
        name: one if one.adapter.name == "none" else one.with_(adapter={"epochs": 1})
        for name, one in recipes.items()
    }
    demo.main(brief, cellda.datasets.load("synthetic/3", per_class=12), tmp_path)
    printed = capsys.readouterr().out
    assert all(condition in printed for condition in CONDITIONS)
    assert "cellda run --target raabin --source barcelona" in printed
    table = read_predictions(tmp_path / "demo.parquet")
    assert set(table["condition"]) == set(CONDITIONS)


@pytest.mark.parametrize(
    "name", ["compare_recipes", "demo", "new_adapter", "own_folder", "own_research_code"]
)
def test_an_example_says_how_to_run_it(name: str):
    documented = example(name).__doc__ or ""
    assert name == "demo" or f"python examples/{name}.py" in documented
