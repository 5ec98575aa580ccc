"""How cellda is timed against others: in one process, taking turns, and recorded as ratios."""

import ctypes
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from benchmarks.common.results import RESULTS
from cellda.runtime.memory import KEPT, keep_freed_memory

FOLDER = RESULTS / "speed"
THREADS = 2


@dataclass(frozen=True)
class Peer:
    """Another way to do the same work.

    Attributes:
        run: Does it once.
        asked: How many times faster cellda is required to be; None if nothing is required.
        part: Share of the work that one call does, if all of it would take too long; its seconds are divided by it.
    """

    run: Callable[[], object]
    asked: float | None = None
    part: float = 1


def contest(
    benchmark: Any,
    what: str,
    ours: Callable[[], object],
    peers: Mapping[str, Peer],
    *,
    images: int,
    rounds: int = 7,
    warmup: int = 1,
) -> dict[str, float]:
    """Time `ours` and every peer in turn and record the result in `benchmarks/results/speed/<what>.csv`.

    pytest-benchmark times `ours`; the peers run in the set-up of each of its rounds, so that all see the
    machine in the same state. A ratio is the median over the rounds of (peer's seconds / ours).

    Args:
        benchmark: pytest-benchmark's fixture.
        what: Name of the contest and of its file.
        ours: cellda's way, once.
        peers: The others, by name.
        images: Images that one call works on, for rates.
        rounds: Timed calls of each.
        warmup: Calls of each that are not timed.

    Returns:
        Ratio by peer: above 1, cellda is faster.
    """
    torch.set_num_threads(THREADS)
    with untuned_memory():  # unless cellda itself asks for more, both sides have this
        pass
    for _ in range(warmup):
        ours()
        for peer in peers.values():
            peer.run()
    seconds: dict[str, list[float]] = {name: [] for name in peers}

    def others() -> None:
        for name, peer in peers.items():
            with untuned_memory():
                started = time.perf_counter()
                peer.run()
                seconds[name].append((time.perf_counter() - started) / peer.part)

    benchmark.pedantic(ours, setup=others, rounds=rounds, iterations=1, warmup_rounds=0)
    mine = list(benchmark.stats.stats.data)
    ratios = {
        name: statistics.median(other / own for own, other in zip(mine, theirs, strict=True))
        for name, theirs in seconds.items()
    }
    rows = [
        {
            "what": what,
            "peer": name,
            "ratio": ratios[name],
            "asked": peers[name].asked,
            "ours_seconds": statistics.median(mine),
            "peer_seconds": statistics.median(theirs),
            "images": images,
            "rounds": rounds,
        }
        for name, theirs in seconds.items()
    ]
    record(what, rows)
    benchmark.extra_info.update({f"x {name}": round(ratio, 2) for name, ratio in ratios.items()})
    return ratios


def record(name: str, rows: list[dict[str, Any]]) -> None:
    """Write the rows of one measurement, with the machine they were measured on, into its file."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(rows).assign(threads=torch.get_num_threads(), machine=machine())
    table.to_csv(FOLDER / f"{name}.csv", index=False, float_format="%.6g")


def machine() -> str:
    """Processor and versions, in one line."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    return f"{model}, {os.cpu_count()} cores, torch {torch.__version__}"


class untuned_memory:
    """Within the context, give the process the memory settings that glibc reaches by itself: those of a plain script.

    cellda's training and prediction keep freed memory (`cellda.runtime.memory`), a setting of the whole process. glibc's own
    thresholds grow with use up to 32 MB for blocks and 64 MB for the end of the heap.
    """

    def __enter__(self) -> None:
        _mallopt(2**25, 2**26)

    def __exit__(self, *_: object) -> None:
        if keep_freed_memory.cache_info().currsize:  # a Trainer or a prediction has asked for it
            _mallopt(KEPT, KEPT)


def _mallopt(block: int, end: int) -> None:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(-3, block)
        mallopt(-1, end)
