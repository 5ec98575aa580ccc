"""How well colour alone predicts the class, with and without the transform, and without the cell.

    python -m benchmarks.questions.colour_shortcuts --data ~/wbc --out benchmarks/results/colour_shortcuts

A linear classifier sees six numbers per image, mean and standard deviation of each channel's logarithm, over the whole image
or only over its frame, which shows no cell except in very tight crops. It is fitted on the support of each draw and evaluated
on its query by balanced accuracy. The frame of an untransformed image predicts classes only if classes and slides coincide: a
shortcut, which `no_transform` keeps and the transform removes. After the transform, the frame can also predict classes
because statistics of the whole image, including the cell, shift every pixel. Needs no model; takes a minute.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

import cellda.normalizers
from benchmarks.common.datasets import datasets_of
from benchmarks.common.options import arguments, command
from benchmarks.common.results import write_table
from cellda.data.few_shot import draw_support
from cellda.datasets.base import CellDataset
from cellda.errors import ConfigurationError

SIZE, MARGIN = 128, 10
ENOUGH = 5
"""Classes with fewer query cells are left out of the balanced accuracy (docs/protocol.md)."""


def statistics(images: Tensor) -> dict[str, npt.NDArray[np.float32]]:
    """Region -> `(N, 6)` mean and deviation of the channels' logarithms, of images `(N, 3, S, S)` in [0, 1]."""
    logs = images.clamp(min=1 / 255).log()
    frame = torch.ones(images.shape[2:], dtype=torch.bool)
    frame[MARGIN:-MARGIN, MARGIN:-MARGIN] = False
    regions = {"frame": logs[:, :, frame], "image": logs.flatten(2)}
    return {name: torch.cat([part.mean(2), part.std(2)], 1).numpy() for name, part in regions.items()}


def balanced_accuracy(
    features: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    support: Sequence[int],
    query: Sequence[int],
) -> tuple[float, int]:
    """Mean recall on the query over its classes with enough cells, and their number."""
    fitted, asked = list(support), list(query)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    found = classifier.fit(features[fitted], labels[fitted]).predict(features[asked])
    kinds, counts = np.unique(labels[asked], return_counts=True)
    recalls = [float((found[labels[asked] == kind] == kind).mean()) for kind in kinds[counts >= ENOUGH]]
    return float(np.mean(recalls)), len(recalls)


def measured(datasets: Sequence[CellDataset], draws: Sequence[int]) -> pd.DataFrame:
    """Balanced accuracy of every dataset, transform, region and draw, with chance.

    Raises:
        ConfigurationError: If the support of a draw holds a single class.
    """
    rows = []
    for dataset in datasets:
        raw = dataset.read(list(range(len(dataset))), SIZE)
        labels = dataset.labels.numpy()
        for transform in ("identity", "reinhard"):
            normalizer = cellda.normalizers.create(transform)
            batches = [statistics(normalizer(part.float() / 255)) for part in torch.split(raw, 256)]
            for region in batches[0]:
                features = np.concatenate([batch[region] for batch in batches])
                for number in draws:
                    draw = draw_support(dataset, draw=number)
                    if len(np.unique(labels[list(draw.support)])) < 2:
                        raise ConfigurationError(
                            f"The support of {dataset.full_name}, draw {number}, holds a single class; leave the dataset out."
                        )
                    accuracy, classes = balanced_accuracy(features, labels, draw.support, draw.query)
                    rows.append(
                        {
                            "dataset": dataset.full_name,
                            "transform": transform,
                            "region": region,
                            "draw": number,
                            "balanced_accuracy": accuracy,
                            "chance": 1 / classes,
                        }
                    )
    return pd.DataFrame(rows)


def main(given: Sequence[str] | None = None) -> None:
    """Measure every dataset and draw."""
    parser = arguments(__doc__)
    parser.add_argument("--datasets", nargs="+", help="datasets to measure (default: all in --data)")
    parser.add_argument(
        "--draws", type=int, nargs="+", default=range(5), help="which draws (default: 0 to 4)"
    )
    chosen = parser.parse_args(given)
    table = measured(datasets_of(chosen.data, chosen.datasets), chosen.draws)
    write_table(table, chosen.out / "colour_shortcuts.csv")


if __name__ == "__main__":
    command(main)
