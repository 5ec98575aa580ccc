"""How many runs a study may have: planning, graph and store for up to 100,000 runs whose stages only sleep.

    OMP_NUM_THREADS=1 python -m benchmarks.speed.scale

Ten conditions on five rendered targets, with as many draws as give the number of runs. They are prepared as for any study, and
their graph is handed to a scheduler with two workers, where each task sleeps for a millisecond in place of its work. Then as
many finished results are put into a store and listed, as `cellda study show` and `cellda store` do. Writes
`benchmarks/results/cluster/scale.csv`: seconds, and the largest memory of this process and of the scheduler in MB.
"""

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

from benchmarks.common.options import command, command_line
from benchmarks.common.results import RESULTS, write_table
from cellda import Recipe, Study
from cellda.cluster import Task, place_of, workers_at
from cellda.experiment.elsewhere import Order, graph
from cellda.experiment.orphans import orphaned
from cellda.experiment.plan import Plan, standing
from cellda.experiment.run import WITHOUT_MODEL, Run
from cellda.experiment.workspace import Workspace
from cellda.runtime.storage.inventory import entries
from cellda.runtime.storage.manifest import KEY
from cellda.runtime.storage.store import Store

CONDITIONS = (
    "full",
    "head_only",
    "norm_only",
    "bitfit",
    "lp_ft",
    "l2_sp",
    "logistic",
    "ncm",
    "t3a",
    "none",
)
SECONDS = 0.001


def nap(*_: Any) -> None:
    """What a task does here."""
    time.sleep(SECONDS)


def memory(pid: int | None = None) -> float:
    """Memory of a process in MB."""
    return float(psutil.Process(pid).memory_info().rss / 1e6)


def study(store: Path, draws: int) -> Study:
    """A study of fifty runs a draw."""
    base = Recipe.preset("laptop").with_(
        sources=[{"name": "synthetic/0", "options": {"per_class": 10}}],
        backbone={"image_size": 32},
        device="cpu",
    )
    recipes = {name: base.with_(adapter=name) for name in CONDITIONS}
    targets = [f"synthetic/{number}" for number in range(1, 6)]
    return Study(recipes, targets, range(draws), workspace=Workspace(None, store, progress=False))


def handed_over(tasks: Sequence[Task], on: str) -> dict[str, float]:
    """Have tasks done that only sleep."""
    done, most = 0, 0.0
    began = time.perf_counter()

    def finished(name: str, outcome: Any) -> None:
        nonlocal done, most
        if isinstance(outcome, Exception):
            raise AssertionError(name) from outcome
        done += 1
        if done % 1000 == 1:
            most = max(most, engine.client.run_on_scheduler(memory))

    with workers_at(place_of(on)) as engine:
        started = time.perf_counter()
        engine.run(
            [Task(one.name, nap, one.arguments, one.after, one.network) for one in tasks],
            finished,
            lambda _: None,
        )
        seconds = time.perf_counter() - started
    if done != len(tasks):
        raise AssertionError(f"{done} of {len(tasks)} tasks were done.")
    return {"seconds_workers": started - began, "seconds_done": seconds, "mb_scheduler": most}


def listed(runs: Sequence[tuple[str, Run]], store: Store) -> dict[str, float]:
    """Put results into a store, and list them."""
    folder = store.root / WITHOUT_MODEL
    folder.mkdir(parents=True)
    for _, run in runs:
        place = folder / run.digest
        place.mkdir()
        (place / KEY).write_text(json.dumps(run.key), encoding="utf-8")
    plan = Plan.of(runs, "local")
    began = time.perf_counter()
    now = standing(plan, store)
    shown = time.perf_counter()
    found = entries(store, orphaned)
    ended = time.perf_counter()
    if not len(now.done) == len(found) == len(runs):
        raise AssertionError(f"{len(now.done)} and {len(found)} of {len(runs)} results were found.")
    return {"seconds_study_show": shown - began, "seconds_store": ended - shown}


def measured(draws: int, on: str) -> dict[str, float]:
    """One row of the table."""
    with tempfile.TemporaryDirectory() as root:
        began = time.perf_counter()
        runs = study(Path(root, "store"), draws).runs()
        planned = time.perf_counter()
        orders = [Order.of(run, run.target.full_name) for _, run in runs]
        tasks, _ = graph(orders, [run for _, run in runs])
        built = time.perf_counter()
        row = {
            "runs": len(runs),
            "tasks": len(tasks),
            "seconds_planned": planned - began,
            "seconds_graph": built - planned,
            "mb_graph": memory(),
            **handed_over(tasks, on),
            "mb_client": memory(),
        }
        return {**row, **listed(runs, Store(Path(root, "listed")))}


def main(given: Sequence[str] | None = None) -> None:
    """Measure all sizes, and write the table."""
    parser = command_line(__doc__)
    parser.add_argument("--on", default="processes:2", help="where the tasks sleep")
    parser.add_argument("--draws", type=int, nargs="+", default=[20, 200, 2000], help="fifty runs each")
    parser.add_argument("--out", type=Path, default=RESULTS / "cluster", help="folder of the results")
    chosen = parser.parse_args(given)
    rows = [measured(draws, chosen.on) for draws in chosen.draws]
    chosen.out.mkdir(parents=True, exist_ok=True)
    write_table(pd.DataFrame(rows), chosen.out / "scale.csv")


if __name__ == "__main__":
    command(main)
