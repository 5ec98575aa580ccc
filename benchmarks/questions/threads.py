"""How much the number of threads changes a result (`benchmarks/results/faults/threads.csv`).

    python -m benchmarks.questions.threads --out benchmarks/results/faults

Synthetic cells at 48 px, preset `laptop`, on a CPU: a source model is trained for four epochs on `synthetic/0` and adapted to
`synthetic/1` with `full` and without, with one thread, with one again, and with two; each has a store of its own, so that
everything is computed. And the model that `full` made with one thread predicts the same images again. Everything is compared
with what one thread made first. A minute or two on a machine with nothing else to do.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from benchmarks.common.options import arguments, command
from benchmarks.common.results import write_table
from cellda import Recipe, datasets
from cellda.experiment.run import Run
from cellda.experiment.workspace import Workspace
from cellda.training.loop import Trainer

THREADS = (1, 1, 2)
ADAPTERS = {"no_fine_tune": "none", "full": "full"}
RECIPE = (
    Recipe()
    .with_preset("laptop")
    .with_(
        sources=[{"name": "synthetic/0", "options": {"per_class": 20}}],
        backbone={"image_size": 48},
        training={"epochs": 4},
        few_shot={"n": 36},
        device="cpu",
    )
)


@contextmanager
def with_threads(number: int) -> Iterator[None]:
    """Context in which torch computes with this number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def probabilities(store: Path) -> dict[str, Tensor]:
    """What runs with all adapters predict, and what the model of the last one predicts again, with one thread and with two."""
    target, trainer, found = datasets.load("synthetic/1", per_class=20), Trainer("cpu"), {}
    for name, adapter in ADAPTERS.items():
        recipe = RECIPE.with_(adapter=adapter)
        model = recipe.run(target, store=store, progress=False).model
        query = Run.prepare(recipe, target, Workspace(store=store, progress=False)).query(model.normalizer)
        found[name] = trainer.probabilities(model, query)
    for number in sorted(set(THREADS)):
        with with_threads(number):
            found[f"prediction alone, {number}"] = trainer.probabilities(model, query)
    return found


def compared(found: Sequence[Mapping[str, Tensor]]) -> Iterator[dict[str, Any]]:
    """One row for each number of threads and for what was computed with them."""
    first = found[0]
    for threads, other in zip(THREADS[1:], found[1:], strict=True):
        pairs = {f"training and {name}": (first[name], other[name]) for name in ADAPTERS}
        pairs["prediction alone"] = first["full"], first[f"prediction alone, {threads}"]
        for what, (one, two) in pairs.items():
            yield {
                "computed": what,
                "threads": threads,
                "images": len(one),
                "largest_difference": f"{(one - two).abs().max():.1e}",
                "other_class": int((one.argmax(1) != two.argmax(1)).sum()),
            }


def main(given: Sequence[str] | None = None) -> None:
    """Measure and write."""
    chosen = arguments(__doc__).parse_args(given)
    found = []
    for number in THREADS:
        with with_threads(number), TemporaryDirectory() as store:
            found.append(probabilities(Path(store)))
    write_table(pd.DataFrame(compared(found)), chosen.out / "threads.csv")


if __name__ == "__main__":
    command(main)
