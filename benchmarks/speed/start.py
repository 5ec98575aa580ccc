"""How long a user waits before anything happens: `python -m benchmarks.speed.start`.

Fresh processes, in turn; the medians are written to `benchmarks/results/speed/start.csv`.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common.options import command, command_line
from benchmarks.speed.contest import record

ROUNDS = 11
CELLDA = str(Path(sys.executable).with_name("cellda"))
ASKED: dict[tuple[str, ...], float | None] = {
    (sys.executable, "-c", "pass"): None,
    (sys.executable, "-c", "from cellda import Recipe"): 0.3,
    (CELLDA, "--help"): 0.5,
    (CELLDA, "list"): 0.5,
}
"""Command -> seconds it may take; None for the interpreter alone, which is the reference."""


def seconds_of(command: tuple[str, ...]) -> float:
    """Wall time of one process, from its start to its end."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main(given: Sequence[str] | None = None) -> None:
    """Time every command in turn, `ROUNDS` times after one that is not counted."""
    command_line(__doc__).parse_args(given)
    rounds = [{command: seconds_of(command) for command in ASKED} for _ in range(ROUNDS + 1)][1:]
    rows = []
    for asked_of, asked in ASKED.items():
        taken = [one[asked_of] for one in rounds]
        what = " ".join([Path(asked_of[0]).name, *asked_of[1:]])
        rows.append({"what": what, "seconds": statistics.median(taken), "best": min(taken), "asked": asked})
        print(f"{what}: {statistics.median(taken):.3f} s (best {min(taken):.3f} s, asked {asked})")
    record("start", [{**row, "rounds": ROUNDS} for row in rows])


if __name__ == "__main__":
    command(main)
