"""A model that was measured on labelled cells."""

import numpy as np
import torch

from cellda import CellClassifier
from cellda.evaluation.calibration import Calibration
from cellda.models.evidence import Evidence
from predicted import table_of
from tiny import CLASSES, small_model


def measured(cells: int = 9) -> CellClassifier:
    """A small model that knows made-up predictions of labelled cells."""
    model = small_model()
    rng = np.random.default_rng(0)
    said, labels = rng.dirichlet(np.ones(6), cells), rng.integers(0, 6, cells)
    model.evidence = Evidence(
        cells=table_of(said, labels, CLASSES),
        kept=torch.arange(0, cells, 2),
        embeddings=torch.randn(len(range(0, cells, 2)), 128, generator=torch.Generator().manual_seed(1)),
        looks=torch.randint(0, 255, (len(range(0, cells, 2)), 3, 64, 64), dtype=torch.uint8),
        folds=5,
        searched=True,
    )
    model.calibration = Calibration(temperature=1.5, shifts=(0.1, 0, 0, 0, 0, -0.1))
    return model
