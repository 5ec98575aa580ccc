"""Calls that a type checker must let pass, with the types that it must find. Never run."""

from pathlib import Path
from typing import assert_type

import pandas as pd

import cellda.datasets
from cellda import CellClassifier, Recipe, RunResult, adapters, normalizers
from cellda.adapters import Adapter
from cellda.data.spec import FewShot
from cellda.datasets import CellDataset
from cellda.plugins.settings import tunable

assert_type(Recipe(adapter="full", sources=["barcelona"], few_shot={"n": 20}), Recipe)
Recipe(sources="barcelona", search=None, target_normalizer=None)
Recipe(sources=[{"name": "synthetic/0", "options": {"per_class": 6}}, "raabin"])
Recipe(source_model="pooled", search=None)
Recipe(source_model=Path("my_model"), adapter=("full", "tta"))
Recipe(adapter=("adabn", "lp_ft"))
Recipe(adapter=[{"name": "full", "epochs": 3}, "tta"], few_shot=FewShot(n=20))
Recipe(adapter=adapters.create("full", epochs=3), protocol="paper", pool="disjoint", seed=1, device="cpu")

recipe = Recipe.preset("laptop", "head_only").with_preset("best")
assert_type(recipe.with_(few_shot={"draw": 3}, seed=1), Recipe)
assert_type(recipe.few_shot.n, int | None)
assert_type(recipe.seed, int)
assert_type(recipe.adapter, Adapter)
assert_type(recipe.digest, str)
assert_type(Recipe.from_yaml(Path("recipe.yaml")), Recipe)

result = recipe.run("raabin", "~/wbc", store=Path("store"), progress=False)
assert_type(result, RunResult)
assert_type(result.predictions, pd.DataFrame)
assert_type(result.labels_used, int)
assert_type(RunResult.load("saved"), RunResult)
assert_type(result.metrics.accuracy.value, float)

assert_type(recipe.adapt("folder=~/my_cells", ["a.png", Path("b.png")]), CellClassifier)
assert_type(cellda.datasets.load("synthetic/3", per_class=7), CellDataset)
assert_type(normalizers.names(), list[str])


class Mine:
    """Fields of a plug-in have the types that they say."""

    lr: float = tunable(1e-4, low=1e-5, high=1e-2, log=True, gt=0)
    bn: str = tunable("train", choices=("train", "frozen"))
