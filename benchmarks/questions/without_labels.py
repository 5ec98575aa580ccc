"""Methods without labels on source models of several laboratories (`benchmarks/results/without_labels/`).

    python -m benchmarks.questions.source_pools --data ~/wbc --store STORE --pools root_own
    python -m benchmarks.questions.without_labels --data ~/wbc --store STORE --pools root_own

Takes the source models that the first command has trained, each without the target, and adapts them with every method of
`METHODS` to the images of the target, at declared values. Runs whose source model is not in the store are passed over, with a
word; finished runs are taken from the store, so that a long call may be interrupted. Also answers whether the comparison with
the source model that a run makes (`cellda.experiment.departure`) tells a good adaptation from a bad one.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from benchmarks.common.options import command, command_line, with_store
from benchmarks.common.releases import TARGETS
from benchmarks.common.results import RESULTS, write_table
from benchmarks.questions.source_pools import POOLS, recipe
from cellda.experiment.making import make, make_ready
from cellda.experiment.result import RunResult
from cellda.experiment.run import Run
from cellda.experiment.stages import has_source_model
from cellda.experiment.workspace import Workspace
from cellda.training.loop import Trainer

LAME = {"name": "lame", "neighbours": 20}
ALONE = {"name": "self_training", "source_share": 0.0}
METHODS: dict[str, Any] = {
    "none": "none",
    "self_training, tta": ["self_training", "tta"],
    "self_training, lame 20, tta": ["self_training", LAME, "tta"],
    "self_training, source_share 0": ALONE,
    "self_training, source_share 0, tta": [ALONE, "tta"],
    "self_training, source_share 0, first block": {**ALONE, "block": "first"},
    "embedding_statistics": "embedding_statistics",
    "prior_correction": "prior_correction",
    "calibrated_prior": "calibrated_prior",
    "lame": "lame",
    "lame, 20 neighbours": LAME,
}


def rows(chosen: Any, workspace: Workspace) -> Iterator[dict[str, Any]]:
    """One row per run whose source model is in the store."""
    for seed in chosen.seeds:
        for target in chosen.targets:
            for pool in chosen.pools:
                left = recipe(pool, target, seed)
                if left is None:
                    continue
                for method in chosen.methods:
                    adapted = left.with_(adapter=METHODS[method])
                    run, trainer = Run.prepare(adapted, target, workspace), Trainer(left.device)
                    if not has_source_model(run):
                        Console().print(f"No source model of {pool} without {target}, seed {seed}, yet.")
                        break
                    make_ready([run] if run.finished() is None else [], trainer)
                    with workspace.display():
                        result = make(run, trainer, keep_model=False)
                    yield {"pool": pool, "target": target, "seed": seed, "method": method, **measured(result)}


def measured(result: RunResult) -> dict[str, Any]:
    """What is kept of a run."""
    record, metrics, departure = result.record, result.metrics, result.record.departure
    return {
        "cells": metrics.n,
        "accuracy": metrics.accuracy.value,
        "balanced_accuracy": metrics.balanced_accuracy.value,
        "ece": metrics.ece,
        "differing": None if departure is None else departure.share,
        "coherence_before": None if departure is None else departure.coherence_before,
        "coherence_after": None if departure is None else departure.coherence_after,
        "image_passes": record.image_passes,
    }


def main(given: Sequence[str] | None = None) -> None:
    """Run what is not there yet, print and write all that the command line names."""
    parser = with_store(command_line(__doc__))
    parser.add_argument(
        "--data", type=Path, required=True, help="folder that holds one folder per dataset name"
    )
    parser.add_argument("--out", type=Path, default=RESULTS / "without_labels", help="folder of the results")
    parser.add_argument("--targets", nargs="+", default=TARGETS, choices=TARGETS)
    parser.add_argument("--pools", nargs="+", default=["root_own"], choices=POOLS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS, metavar="METHOD")
    chosen = parser.parse_args(given)
    table = pd.DataFrame(rows(chosen, Workspace(chosen.data, chosen.store)))
    write_table(table, chosen.out / "runs.csv")


if __name__ == "__main__":
    command(main)
