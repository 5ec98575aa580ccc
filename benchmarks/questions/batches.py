"""What it costs that a search proposes its trials in batches (`benchmarks/results/batches/`).

    python -m benchmarks.questions.batches [--seeds 200] [--sizes 1 2 4 8] [--trials 20]

The ranges are those of `full`, the trials those of a search (Optuna's sampler, three folds, the race), and the scores are made
up, so that the best values are known: for each seed an accuracy of at most 0.9 that falls with the square of the distance from
an optimum drawn at random, and differs at random among the choices of a field; every fold adds noise. The regret is how much
accuracy the chosen values lack. For comparison, the same with random values, and with the adapter's own. A minute for 100
searches on one CPU core.
"""

import tempfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from benchmarks.common.options import command, command_line
from benchmarks.common.results import RESULTS
from cellda import adapters
from cellda.runtime.storage.pieces import Pieces
from cellda.selection.judge import Best, Judge
from cellda.selection.search import search
from cellda.selection.settings import Search

FOLDER = RESULTS / "batches"
FOLDS = 3
BEST = 0.9
NOISE = (0.0, 0.05)
"""Standard deviation of the score of a fold: none, and that of an accuracy of 0.9 on 33 cells."""


class MadeUp(Judge):
    """Scores by a landscape that the seed decides.

    Args:
        settings: Of the search.
        seed: Decides landscape and noise.
        noise: Standard deviation of the score of a fold.
    """

    def __init__(self, settings: Search, seed: int, noise: float) -> None:
        self.adapter, self.settings, self.seed = adapters.create("full"), settings, seed
        self._noise, draw = noise, np.random.default_rng(seed)
        self._fields = {
            name: (
                {choice: draw.exponential(0.03) for choice in allowed.choices}
                if allowed.choices is not None
                else (draw.random(), draw.exponential(0.3))
            )
            for name, allowed in self.adapter.search_space().items()
        }
        self.trainings = 0

    def accuracy(self, values: Mapping[str, Any]) -> float:
        """Without noise; the best values have `BEST`."""
        lost = 0.0
        for name, allowed in self.adapter.search_space().items():
            field = self._fields[name]
            if isinstance(field, dict):
                lost += field[values[name]] - min(field.values())
                continue
            scale = np.log if allowed.log else float
            assert allowed.low is not None
            assert allowed.high is not None
            low, high = scale(allowed.low), scale(allowed.high)
            lost += field[1] * ((scale(values[name]) - low) / (high - low) - field[0]) ** 2
        return BEST - lost

    def scores(self, values: Mapping[str, Any], best: Best) -> tuple[tuple[float, ...], bool]:
        """The accuracy with the noise of each fold, in a race."""
        draw = np.random.default_rng([self.seed, zlib.crc32(repr(sorted(values.items())).encode())])
        found: list[float] = []
        for number in range(FOLDS):
            self.trainings += 1
            found.append(self.accuracy(values) + self._noise * draw.normal())
            if number + 1 < FOLDS and np.mean(found) < best(number):
                return tuple(found), False
        return tuple(found), True


def outcome(seed: int, size: int, trials: int, noise: float) -> dict[str, Any]:
    """The regret of one search, and how many trainings it took."""
    judge = MadeUp(Search(trials=trials, folds=FOLDS, batch=size), seed, noise)
    with tempfile.TemporaryDirectory() as folder:
        chosen = search(judge, Pieces(Path(folder))).adapter.searched()
    return {"regret": BEST - judge.accuracy(chosen), "trainings": judge.trainings}


def main(given: Sequence[str] | None = None) -> None:
    """Run all searches, write one row for each."""
    parser = command_line(__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--sizes", nargs="+", type=int, default=[1, 2, 4, 8])
    parser.add_argument("--trials", type=int, default=20)
    chosen = parser.parse_args(given)
    rows = []
    for noise in NOISE:
        for seed in range(chosen.seeds):
            # A batch as large as the search proposes random values only.
            for size in (*chosen.sizes, chosen.trials):
                found = outcome(seed, size, chosen.trials, noise)
                rows.append({"noise": noise, "seed": seed, "batch": size, **found})
            judge = MadeUp(Search(), seed, noise)
            own = BEST - judge.accuracy(judge.adapter.searched())
            rows.append({"noise": noise, "seed": seed, "batch": 0, "regret": own, "trainings": 0})
    table = pd.DataFrame(rows)
    FOLDER.mkdir(parents=True, exist_ok=True)
    table.to_csv(FOLDER / "regret.csv", index=False, float_format="%.4f")
    Console().print(table.groupby(["noise", "batch"])[["regret", "trainings"]].mean().round(4).to_string())


if __name__ == "__main__":
    command(main)
