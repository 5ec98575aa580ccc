"""The whole workflow on synthetic cells: the paper's six conditions, no download, a few minutes on two cores."""

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

import cellda.datasets
from cellda import Recipe
from cellda.datasets import CellDataset
from cellda.evaluation.predictions import write_predictions
from cellda.experiment.study import Study
from cellda.experiment.workspace import Workspace
from cellda.presets import CONDITIONS
from cellda.reporting.tables.conditions import summary_table

BASE = Recipe.preset("laptop").with_(
    sources=[{"name": "synthetic/0", "options": {"per_class": 100}}],
    backbone={"image_size": 80},
    training={"epochs": 6, "lr": 5e-4, "one_cycle": True},
    few_shot={"n": 48},
)
RECIPES = {name: BASE.with_preset(name) for name in CONDITIONS}


def main(
    recipes: Mapping[str, Recipe] = RECIPES,
    target: CellDataset | None = None,
    store: Path = Path("cellda-results"),
) -> None:
    """Train on one synthetic laboratory, adapt to another with 48 labelled cells, compare the six conditions."""
    console = Console()
    console.print(
        "cellda demo: a classifier is trained on synthetic cells of one laboratory (synthetic/0) and adapted to another, "
        "with different stains, microscope and camera, using 48 labelled cells; the paper's six conditions are compared."
    )
    cells = target or cellda.datasets.load("synthetic/3", per_class=100)
    predictions = Study(recipes, [cells], workspace=Workspace(store=store)).run()
    file = write_predictions(predictions, store / "demo.parquet")
    console.print(summary_table(predictions, list(recipes)))
    console.print(
        f"Saved: predictions in {file}, runs and models in {store}/ (a second call reuses them).\n\n"
        "Next, on real data: put the datasets you have into one folder, each under its name (docs/datasets.md), and\n"
        "  .venv/bin/cellda run --target raabin --source barcelona --data ~/wbc --preset laptop\n"
        "or on your own cells, one folder per class:\n"
        "  .venv/bin/cellda run --target folder=~/my_cells --source barcelona --data ~/wbc --preset laptop",
        highlight=False,
    )


if __name__ == "__main__":
    main()
