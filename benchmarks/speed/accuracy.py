"""Whether speed cost accuracy: `our_workflow` on four targets in five draws, before and after.

`python -m benchmarks.speed.accuracy` computes `results/speed/accuracy.csv` from `results/speed/accuracy.parquet`, predictions
of the commits named in `results/README.md` with the source training of the paper. To compute the half of another commit,
run the condition `our_workflow` of its `benchmarks/studies/first_light.py` on draws 0 to 4.
"""

from collections.abc import Sequence

from rich.console import Console
from scipy.stats import wilcoxon

from benchmarks.common.options import command, command_line
from benchmarks.common.results import RESULTS
from cellda.evaluation.predictions import read_predictions

FOLDER = RESULTS / "speed"


def main(given: Sequence[str] | None = None) -> None:
    """Write the accuracy of every run, and print the means and the test."""
    command_line(__doc__).parse_args(given)
    predictions = read_predictions(FOLDER / "accuracy.parquet")
    right = predictions["label"] == predictions["predicted"]
    keys = [predictions[name] for name in ("target", "draw", "condition")]
    table = right.astype(float).groupby(keys).mean().unstack("condition")[["before", "after"]]
    table.to_csv(FOLDER / "accuracy.csv", float_format="%.4f")
    test = wilcoxon(table["before"], table["after"])
    Console().print(f"{table.mean().round(4).to_dict()}, {len(table)} pairs, Wilcoxon p = {test.pvalue:.2f}")


if __name__ == "__main__":
    command(main)
