"""Why framed cells without labels fail from Raabin to Barcelona (`benchmarks/results/beyond/sharpness.csv`).

    python -m benchmarks.questions.sharpness --data ~/wbc --out benchmarks/results/beyond
    python -m benchmarks.questions.sharpness --data ~/wbc --study beyond_rendered --out benchmarks/results/beyond_rendered

Raabin was photographed with smartphones, Barcelona with a scanner. Framing enlarges cells and exposes how sharp they are: the
source models of `beyond.py` or `beyond_rendered.py` without labels, on Barcelona's cells blurred by Gaussians of several
widths (at 96 px).
"""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import torch
from torchvision.transforms.v2.functional import gaussian_blur

from benchmarks.common.options import arguments, command, with_store
from benchmarks.common.results import write_table
from benchmarks.studies import beyond, beyond_rendered
from cellda.experiment.run import Run
from cellda.experiment.stages import source_model
from cellda.experiment.workspace import Workspace
from cellda.models.classifier import CellClassifier
from cellda.training.loop import Trainer

STUDIES = {study.name: study for study in (beyond.STUDY, beyond_rendered.STUDY)}
SIGMAS = (0.0, 0.5, 1.0, 1.4, 2.0)
"""Pixels."""

WIDTH = 13


def accuracy(case: Run, model: CellClassifier, sigma: float, trainer: Trainer) -> float:
    """Accuracy on the blurred query images of a case."""
    images, labels = case.query(model.normalizer), case.target.labels[list(case.scored)]
    if sigma:
        pixels = gaussian_blur(images.raw(range(len(images))), [WIDTH, WIDTH], [sigma, sigma])
        images = replace(images, pixels=pixels, rows=torch.arange(len(images)))
    return float((trainer.probabilities(model, images).argmax(1) == labels).float().mean())


def main(given: Sequence[str] | None = None) -> None:
    """Measure the unadapted models of a study."""
    parser = with_store(arguments(__doc__))
    parser.add_argument("--study", choices=STUDIES, default="beyond")
    chosen = parser.parse_args(given)
    study, trainer, rows = STUDIES[chosen.study], Trainer("cpu"), []
    for condition, recipe in study.recipes.items():
        if recipe.adapter.name != "none":
            continue
        case = Run.prepare(recipe, study.targets[0], Workspace(chosen.data, chosen.store))
        model = CellClassifier.load(source_model(case, trainer))
        rows += [
            {"condition": condition, "sigma": sigma, "accuracy": accuracy(case, model, sigma, trainer)}
            for sigma in SIGMAS
        ]
    write_table(pd.DataFrame(rows), chosen.out / "sharpness.csv")


if __name__ == "__main__":
    command(main)
