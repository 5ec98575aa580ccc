"""Fig. 8 of the paper: flattened images of all datasets in two dimensions, before and after the transform.

    python -m benchmarks.figures.domain_shift --data ~/wbc --out figures

At most 200 cells per dataset, as far as possible the same number of each class; transformed at 128 px, then shrunk to 32 px
and flattened. Writes `domain_shift.png` and `domain_shift.csv`: the accuracy of a classifier that predicts a cell's dataset
(groups kept together), the accuracy of chance, and the silhouette by dataset. A transform that removes the shift brings the
first down to the second. Needs no model and no store: a few minutes for the images of ten datasets.
"""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import numpy.typing as npt
import pandas as pd
from torch import Tensor
from torch.nn.functional import interpolate

import cellda.normalizers
from benchmarks.common.datasets import datasets_of, title_of
from benchmarks.common.maps import Map, cell_maps
from benchmarks.common.options import arguments, command
from benchmarks.common.projection import tsne
from benchmarks.common.results import write_table
from benchmarks.common.sampling import balanced_sample
from benchmarks.common.separation import domain_separation
from cellda.datasets.base import CellDataset
from cellda.reporting.figures import save_figure

SIZE, FLATTENED = 128, 32
NORMALIZERS = {"before": "identity", "after": "reinhard"}


def flattened(images: Tensor) -> npt.NDArray[np.float32]:
    """Images `(N, 3, S, S)` in [0, 1] as vectors `(N, 3072)`."""
    small = interpolate(images, size=FLATTENED, mode="bilinear", antialias=True)
    return np.asarray(small.flatten(1).numpy(), dtype=np.float32)


def compared(datasets: Sequence[CellDataset], cells: int, seed: int) -> tuple[list[Map], pd.DataFrame]:
    """The maps before and after the transform, and how well the datasets are separated in each.

    Args:
        datasets: The datasets to show.
        cells: Maximum number of cells of each dataset.
        seed: Seed of the sample of cells and of the maps.
    """
    features: dict[str, list[npt.NDArray[np.float32]]] = {stage: [] for stage in NORMALIZERS}
    names: list[str] = []
    groups: list[str] = []
    for dataset in datasets:
        rows = balanced_sample(list(dataset.table["label"]), cells, seed)
        images = dataset.read(rows, SIZE).float() / 255
        for stage, normalizer in NORMALIZERS.items():
            features[stage].append(flattened(cellda.normalizers.create(normalizer)(images)))
        own = dataset.effective_groups()
        groups += [own[row] for row in rows]
        names += [title_of(dataset)] * len(rows)
    maps, numbers = [], []
    for stage, parts in features.items():
        vectors = np.concatenate(parts)
        found = domain_separation(vectors, names, groups, seed)
        title = (
            f"{stage} the transform\ndataset recognised: {found.accuracy:.2f} (chance {found.chance:.2f}), "
            f"silhouette {found.silhouette:z.2f}"
        )
        maps.append(Map(title, tsne(vectors, seed), names))
        numbers.append({"transform": stage, "cells": len(names), **asdict(found)})
    return maps, pd.DataFrame(numbers)


def main(given: Sequence[str] | None = None) -> None:
    """Draw the two maps and measure both."""
    parser = arguments(__doc__)
    parser.add_argument("--datasets", nargs="+", help="datasets to show (default: all in --data)")
    parser.add_argument("--cells", type=int, default=200, help="cells of each dataset (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="which cells, and the map's seed (default: 0)")
    chosen = parser.parse_args(given)
    maps, numbers = compared(datasets_of(chosen.data, chosen.datasets), chosen.cells, chosen.seed)
    print(save_figure(cell_maps(maps, "dataset"), chosen.out / "domain_shift.png"))
    write_table(numbers, chosen.out / "domain_shift.csv")


if __name__ == "__main__":
    command(main)
