"""Whether red cells give a better scale of a dataset than its nuclei (`benchmarks/results/framing/red_cells*.csv`).

    python -m benchmarks.questions.red_cells --data ~/wbc --out benchmarks/results/framing

Red cells (`benchmarks.common.red_cells`) and nuclei are measured in cells of every dataset, as many of each class, and in the
photographs behind BCCD; no label is used for that. `red_cells_images.csv` has one row per image; it is used if it is
in the folder. From it:

- `red_cells.csv`, one row per dataset: the share of images with a red cell, the median diameter and the quartiles of the
  diameters relative to it, the true diameter where it is known (the boxes of BCCD's photographs, half of them in its copies,
  and the mean red cell of the renderer), and the median nucleus in red cells.
- `red_cells_subsets.csv`, one row per dataset and class: the scale that is learned from the images of one class alone, by that
  learned from all, with `Scale` as it is (`nuclei`) and with a usual nucleus of `USUAL` red cells (`red`); whether images of
  the class are told to be of another scale than the dataset; and by how much the squares of these images differ.
- `red_cells_few.csv`: the scale from 5, 10 and 20 random images, by that from all (median and 95th percentile of the factor).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.common.options import arguments, command
from benchmarks.common.red_cells import find_red_cells
from benchmarks.common.results import write_table
from benchmarks.common.sampling import balanced_sample
from benchmarks.figures.framing import own_size
from cellda.data.root import DataRoot
from cellda.datasets.base import CellDataset
from cellda.datasets.reading.decode import decode
from cellda.datasets.rendering import DOMAINS
from cellda.datasets.rendering.dataset import OWN_SIZE
from cellda.datasets.rendering.smear import RED_RADIUS
from cellda.datasets.synthetic import Synthetic
from cellda.errors import ConfigurationError
from cellda.framing.base import UNSURE, Pixels
from cellda.framing.cell import Cell
from cellda.framing.scale import Found, Scale

CELLS = {
    "barcelona": 180,
    "raabin": 125,
    "jin_woo_choi": 50,
    "bccd": 88,
    "bccd_fields": 30,
    "jiangxi_tecom": 20,
    **{f"synthetic/{number}": 3 for number in range(len(DOMAINS))},
}
"""Images that are measured, as many of each class."""
FIELDS = "bccd_fields"
FACTOR = Cell().factor
USUAL = 1.5
"""Median nucleus in red cells: 1.45 in Barcelona, 1.52 in BCCD, 1.58 in Raabin."""
FEW = 5
"""Images with a red cell, from which they give a scale."""
DRAWS = 200


def measured(image: Pixels) -> dict[str, object]:
    """Nucleus and red cells of one image."""
    found, red = Cell().measure(image), [disc.diameter for disc in find_red_cells(image)]
    return {
        "height": image.shape[0],
        "width": image.shape[1],
        "nucleus": np.nan if found is None else found.diameter,
        "away": np.nan if found is None else found.away,
        "filled": found is not None and found.filled,
        "red_cells": len(red),
        "red": float(np.median(red)) if red else np.nan,
    }


def photographs(folder: Path, most: int) -> Iterator[dict[str, object]]:
    """Photographs with boxes around their red cells."""
    for file in sorted((folder / "Annotations").glob("*.xml"))[:most]:
        tree = ElementTree.parse(file)
        sides = [
            np.sqrt((box["xmax"] - box["xmin"]) * (box["ymax"] - box["ymin"]))
            for one in tree.iter("object")
            if one.findtext("name") == "RBC" and one.findtext("truncated") == "0"
            for box in [
                {side.tag: int(str(side.text)) for side in one.iter() if side.tag[1:] in ("min", "max")}
            ]
        ]
        image = decode(folder / "JPEGImages" / f"{file.stem}.jpg").permute(1, 2, 0).contiguous().numpy()
        yield {"label": "", **measured(image), "true": float(np.median(sides)) if sides else np.nan}


def cells(dataset: CellDataset, most: int) -> Iterator[dict[str, object]]:
    """Cells of one dataset."""
    labels, true = list(dataset.table["label"]), np.nan
    if isinstance(dataset, Synthetic):
        # Frames are squeezed to squares.
        true = 2 * RED_RADIUS * OWN_SIZE / (dataset.domain.field * np.sqrt(dataset.domain.height))
    for row in balanced_sample(labels, most):
        image = (
            dataset.read([row], OWN_SIZE)[0].permute(1, 2, 0).contiguous().numpy()
            if dataset.synthetic
            else own_size(dataset, row)
        )
        yield {"label": labels[row], **measured(image), "true": true}


def images(data: Path, names: Sequence[str]) -> Iterator[dict[str, object]]:
    """Rows of `red_cells_images.csv`."""
    root = DataRoot(data)
    for name in names:
        folder = data / FIELDS / "BCCD"
        rows = photographs(folder, CELLS[name]) if name == FIELDS else cells(root.load(name), CELLS[name])
        for one in rows:
            yield {"set": name, **one}


def scale_of(rows: pd.DataFrame) -> Scale | None:
    """What `cell` learns from these images."""
    found = [
        None
        if np.isnan(one["nucleus"])
        else Found(
            one["nucleus"],
            one["nucleus"] / min(one["height"], one["width"]),
            one["away"],
            bool(one["filled"]),
        )
        for one in rows.to_dict("records")
    ]
    return Scale.of(found, FACTOR)


def by_red_cells(rows: pd.DataFrame, scale: Scale) -> Scale | None:
    """The same, but a usual nucleus is so many red cells wide; None with too few of them."""
    red = rows["red"].dropna()
    return scale.model_copy(update={"diameter": USUAL * red.median()}) if len(red) >= FEW else None


def sides(rows: pd.DataFrame, scale: Scale | None) -> npt.NDArray[np.float64]:
    """Sides of the squares that `cell` cuts, or the longer side of an image that is shown whole."""
    if scale is None:
        return np.full(len(rows), np.nan)
    found: list[float] = []
    for one in rows.to_dict("records"):
        longer = max(one["height"], one["width"])
        missed = np.isnan(one["nucleus"]) or scale.confidence(one["nucleus"]) < UNSURE
        if scale.whole or (missed and not scale.middle):
            found.append(longer)
        else:
            diameter = scale.diameter if missed else scale.limited(one["nucleus"])
            found.append(min(FACTOR * diameter, longer))
    return np.array(found, float)


def factor(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    """95th percentile of the factor between sides."""
    return float(np.exp(np.quantile(np.abs(np.log(one / other)), 0.95)))


def by_set(table: pd.DataFrame) -> Iterator[dict[str, object]]:
    """Rows of `red_cells.csv`."""
    for name, rows in table.groupby("set", sort=False):
        red, known = rows["red"].dropna(), rows.dropna(subset=["red", "true"])
        yield {
            "set": name,
            "images": len(rows),
            "with_red_cells": rows["red"].notna().mean(),
            "red_cells": rows["red_cells"].mean(),
            "red": red.median(),
            "red_25th": red.quantile(0.25) / red.median(),
            "red_75th": red.quantile(0.75) / red.median(),
            "true": known["true"].median(),
            "red_of_true": (known["red"] / known["true"]).median(),
            "nucleus": rows["nucleus"].median(),
            "nucleus_in_red_cells": rows["nucleus"].median() / red.median(),
        }


def by_class(table: pd.DataFrame) -> Iterator[dict[str, object]]:
    """Rows of `red_cells_subsets.csv`."""
    for (name, label), rows in table.groupby(["set", "label"], sort=False):
        everything = table[table["set"] == name]
        whole, part = scale_of(everything), scale_of(rows)
        if whole is None or part is None:
            continue
        red_whole, red_part = by_red_cells(everything, whole), by_red_cells(rows, whole)
        now = sides(rows, whole)
        yield {
            "set": name,
            "class": label,
            "images": len(rows),
            "nucleus_in_red_cells": rows["nucleus"].median() / everything["red"].median(),
            "nuclei": part.diameter / whole.diameter,
            "red": red_part.diameter / red_whole.diameter if red_part and red_whole else np.nan,
            "told_other": not part.agrees(whole),
            "whole_of_all": whole.whole,
            "whole_of_class": part.whole,
            "squares_nuclei": factor(sides(rows, part), now),
            "squares_red": factor(sides(rows, red_part), sides(rows, red_whole)),
            "median_square_nuclei": float(np.median(sides(rows, part) / now)),
            "median_square_red": float(np.median(sides(rows, red_part) / sides(rows, red_whole))),
            "median_square_red_by_now": float(np.median(sides(rows, red_part) / now)),
        }


def by_number(table: pd.DataFrame) -> Iterator[dict[str, object]]:
    """Rows of `red_cells_few.csv`."""
    for name, rows in table.groupby("set", sort=False):
        random = np.random.default_rng(0)
        for number in (5, 10, 20):
            if len(rows) <= 2 * number:
                continue
            found: dict[str, list[float]] = {"nucleus": [], "red": []}
            for _ in range(DRAWS):
                drawn = rows.iloc[random.choice(len(rows), number, replace=False)]
                for kind, ones in found.items():
                    ones.append(abs(np.log(drawn[kind].median() / rows[kind].median())))
            spread = {
                f"{kind}_{at}": float(np.exp(np.nanquantile(ones, q)))
                for kind, ones in found.items()
                for at, q in (("median", 0.5), ("95th", 0.95))
            }
            yield {"set": name, "images": number, **spread, "without_red": np.isnan(found["red"]).mean()}


def main(given: Sequence[str] | None = None) -> None:
    """Measure and write."""
    chosen = arguments(__doc__).parse_args(given)
    if chosen.data is None:
        raise ConfigurationError("Real images are needed: give --data.")
    file = chosen.out / "red_cells_images.csv"
    if not file.is_file():
        write_table(pd.DataFrame(images(chosen.data, list(CELLS))), file)
    table = pd.read_csv(file)
    for name, rows in (("", by_set), ("_subsets", by_class), ("_few", by_number)):
        write_table(pd.DataFrame(rows(table)), chosen.out / f"red_cells{name}.csv")


if __name__ == "__main__":
    command(main)
