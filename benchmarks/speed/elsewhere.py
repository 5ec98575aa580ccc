"""How much faster a study is in several processes, and whether it gives the same.

    OMP_NUM_THREADS=1 python -m benchmarks.speed.elsewhere

Forty runs (two conditions, twenty draws) on rendered cells, with one source model: in this process with one thread, then
`--on` another place. Once each with an empty store, where all runs wait for the training of the source model, and once with
stores in which it lies. Writes `benchmarks/results/cluster/speed.csv`: seconds of both, which include starting the workers,
and whether all predictions are equal to the last bit.
"""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch

import cellda.datasets
from benchmarks.common.options import command, command_line
from benchmarks.common.results import RESULTS, write_table
from cellda import Recipe, Study
from cellda.experiment.workspace import Workspace


def study(store: str, draws: int) -> Study:
    """A study whose runs take seconds each."""
    base = Recipe.preset("laptop").with_(
        sources=[{"name": "synthetic/0", "options": {"per_class": 40}}],
        backbone={"image_size": 64},
        few_shot={"n": 60},
        adapter={"name": "full", "epochs": 12},
        device="cpu",
    )
    recipes = {"full": base, "bn_frozen": base.with_(adapter={"bn": "frozen"})}
    target = cellda.datasets.load("synthetic/3", per_class=40)
    return Study(recipes, [target], range(draws), workspace=Workspace(None, store, progress=False))


def main(given: Sequence[str] | None = None) -> None:
    """Run the studies, and write the times."""
    parser = command_line(__doc__)
    parser.add_argument("--on", default="processes:2", help="the other place")
    parser.add_argument("--draws", type=int, default=20, help="number of draws, of two conditions each")
    parser.add_argument("--out", type=Path, default=RESULTS / "cluster", help="folder of the results")
    chosen = parser.parse_args(given)
    torch.set_num_threads(1)
    rows = [measured(chosen.on, chosen.draws, trained=trained) for trained in (False, True)]
    chosen.out.mkdir(parents=True, exist_ok=True)
    write_table(pd.DataFrame(rows), chosen.out / "speed.csv")


def measured(there: str, draws: int, *, trained: bool) -> dict[str, Any]:
    """Run the study here and there.

    Args:
        there: The other place.
        draws: Number of draws.
        trained: Whether the source model lies in the store.
    """
    found, seconds = [], []
    for on in ("local", there):
        with tempfile.TemporaryDirectory() as store:
            if trained:
                whole = study(store, 1)
                replace(whole, recipes={"none": whole.recipes["full"].with_(adapter="none")}).run()
            begin = time.perf_counter()
            found.append(study(store, draws).run(on=on))
            seconds.append(time.perf_counter() - begin)
    return {
        "on": there,
        "runs": 2 * draws,
        "source_model_in_store": trained,
        "seconds_local": seconds[0],
        "seconds_there": seconds[1],
        "times_as_fast": seconds[0] / seconds[1],
        "same_predictions": found[0].equals(found[1]),
    }


if __name__ == "__main__":
    command(main)
