"""Figs. 11 to 13 of the paper: where wrong predictions lie, what they look like, and which other classes were likely.

    python -m benchmarks.figures.wrong_predictions --data ~/wbc --preset laptop --sources barcelona --targets raabin

Runs the recipe on each target, or finds the run in the store. For each target `<target>_wrong_`:

- `map.png` (Fig. 11): query embeddings by true and by predicted class, wrong ones ringed, with the numbers of the regions
  (k-means on the embeddings, as many as the target has classes), and `regions.csv`, what each region holds;
- `pairs.png` and `regions.png` (Fig. 12): wrong cells, most confident first, by (true, predicted) and by region;
- `probabilities.png` (Fig. 13): the probabilities they give each class; `pairs.csv` and `second.csv`: how often the second
  most probable class is the true one.

Map and regions show at most 2000 query cells, drawn at random; pairs and probabilities use all.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.common.datasets import datasets_of, title_of
from benchmarks.common.embeddings import embeddings, rows_named
from benchmarks.common.maps import Map, cell_maps
from benchmarks.common.options import arguments, command, recipe_of, with_recipe
from benchmarks.common.projection import tsne
from benchmarks.common.regions import region_table, regions
from benchmarks.common.results import write_table
from benchmarks.common.wrong_probabilities import wrong_probabilities
from cellda.data.root import DataRoot
from cellda.datasets.base import CellDataset
from cellda.evaluation.predictions import classes_of, probability_columns
from cellda.evaluation.wrong import confusions, second_chances, wrong
from cellda.experiment.result import RunResult
from cellda.experiment.workflow import run
from cellda.reporting.figures import contact_sheet, save_figure
from cellda.runtime.storage.store import Store
from cellda.training.loop import Trainer

SHOWN = 2000
SIZE = 128
ROWS, COLUMNS = 8, 8


def wrong_map(points: npt.NDArray[np.float32], region: npt.NDArray[np.int64], cells: pd.DataFrame) -> Figure:
    """Fig. 11: true classes on the left, predicted ones on the right."""
    missed = (cells["label"] != cells["predicted"]).to_numpy(dtype=bool)
    notes = {
        str(number): (float(x), float(y))
        for number in sorted(set(region.tolist()))
        for x, y in [np.median(points[region == number], axis=0)]
    }
    maps = [
        Map(title, points, list(cells[column]), ringed=missed, notes=notes)
        for column, title in (("label", "true class"), ("predicted", "predicted class"))
    ]
    return cell_maps(maps, "class", ring_title=f"wrong ({missed.sum()} of {len(cells)})")


def sheet(dataset: CellDataset, parts: dict[str, pd.DataFrame], *, captioned: bool) -> Figure:
    """Fig. 12: a row of wrong cells for each part, most confident first."""
    images, titles, captions = [], [], []
    for title, part in parts.items():
        surest = part.assign(sure=part[list(probability_columns(classes_of(part)))].max(axis=1)).nlargest(
            COLUMNS, "sure"
        )
        images.append(dataset.read(rows_named(dataset, surest["path"]), SIZE))
        titles.append(f"{title}\n{len(part)} wrong")
        captions.append(
            [f"{t[:3]} → {p[:3]}".upper() for t, p in zip(surest["label"], surest["predicted"], strict=True)]
        )
    return contact_sheet(images, titles, captions=captions if captioned else ())


def by_pair(predictions: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Wrong rows of a prediction table by (true, predicted), the most common pairs first."""
    groups = wrong(predictions).groupby(["label", "predicted"])
    return {
        f"{row.label}\n→ {row.predicted}": groups.get_group((row.label, row.predicted))
        for row in confusions(predictions).head(ROWS).itertuples()
    }


def analyse(target: CellDataset, result: RunResult, out: Path) -> None:
    """Write everything about one run."""
    stem = str(out / f"{target.full_name.replace('/', '-')}_wrong_")
    predictions, trainer = result.predictions, Trainer(result.recipe.device)
    cells = predictions.sample(min(SHOWN, len(predictions)), random_state=0).sort_index()
    vectors = embeddings(trainer, result.model, target, rows_named(target, cells["path"]))
    region = regions(vectors, len(target.class_counts()))
    figures = {"map": wrong_map(tsne(vectors), region, cells)}
    write_table(region_table(region, cells), Path(f"{stem}regions.csv"))
    write_table(confusions(predictions), Path(f"{stem}pairs.csv"))
    write_table(second_chances(predictions), Path(f"{stem}second.csv"))
    if pairs := by_pair(predictions):
        figures["pairs"] = sheet(target, pairs, captioned=False)
        figures["probabilities"] = wrong_probabilities(predictions)
    placed = wrong(cells.assign(region=region))
    if len(placed):
        by_region = {f"region {number}": part for number, part in placed.groupby("region")}
        figures["regions"] = sheet(target, by_region, captioned=True)
    for name, figure in figures.items():
        print(save_figure(figure, f"{stem}{name}.png"))


def main(given: Sequence[str] | None = None) -> None:
    """Analyse the run on each target."""
    parser = with_recipe(arguments(__doc__))
    parser.add_argument("--targets", nargs="+", help="targets (default: all datasets except the sources)")
    chosen = parser.parse_args(given)
    recipe = recipe_of(chosen)
    root, store = DataRoot(chosen.data), Store(chosen.store)
    sources = [source.name for source in recipe.sources]
    for target in datasets_of(chosen.data, chosen.targets, without=sources):
        print(f"{title_of(target)}:")
        analyse(target, run(recipe, target, root, store=store), chosen.out)


if __name__ == "__main__":
    command(main)
