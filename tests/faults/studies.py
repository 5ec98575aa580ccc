"""A small study of every kind of stage, in processes that can be killed; this module is their parent."""

import json
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

import cellda.datasets
import cellda.experiment.workflow
import cellda.selection.search
from cellda import Study
from cellda.data import pixel_cache
from cellda.experiment.plan import FOLDER, plans
from cellda.experiment.workspace import Workspace
from cellda.runtime.storage.entry import LOCK, PARTIAL
from cellda.runtime.storage.store import Store
from faults.stored import finished
from tiny import SIDE, recipe, target

pixel_cache.CHUNK = 8

RECIPES = {
    "head_searched": recipe(
        adapter={"name": "head_only", "epochs": 2}, search={"trials": 4, "folds": 2}, training={"epochs": 2}
    ),
    "searched": recipe(
        adapter={"name": "full", "epochs": 1}, search={"trials": 3, "folds": 2}, training={"epochs": 2}
    ),
    "framed": recipe(framing="cell", training={"epochs": 2}),
    "chained": recipe(
        adapter=["adabn", {"name": "full", "epochs": 1}, "label_propagation"],
        normalizer={"name": "reinhard", "reference": "source"},
        training={"epochs": 2, "holdout": 0.2},
    ),
}


def study(store: Path) -> Study:
    """Searched, framed and chained runs on a target in files."""
    own = cellda.datasets.load("folder", store.parent / "own")
    return Study(RECIPES, [own], workspace=Workspace(store=store, progress=False))


def draw_own(folder: Path) -> None:
    """The files of a target."""
    from PIL import Image

    drawn = target(2)
    pixels = drawn.read(range(len(drawn)), SIDE).permute(0, 2, 3, 1).numpy()
    for image, label, path in zip(pixels, drawn.table["label"], drawn.table["path"], strict=True):
        file = folder / label / f"{Path(path).name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(file)


def started(work: Callable[[], object], log: Path) -> int:
    """The process that does this work; it ends with status 1 if the work fails, whose traceback is in `log`."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        with log.open("w") as stream:
            os.dup2(stream.fileno(), 2)
            try:
                work()
                status = 0
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
    finally:
        os._exit(status)
    return 0


def predicted(store: Path, file: Path) -> None:
    """Run the study and write its predictions; they get their name when they are complete."""
    study(store).run().to_parquet(file.with_suffix(".half"))
    file.with_suffix(".half").replace(file)


def left_behind(store: Path) -> list[str]:
    """Everything in the store that is neither a finished entry nor the plan of a study that has ended."""
    entries = finished(store)
    ended = {store / FOLDER / f"{plan.name}.json" for plan in plans(Store(store)) if plan.ended is not None}
    places = [
        place
        for place in store.glob("*/*")
        if f"{place.parent.name}/{place.name}" not in entries and place not in ended
    ]
    return [str(place) for place in [*places, *store.glob("*/*/working"), *store.glob("*/*/*.half")]]


def stage_of(store: Path) -> str:
    """The kind of the stage that a killed process was at."""
    return next((partial.parent.name for partial in store.glob(f"*/*{PARTIAL}")), "between stages")


def killed_until_done(store: Path, seed: int, patience: float, at: Counter[str]) -> tuple[int, int]:
    """Run the study in processes that are killed at random moments.

    Args:
        store: An empty store.
        seed: Of the moments.
        patience: Mean of the seconds that a process lives.
        at: Counts the stages that were killed.

    Returns:
        Number of kills, and of finished entries that were made a second time.
    """
    moments, kills, twice = random.Random(seed), 0, 0
    known: dict[str, tuple[int, int]] = {}
    result, log = store.parent / f"{store.name}.parquet", store.parent / "log"
    while True:
        child = started(lambda: predicted(store, result), log)
        ends = time.monotonic() + moments.expovariate(1 / patience)
        status = None
        while time.monotonic() < ends and status is None:
            time.sleep(0.002)
            ended, code = os.waitpid(child, os.WNOHANG)
            status = code if ended else None
        if status is None:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
        now = finished(store)
        twice += sum(now.get(name) != made for name, made in known.items())
        known = now
        if status == 0:
            return kills, twice
        if not os.WIFSIGNALED(status):
            raise RuntimeError(log.read_text())
        kills += 1
        at[stage_of(store)] += 1


def holder(store: Path, among: set[int]) -> int | None:
    """One of these processes that is building an entry at this moment."""
    for file in store.glob(f"*/*{LOCK}"):
        if not file.with_name(file.name.removesuffix(LOCK) + PARTIAL).exists():
            continue
        try:
            pid = int(json.loads(file.read_bytes().partition(b"\n")[0])["pid"])
        except (OSError, ValueError):
            continue
        if pid in among:
            return pid
    return None


def together(store: Path, processes: int, holders: int, pause: float) -> dict[str, Any]:
    """Run the study in several processes on one store, and kill some of those that hold a lock.

    Returns:
        How many were killed, how many of the others ended well, and the notes that they printed.
    """
    logs = {}
    for number in range(processes):
        log, file = store.parent / f"log-{number}", store.parent / f"together-{number}.parquet"
        logs[started(lambda file=file: predicted(store, file), log)] = log
    alive, well, killed = set(logs), 0, 0
    next_kill = time.monotonic() + pause
    while alive:
        time.sleep(0.005)
        victim = holder(store, alive) if killed < holders and time.monotonic() > next_kill else None
        if victim is not None:
            os.kill(victim, signal.SIGKILL)
            killed, next_kill = killed + 1, time.monotonic() + pause
        for child in list(alive):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                alive.remove(child)
                well += status == 0
                if status != 0 and not os.WIFSIGNALED(status):
                    raise RuntimeError(logs[child].read_text())
    return {"killed": killed, "well": well, "said": "".join(log.read_text() for log in logs.values())}


def main(place: Path, kills: int, patience: float, seed: int) -> dict[str, Any]:
    """Everything that the tests want to know, with at least this many kills.

    Args:
        place: An empty folder.
        kills: At least this many.
        patience: Mean time that a process lives, as a share of the time that the study takes undisturbed.
        seed: Of the moments.
    """
    draw_own(place / "own")
    began = time.monotonic()
    child = started(lambda: predicted(place / "undisturbed", place / "undisturbed.parquet"), place / "log")
    if os.waitpid(child, 0)[1] != 0:
        raise RuntimeError((place / "log").read_text())
    seconds = time.monotonic() - began
    whole = pd.read_parquet(place / "undisturbed.parquet")
    at: Counter[str] = Counter()
    found = {"kills": 0, "studies": 0, "identical": 0, "twice": 0, "left": []}
    while found["kills"] < kills:
        store = place / f"killed-{found['studies']}"
        number, twice = killed_until_done(store, seed + found["studies"], seconds * patience, at)
        found["kills"] += number
        found["twice"] += twice
        found["studies"] += 1
        found["identical"] += whole.equals(pd.read_parquet(store.with_suffix(".parquet")))
        found["left"] += left_behind(store)
    several = together(place / "together", processes=8, holders=3, pause=seconds / 8)
    tables = [pd.read_parquet(file) for file in place.glob("together-*.parquet")]
    several["identical"] = sum(whole.equals(table) for table in tables)
    several["left"] = left_behind(place / "together")
    return {**found, "at": dict(sorted(at.items())), "seconds": seconds, "together": several}


if __name__ == "__main__":
    import json

    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))))
