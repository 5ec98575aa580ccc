"""What several processes bring to one training, beside as many threads of one process.

    python -m benchmarks.speed.ranks

One source model on 240 rendered cells of 224 px, four epochs, with frozen and with trained BatchNorm, in turn: one process
with one thread, one process with two threads, two processes with one thread each. Writes
`benchmarks/results/cluster/ranks.csv`: the median seconds of the training alone, without the start of the processes.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.common.options import command, command_line
from benchmarks.common.results import RESULTS, write_table
from cellda import Recipe
from cellda.training.ranks import on_main

PROCESSES, THREADS = "processes", "threads"
FORMS = ({PROCESSES: 1, THREADS: 1}, {PROCESSES: 1, THREADS: 2}, {PROCESSES: 2, THREADS: 1})
NORMS = ("frozen", "train")


def train(norm: str) -> float:
    """Train a source model; the seconds of the training."""
    recipe = Recipe.preset("laptop").with_(
        sources=[{"name": "synthetic/0", "options": {"per_class": 40}}],
        training={"epochs": 4, "bn": norm},
        adapter="none",
        device="cpu",
    )
    with tempfile.TemporaryDirectory() as store:
        recipe.run("synthetic/1", store=store, progress=False)
        (record,) = Path(store).glob("source/*/source.json")
        return float(json.loads(record.read_text(encoding="utf-8"))["seconds"]["train"])


def seconds_of(form: dict[str, int], norm: str) -> float:
    """The seconds of one training in processes of its own."""
    words = ["-m", "torch.distributed.run", "--nproc_per_node", str(form[PROCESSES])]
    words = words if form[PROCESSES] > 1 else []
    done = subprocess.run(
        [sys.executable, *words, "-m", "benchmarks.speed.ranks", "--train", norm],
        env={**os.environ, "OMP_NUM_THREADS": str(form[THREADS])},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout.split()[-1])


def main(given: Sequence[str] | None = None) -> None:
    """Time all forms in turn, and write the table."""
    parser = command_line(__doc__)
    parser.add_argument("--train", choices=NORMS, help="only train, and print the seconds")
    parser.add_argument("--rounds", type=int, default=3, help="how often each form is timed")
    parser.add_argument("--out", type=Path, default=RESULTS / "cluster", help="folder of the results")
    chosen = parser.parse_args(given)
    if chosen.train is not None:
        found = on_main(lambda: train(chosen.train))
        if found is not None:
            print(found)
        return
    asked = [(norm, form) for norm in NORMS for form in FORMS]
    rounds = [[seconds_of(form, norm) for norm, form in asked] for _ in range(chosen.rounds)]
    rows: list[dict[str, Any]] = [
        {"bn": norm, **form, "seconds": statistics.median(taken), "rounds": chosen.rounds}
        for (norm, form), taken in zip(asked, zip(*rounds, strict=True), strict=True)
    ]
    chosen.out.mkdir(parents=True, exist_ok=True)
    write_table(pd.DataFrame(rows), chosen.out / "ranks.csv")


if __name__ == "__main__":
    command(main)
