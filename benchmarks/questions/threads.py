"""How much the number of threads changes a result (`benchmarks/results/faults/threads.csv`).

    python -m benchmarks.questions.threads --out benchmarks/results/faults

Synthetic cells at 48 px, preset `laptop`, on a CPU: a source model is trained for two epochs on `synthetic/0` and adapted to
`synthetic/1` with `full` and without, with one thread, with one again, and with two. The second and third predictions are
compared with the first. Each has a store of its own, so that everything is computed. Half a minute.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import torch

from benchmarks.common.options import arguments, command
from benchmarks.common.results import write_table
from cellda import Recipe, datasets
from cellda.evaluation.predictions import probabilities

THREADS = (1, 1, 2)
ADAPTERS: dict[str, Any] = {"none": "none", "full": {"name": "full", "epochs": 2, "min_steps": 0}}
RECIPE = (
    Recipe()
    .with_preset("laptop")
    .with_(
        sources=[{"name": "synthetic/0", "options": {"per_class": 10}}],
        backbone={"image_size": 48},
        training={"epochs": 2},
        few_shot={"n": 24},
        device="cpu",
    )
)


def predicted(threads: int) -> dict[str, pd.DataFrame]:
    """The predictions of all adapters, computed with this number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with TemporaryDirectory() as store:
            target = datasets.load("synthetic/1", per_class=20)
            return {
                name: RECIPE.with_(adapter=adapter).run(target, store=Path(store), progress=False).predictions
                for name, adapter in ADAPTERS.items()
            }
    finally:
        torch.set_num_threads(before)


def compared() -> Iterator[dict[str, Any]]:
    """One row for each number of threads and adapter."""
    first, *others = map(predicted, THREADS)
    for threads, other in zip(THREADS[1:], others, strict=True):
        for name in ADAPTERS:
            difference = abs(probabilities(first[name]) - probabilities(other[name])).max()
            yield {
                "adapter": name,
                "threads": threads,
                "images": len(first[name]),
                "largest_difference": f"{difference:.1e}",
                "other_class": int((first[name]["predicted"] != other[name]["predicted"]).sum()),
            }


def main(given: Sequence[str] | None = None) -> None:
    """Measure and write."""
    chosen = arguments(__doc__).parse_args(given)
    write_table(pd.DataFrame(compared()), chosen.out / "threads.csv")


if __name__ == "__main__":
    command(main)
