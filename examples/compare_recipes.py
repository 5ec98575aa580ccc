"""Compare three recipes on the same draws: which is better, and is the difference more than chance?

python examples/compare_recipes.py
"""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from cellda import Recipe
from cellda.datasets import CellDataset
from cellda.evaluation.compare import compare
from cellda.experiment.study import Study
from cellda.experiment.workspace import Workspace
from cellda.reporting.tables.conditions import comparison_table, condition_table, scores


def main(
    recipe: Recipe | None = None,
    targets: Sequence[str | CellDataset] = ("synthetic/3", "synthetic/5"),
    draws: int = 3,
    store: Path = Path("cellda-results"),
) -> None:
    """Compare frozen with moving BatchNorm statistics and with head-only training, and print the tables."""
    base = recipe or Recipe.preset("laptop").with_(
        sources=["synthetic/0"],
        backbone={"image_size": 96},
        training={"epochs": 6, "lr": 5e-4},
        few_shot={"n": 48},
    )
    recipes = {
        "bn_frozen": base,
        "bn_train": base.with_(adapter={"bn": "train"}),
        "head_only": base.with_(adapter="head_only"),
    }
    predictions = Study(recipes, targets, range(draws), workspace=Workspace(store=store)).run()
    console = Console()
    console.print(condition_table(predictions))
    console.print(comparison_table(compare(scores(predictions), baseline="bn_frozen")))


if __name__ == "__main__":
    main()
