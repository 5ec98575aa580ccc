"""Which sources, and how they are pooled: accuracy without labels (`benchmarks/results/source_pools/`).

    python -m benchmarks.questions.source_pools --data ~/wbc [--targets raabin] [--pools root root_own] [--seeds 0 1 2]

A source model of each pool is trained without the target and predicts all cells of the target, unadapted. Preset `laptop`
at 96 px, every cell framed, stains varied; every model sees about the same number of images (`PASSES`). A pool is chosen by
its mean over the other targets than the one that a result is reported for. Predictions are written as soon as a model is
done, one file each; finished ones are not computed again, so that a long call may be interrupted, and divided among
processes. Six to ten minutes a model on one CPU core.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from benchmarks.common.options import command, command_line, with_store
from benchmarks.common.releases import TARGETS
from benchmarks.common.releasing import left_out_predictions, scores, without
from benchmarks.common.results import RESULTS
from benchmarks.common.study import GRID
from cellda import Recipe
from cellda.datasets.spec import Source
from cellda.evaluation.predictions import PROBABILITIES, read_predictions, write_predictions
from cellda.experiment.workspace import Workspace
from cellda.training.loop import Trainer

PASSES = 16_000
"""Images that each model sees in training."""
ALL = ("barcelona", "munich_2019", *TARGETS)
RENDERED = {"name": "randomised", "options": {"laboratories": 1500}}
POOLS: Mapping[str, tuple[Sequence[Any], dict[str, Any]]] = {
    "barcelona": (["barcelona"], {}),
    "barcelona_rendered": (["barcelona", RENDERED], {}),
    "equal": (ALL, {}),
    "root": (ALL, {"pooling": "root"}),
    "equal_own": (ALL, {"compared": "own"}),
    "root_own": (ALL, {"pooling": "root", "compared": "own"}),
    "root_own_rendered": ([*ALL, RENDERED], {"pooling": "root", "compared": "own"}),
}
"""Sources, and the fields of `training` that say how they are pooled."""


def recipe(pool: str, target: str, seed: int, cells: Callable[[Source], int]) -> Recipe | None:
    """A pool without a target; None if nothing is left. `cells` counts those of a source."""
    sources, training = POOLS[pool]
    whole = Recipe.preset("laptop").with_(
        sources=sources,
        adapter="none",
        framing="cell",
        seed=seed,
        backbone={"image_size": 96},
        training={"stain_jitter": 1.0, "holdout": 0.0, **training},
    )
    kept = without(whole, target)
    if kept is None:
        return None
    sizes = list(map(cells, kept.sources))
    an_epoch = sum(sizes) if kept.training.pooling == "root" else len(sizes) * max(sizes)
    return kept.with_(training={"epochs": max(1, round(PASSES / an_epoch))})


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

    def cells(source: Source) -> int:
        return len(workspace.load(source.name, **source.options))

    for seed in chosen.seeds:
        for target in chosen.targets:
            for pool in chosen.pools:
                file = chosen.results / "predictions" / f"{pool}-{target}-{seed}.parquet"
                left = recipe(pool, target, seed, cells)
                if left is not None and not file.exists():
                    found = left_out_predictions(left, target, workspace, Trainer(left.device))
                    found["condition"] = pool
                    found[list(PROBABILITIES)] = (found[list(PROBABILITIES)] * GRID).round() / GRID
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
