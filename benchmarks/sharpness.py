"""Why framed cells without labels fail from Raabin to Barcelona (`benchmarks/results/beyond/sharpness.csv`).

    python benchmarks/sharpness.py --data ~/wbc --out benchmarks/results/beyond

Raabin was photographed with telephones, Barcelona by a scanner. Framing enlarges cells, and shows how sharp they are: the
source models of `beyond.py` without labels, on Barcelona's cells blurred by a Gaussian of some width (at 96 px).
"""

from collections.abc import Sequence

import pandas as pd
import torch
from beyond import STUDY
from choice import arguments, command, write_table
from torchvision.transforms.v2.functional import gaussian_blur

from cellda.case import Case
from cellda.models.classifier import CellClassifier
from cellda.stages import source_model
from cellda.store import Store
from cellda.training.loop import Trainer

SIGMAS = (0.0, 0.5, 1.0, 1.4, 2.0)
"""Pixels."""

BATCH, WIDTH = 64, 13


def accuracies(case: Case, model: CellClassifier) -> dict[float, float]:
    """Accuracy on the query of a case by how much its images are blurred."""
    images, labels = case.query(model.normalizer), case.target.labels[list(case.scored)]
    quick, found = model.for_inference(), {}
    for sigma in SIGMAS:
        right = 0
        for start in range(0, len(images), BATCH):
            rows = range(start, min(start + BATCH, len(images)))
            pixels = images.raw(rows)
            blurred = gaussian_blur(pixels, [WIDTH, WIDTH], [sigma, sigma]) if sigma else pixels
            with torch.no_grad():
                predicted = quick.probabilities(blurred).argmax(1)
            right += int((predicted.cpu() == labels[rows.start : rows.stop]).sum())
        found[sigma] = right / len(images)
    return found


def main(given: Sequence[str] | None = None) -> None:
    """Measure both models."""
    parser = arguments(__doc__)
    parser.add_argument("--store", help="where the source models lie (default: the user's cache folder)")
    chosen = parser.parse_args(given)
    rows = []
    for condition in ("none", "none@cell"):
        case = Case.prepare(STUDY.recipes[condition], STUDY.targets[0], chosen.data, Store(chosen.store))
        model = CellClassifier.load(source_model(case, Trainer("cpu")))
        rows += [
            {"condition": condition, "sigma": sigma, "accuracy": accuracy}
            for sigma, accuracy in accuracies(case, model).items()
        ]
    write_table(pd.DataFrame(rows), chosen.out / "sharpness.csv")


if __name__ == "__main__":
    command(main)
