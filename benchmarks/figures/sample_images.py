"""Figs. 2 to 4 of the paper: samples of every dataset, the transform, and the augmentation of the source.

    python -m benchmarks.figures.sample_images --data ~/wbc --out figures

Writes `samples.png` (a cell of each class of each dataset), `normalization.png` (a cell of each dataset before and after
the transform) and `augmentation.png` (cells of the source: original, at lower resolution, zoomed and transformed, as in
source training). Without `--data`, cells are synthetic: `--out docs/images` makes the pictures of README and docs.
"""

from collections.abc import Sequence

import torch
from matplotlib.figure import Figure
from torch import Generator, Tensor

import cellda.normalizers
from benchmarks.common.datasets import datasets_of, title_of
from benchmarks.common.options import arguments, command
from benchmarks.common.sampling import balanced_sample
from cellda.datasets.base import CellDataset
from cellda.imaging.augment import random_degrade, random_zoom
from cellda.reporting.figures import contact_sheet, save_figure
from cellda.taxonomies import DEFAULT, create

CLASSES = create(DEFAULT).classes
SIZE = 160


def cell_of(dataset: CellDataset, label: str, seed: int) -> Tensor:
    """One cell of a class `(1, 3, S, S)`, in [0, 1]; white if the dataset has none."""
    rows = dataset.table.index[dataset.table["label"] == label]
    if len(rows) == 0:
        return torch.ones(1, 3, SIZE, SIZE)
    return dataset.read([int(rows[seed * 31 % len(rows)])], SIZE).float() / 255


def samples(datasets: Sequence[CellDataset], seed: int) -> Figure:
    """Fig. 2: a row for each dataset, a column for each class."""
    rows = [torch.cat([cell_of(dataset, label, seed) for label in CLASSES]) for dataset in datasets]
    return contact_sheet(rows, [title_of(dataset) for dataset in datasets], CLASSES)


def before_and_after(datasets: Sequence[CellDataset], seed: int) -> Figure:
    """Fig. 3: a column for each dataset, with a different class each time."""
    cells, titles = [], []
    for number, dataset in enumerate(datasets):
        classes = list(dataset.class_counts())
        label = CLASSES[number % len(CLASSES)]
        label = label if label in classes else classes[number % len(classes)]
        cells.append(cell_of(dataset, label, seed))
        titles.append(f"{title_of(dataset)}\n{label}")
    images = torch.cat(cells)
    after = cellda.normalizers.create("reinhard")(images)
    return contact_sheet([images, after], ["before", "after"], titles)


def augmentation(source: CellDataset, seed: int) -> Figure:
    """Fig. 4: a column for each class, a row for each successive step of source training."""
    rows = balanced_sample(list(source.table["label"]), len(source.class_counts()), seed)
    shown = training_steps(source.read(rows, SIZE).float() / 255, seed)
    labels = list(source.table["label"].iloc[rows])
    return contact_sheet(list(shown.values()), list(shown), labels, title_of(source))


def training_steps(images: Tensor, seed: int) -> dict[str, Tensor]:
    """Images `(N, 3, S, S)` in [0, 1] before and after each successive step of source training, by the step's title."""
    generator = Generator().manual_seed(seed)
    degraded = random_degrade(images, generator)
    zoomed = random_zoom(degraded, generator)
    transformed = cellda.normalizers.create("reinhard")(zoomed)
    return {
        "original": images,
        "resolution\nlowered": degraded,
        "zoomed": zoomed,
        "transformed": transformed,
    }


def main(given: Sequence[str] | None = None) -> None:
    """Draw the three figures."""
    parser = arguments(__doc__)
    parser.add_argument("--datasets", nargs="+", help="datasets to show (default: all in --data)")
    parser.add_argument("--source", help="source of Fig. 4 (default: barcelona, else the first)")
    parser.add_argument("--seed", type=int, default=0, help="which cells (default: 0)")
    chosen = parser.parse_args(given)
    datasets = datasets_of(chosen.data, chosen.datasets)
    if chosen.source is not None:
        (source,) = datasets_of(chosen.data, [chosen.source])
    else:
        source = next((one for one in datasets if one.name == "barcelona"), datasets[0])
    figures = {
        "samples": samples(datasets, chosen.seed),
        "normalization": before_and_after(datasets, chosen.seed),
        "augmentation": augmentation(source, chosen.seed),
    }
    for name, figure in figures.items():
        print(save_figure(figure, chosen.out / f"{name}.png", dpi=110))


if __name__ == "__main__":
    command(main)
