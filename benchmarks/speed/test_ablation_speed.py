"""The six conditions on several targets together, against each run on its own."""

from pathlib import Path
from typing import Any

import cellda.datasets
from benchmarks.speed.contest import Peer, contest
from cellda import Recipe
from cellda.experiment.study import Study
from cellda.experiment.workspace import Workspace
from cellda.presets import CONDITIONS

TARGETS = [cellda.datasets.load(f"synthetic/{number}", per_class=25) for number in (1, 3, 5, 7)]


def test_ablation(benchmark: Any, tmp_path: Path) -> None:
    """6 conditions x 4 targets x 5 draws on synthetic cells at 48 px; separate runs each draw, decode and train alone.

    The separate runs are those of one draw, a fifth of all runs.
    """
    base = Recipe.preset("laptop").with_(
        sources=[{"name": "synthetic/0", "options": {"per_class": 20}}],
        backbone={"image_size": 48},
        few_shot={"n": 24},
        training={"epochs": 5},
    )
    short: dict[str, dict[str, int]] = {
        "full": {"epochs": 3},
        "from_scratch": {"epochs": 3},
        "mixed_source": {"epochs": 3, "source_images": 24},
    }
    recipes = {}
    for name in CONDITIONS:
        recipe = base.with_preset(name)
        recipes[name] = recipe.with_(adapter=short.get(recipe.adapter.name, {}))
    stores = (tmp_path / f"store{number}" for number in range(10_000))

    def ours() -> None:
        Study(recipes, TARGETS, range(5), workspace=Workspace(store=next(stores), progress=False)).run()

    def separately() -> None:
        for recipe in recipes.values():
            for target in TARGETS:
                recipe.run(target, store=next(stores), progress=False, keep_model=False)

    contest(
        benchmark,
        "ablation",
        ours,
        {"its runs one by one": Peer(separately, part=1 / 5)},
        images=0,
        rounds=1,
        warmup=0,
    )
