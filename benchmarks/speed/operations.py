"""Which operations take the time: the profile behind `docs/speed.md`.

`python -m benchmarks.speed.operations --data ~/wbc` writes `benchmarks/results/speed/operations.csv`: share of the processor's
time and number of calls of the largest operations, in one epoch of source training, a short adaptation, a short search, a
prediction, and Reinhard in both spaces.
"""

import tempfile
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from rich.console import Console
from torch.profiler import ProfilerActivity, profile

from benchmarks.common.options import command, command_line
from benchmarks.speed import cells
from benchmarks.speed.contest import THREADS, record
from cellda.adapters import create
from cellda.adapters.base import AdaptContext, TargetView
from cellda.normalizers import create as normalizer
from cellda.runtime.storage.pieces import Pieces
from cellda.selection.judge import Judge
from cellda.selection.search import search
from cellda.selection.settings import Search
from cellda.training.examples import ImageExamples
from cellda.training.loop import Trainer

LARGEST = 12
LAB = {"mean": (60.0, 10.0, -10.0), "std": (20.0, 10.0, 10.0)}


def main(given: Sequence[str] | None = None) -> None:
    """Profile everything, record it and print it."""
    parser = command_line(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with one folder per dataset name")
    data = parser.parse_args(given).data
    torch.set_num_threads(THREADS)
    trainer, model = Trainer("cpu"), cells.model()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = cells.decoded(cells.some("barcelona", data, 20, folder / "barcelona"), model)
        target = cells.decoded(cells.some("raabin", data, 10, folder / "raabin"), model)
        view, context = TargetView(target), AdaptContext(trainer, seed=0)
        training = cells.LAPTOP.training.model_copy(update={"epochs": 1})
        published = cells.LAPTOP.with_preset("published_training").training.model_copy(update={"epochs": 1})
        adapter = create("full", epochs=2)
        large = torch.nn.functional.interpolate(source.raw(range(32)).float() / 255, 224)
        rows: list[dict[str, Any]] = []
        stages: dict[str, Callable[[], object]] = {
            "source training": lambda: trainer.fit(model, ImageExamples(source), training, seed=0),
            "source training as in the paper": lambda: trainer.fit(
                model, ImageExamples(source), published, seed=0
            ),
            "adaptation": lambda: adapter.adapt(model, view, context),
            "search, 2 trials x 2 folds": lambda: search(
                Judge(adapter, lambda: deepcopy(model), view, context, Search(trials=2, folds=2)),
                Pieces(Path(tempfile.mkdtemp(dir=folder))),
            ),
            "prediction": lambda: trainer.probabilities(model, source),
            "Reinhard l-alpha-beta": lambda: normalizer("reinhard")(large),
            "Reinhard CIELAB": lambda: normalizer("reinhard", space="lab", reference=LAB)(large),
        }
        for what, work in stages.items():
            work()  # warm-up
            rows += _largest(what, work)
    record("operations", rows)
    Console().print(pd.DataFrame(rows).round(3).to_string(index=False))


def _largest(what: str, work: Callable[[], object]) -> list[dict[str, Any]]:
    """The operations with the largest share of the processor's time, not counting their children."""
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        work()
    events = sorted(profiled.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    return [
        {
            "what": what,
            "operation": event.key,
            "share": event.self_cpu_time_total / total,
            "calls": event.count,
        }
        for event in events[:LARGEST]
    ]


if __name__ == "__main__":
    command(main)
