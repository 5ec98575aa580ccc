"""Whether framing does harm to images that are cropped tightly (`benchmarks/results/framing/tight_crops.csv`).

    python -m benchmarks.questions.tight_crops --data ~/wbc --out benchmarks/results/framing

The cells of Jiangxi Tecom (by their masks) and of Raabin (by their nuclei, where one lies in the middle) are cut out as in
`framing_truth.py`: `tight`, little more than the cell, and `inside`, less than the cell. `our_workflow` sees these whole,
`best` frames them; source Barcelona, 21 and 100 labelled cells, 96 px, protocol `clean`, three draws. One row per target and
condition, means over draws.
"""

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks.common.options import arguments, command, with_store
from benchmarks.common.results import write_table
from benchmarks.questions.framing_truth import CROPS, Known, by_nucleus, with_masks
from benchmarks.studies.zoo import SMALL
from cellda.datasets import load
from cellda.datasets.base import CellDataset
from cellda.experiment.study import Study
from cellda.experiment.workspace import Workspace
from cellda.reporting.tables.conditions import scores

LABELS = {"jiangxi_tecom": 21, "raabin": 100}
TIGHT = ("tight", "inside")
RECIPES = {name: SMALL.with_preset(name) for name in ("our_workflow", "best")}


def cells_of(dataset: CellDataset) -> Iterator[tuple[int, Known]]:
    """Rows of the table with cells of known place and size."""
    if dataset.name == "jiangxi_tecom":
        yield from enumerate(with_masks(dataset))
        return
    for row in range(len(dataset)):
        for cell in by_nucleus(dataset, [row]):
            yield row, cell


def write_crops(dataset: CellDataset, crop: str, folder: Path) -> Path:
    """The crops of a dataset as files, one folder for each class."""
    random = np.random.default_rng(zlib.crc32(f"{dataset.name} {crop}".encode()))
    for row, cell in cells_of(dataset):
        file = folder / dataset.table["label"][row] / f"{row:05d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(CROPS[crop](cell, random).image).save(file)
    return folder


def measured(workspace: Workspace, name: str, crop: str, folder: Path, draws: Sequence[int]) -> pd.DataFrame:
    """Both conditions on the crops of one dataset."""
    target = load("folder", write_crops(workspace.load(name), crop, folder))
    recipes = {condition: recipe.with_(few_shot={"n": LABELS[name]}) for condition, recipe in RECIPES.items()}
    predictions = Study(recipes, [target], draws, workspace=workspace).run()
    means = scores(predictions, resamples=0).groupby("condition", sort=False)[
        ["accuracy", "balanced_accuracy"]
    ]
    return means.mean().reset_index().assign(target=name, crop=crop, images=len(target), draws=len(draws))


def main(given: Sequence[str] | None = None) -> None:
    """Run, print and write."""
    parser = with_store(arguments(__doc__))
    parser.add_argument("--draws", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--targets", nargs="+", default=list(LABELS), choices=LABELS)
    chosen = parser.parse_args(given)
    workspace, rows = Workspace(chosen.data, chosen.store), []
    for name in chosen.targets:
        for crop in TIGHT:
            with TemporaryDirectory(prefix="cellda-crops-") as place:
                rows.append(measured(workspace, name, crop, Path(place) / f"{name}_{crop}", chosen.draws))
    table = pd.concat(rows)[
        ["target", "crop", "images", "draws", "condition", "accuracy", "balanced_accuracy"]
    ]
    write_table(table, chosen.out / "tight_crops.csv")


if __name__ == "__main__":
    command(main)
