"""From labelled cells to classified images, as a laboratory does it: `python -m benchmarks.speed.laboratory`.

Whole processes, start included, on two cores: `cellda adapt` with 60 labelled cells and an empty store, `cellda predict` with
300 images, and the same two steps with a plain fastai script. Neither needs a network. The medians of processes in turn, and
the accuracy of both, are written to `benchmarks/results/speed/laboratory.csv`.
"""

import os
import shutil
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from torchvision.io import write_png

import cellda.datasets
from benchmarks.common.options import command, command_line
from benchmarks.speed.contest import THREADS, record
from benchmarks.speed.start import CELLDA, seconds_of
from cellda import source_models
from cellda.datasets.base import CellDataset
from cellda.errors import ConfigurationError

LABELLED, IMAGES, SIDE = 60, 300, 250
ASKED = {"adapt": 60.0, "predict": 20.0}
"""Seconds that cellda may take."""

FASTAI = (sys.executable, "-m", "benchmarks.speed.plain_fastai")


def main(given: Sequence[str] | None = None) -> None:
    """Time both ways in turn, after one round that is not counted."""
    parser = command_line(__doc__)
    parser.add_argument("--data", type=Path, help="folder that holds one folder per dataset name")
    parser.add_argument(
        "--target", default="synthetic/3", help="dataset whose cells are used (default: synthetic/3)"
    )
    parser.add_argument(
        "--model", default=source_models.DEFAULT, help="source model (default: that of cellda adapt)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds that are counted (default: 5)")
    chosen = parser.parse_args(given)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    os.environ["OMP_NUM_THREADS"] = str(THREADS)
    root = None if chosen.data is None else chosen.data / chosen.target
    dataset = cellda.datasets.load(chosen.target, root, **_enough(chosen.target))
    with TemporaryDirectory() as place:
        truth = lay_out(dataset, Path(place))
        rounds = [one_round(Path(place), chosen.model, truth) for _ in range(chosen.rounds + 1)][1:]
    rows = []
    for who, step in rounds[0]:
        seconds = [one[who, step][0] for one in rounds]
        row = {"who": who, "step": step, "seconds": statistics.median(seconds), "best": min(seconds)}
        asked = ASKED[step] if who == "cellda" else None
        rows.append({**row, "asked": asked, "accuracy": rounds[0][who, step][1]})
        print(f"{who} {step}: {row['seconds']:.1f} s (best {row['best']:.1f} s, asked {asked})")
    images = {"labelled": LABELLED, "images": IMAGES, "rounds": chosen.rounds}
    record("laboratory", [{**row, **images} for row in rows])


def lay_out(dataset: CellDataset, place: Path) -> dict[str, str]:
    """Write labelled cells into a folder per class, and others into one folder; the classes of the latter by file name.

    Raises:
        ConfigurationError: If the dataset has too few cells.
    """
    if len(dataset) < LABELLED + IMAGES:
        raise ConfigurationError(
            f"{dataset.full_name} has {len(dataset)} cells; {LABELLED + IMAGES} are needed."
        )
    rows = dataset.table.sample(LABELLED + IMAGES, random_state=0).index.tolist()
    truth = {}
    for number, (row, pixels) in enumerate(zip(rows, dataset.read(rows, SIDE), strict=True)):
        label = str(dataset.table["label"].iloc[row])
        folder = place / "labelled" / label if number < LABELLED else place / "images"
        folder.mkdir(parents=True, exist_ok=True)
        write_png(pixels, str(folder / f"{number:04}.png"))
        if number >= LABELLED:
            truth[f"{number:04}.png"] = label
    return truth


def one_round(
    place: Path, model: str, truth: Mapping[str, str]
) -> dict[tuple[str, str], tuple[float, float | None]]:
    """Seconds and, after prediction, accuracy by way and step."""
    labelled, images = str(place / "labelled"), str(place / "images")
    found: dict[tuple[str, str], tuple[float, float | None]] = {}
    for who in ("cellda", "fastai"):
        made, table = place / who, place / f"{who}.csv"
        for old in (made, place / "store"):
            shutil.rmtree(old, ignore_errors=True)
        table.unlink(missing_ok=True)
        os.environ["CELLDA_STORE"] = str(place / "store")
        ours = who == "cellda"
        adapt = (CELLDA, "adapt", "--labelled", f"folder={labelled}", "--model", model, "--save", str(made))
        predict = (CELLDA, "predict", str(made), images, "--save", str(table))
        theirs = (*FASTAI, labelled, str(made)), (*FASTAI, images, str(made), "--save", str(table))
        for step, words in zip(ASKED, (adapt, predict) if ours else theirs, strict=True):
            found[who, step] = (seconds_of(words), None)
        found[who, "predict"] = (found[who, "predict"][0], accuracy(table, truth))
    return found


def accuracy(table: Path, truth: Mapping[str, str]) -> float:
    """Share of images whose predicted class is the true one."""
    predicted = pd.read_csv(table)
    names = [Path(str(path)).name for path in predicted["path"]]
    labels = map(str, predicted["predicted"])
    return sum(truth[name] == label for name, label in zip(names, labels, strict=True)) / len(names)


def _enough(target: str) -> dict[str, Any]:
    """Options of a dataset that is drawn, so that it has cells enough."""
    return {"per_class": (LABELLED + IMAGES) // 5} if target.startswith("synthetic") else {}


if __name__ == "__main__":
    command(main)
