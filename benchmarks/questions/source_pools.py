"""Which sources, and how they are pooled: accuracy without labels (`benchmarks/results/source_pools/`).

    python -m benchmarks.questions.source_pools --data ~/wbc [--targets raabin] [--pools root root_own] [--seeds 0 1 2]

A source model of each pool is trained without the target and predicts all cells of the target, unadapted. Preset `laptop`
at 96 px, every cell framed, stains varied, 24,000 to 34,000 images passed. A pool is chosen by its mean over the other targets
than the one that a result is reported for. Predictions are written as soon as a model is done, one file each; finished ones
are not computed again, so that a long call may be interrupted, and divided among processes. Ten minutes a model on one
CPU core.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from benchmarks.common.left_out import without
from benchmarks.common.options import command, command_line, with_store
from benchmarks.common.releases import POOLED, SOURCES, TARGETS
from benchmarks.common.releasing import left_out_predictions, scores
from benchmarks.common.results import RESULTS
from benchmarks.common.study import GRID
from cellda import Recipe
from cellda.evaluation.predictions import (
    classes_of,
    probability_columns,
    read_predictions,
    write_predictions,
)
from cellda.experiment.workspace import Workspace
from cellda.training.loop import Trainer

RENDERED = {"name": "randomised", "options": {"laboratories": 800}}
POOLS: Mapping[str, tuple[Sequence[Any], dict[str, Any]]] = {
    "barcelona": (["barcelona"], {"epochs": 18, "pooling": "equal", "compared": "all"}),
    "barcelona_rendered": (["barcelona", RENDERED], {"epochs": 4, "pooling": "equal", "compared": "all"}),
    "equal": (SOURCES, {"epochs": 4, "pooling": "equal", "compared": "all"}),
    "root": (SOURCES, {"compared": "all"}),
    "equal_own": (SOURCES, {"epochs": 4, "pooling": "equal"}),
    "root_own": (SOURCES, {}),
    "root_own_rendered": ([*SOURCES, RENDERED], {"epochs": 4}),
}
"""Sources, and what differs from the training of the released model `pooled`; all models see about as many images."""


def recipe(pool: str, target: str, seed: int) -> Recipe | None:
    """A pool without a target; None if nothing is left."""
    sources, training = POOLS[pool]
    return without(POOLED.with_(sources=sources, seed=seed, training=training), target)


def main(given: Sequence[str] | None = None) -> None:
    """Train and predict what the command line names and is not there yet; then show all that is there."""
    parser = with_store(command_line(__doc__))
    parser.add_argument(
        "--data", type=Path, required=True, help="folder that holds one folder per dataset name"
    )
    parser.add_argument(
        "--results", type=Path, default=RESULTS / "source_pools", help="folder of the results"
    )
    parser.add_argument("--targets", nargs="+", default=TARGETS, choices=TARGETS)
    parser.add_argument("--pools", nargs="+", default=list(POOLS), choices=POOLS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    chosen = parser.parse_args(given)
    workspace = Workspace(chosen.data, chosen.store)

    for seed in chosen.seeds:
        for target in chosen.targets:
            for pool in chosen.pools:
                file = chosen.results / "predictions" / f"{pool}-{target}-{seed}.parquet"
                left = recipe(pool, target, seed)
                if left is not None and not file.exists():
                    found = left_out_predictions(left, target, workspace, Trainer(left.device))
                    found["condition"] = pool
                    columns = list(probability_columns(classes_of(found)))
                    found[columns] = (found[columns] * GRID).round() / GRID
                    write_predictions(found, file)
    table = summary(chosen.results / "predictions")
    table.to_csv(chosen.results / "accuracy.csv", index=False, float_format="%.4f")
    Console().print(table.to_string(index=False))


def summary(folder: Path) -> pd.DataFrame:
    """Accuracy of each model on the cells of its target, one row each."""
    return pd.DataFrame(
        {"pool": pool, "target": target, "seed": seed, **scores(own).model_dump()}
        for (pool, target, seed), own in read_predictions(folder).groupby(["condition", "target", "seed"])
    )


if __name__ == "__main__":
    command(main)
