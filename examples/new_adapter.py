"""A new adaptation method in one file: named, validated, searched and compared like the built-in ones.

The method: nearest class median. A class is represented by the coordinate-wise median of the embeddings of its support
images, which one mislabelled cell moves less than their mean (used by `ncm`). A cell gets the class whose median has the
largest cosine.

    python examples/new_adapter.py
"""

from pathlib import Path
from typing import ClassVar

import torch
from torch.nn import functional as F

from cellda import Recipe
from cellda.plugin import (
    AdaptContext,
    CellDataset,
    Effect,
    FeatureAdapter,
    Features,
    Head,
    Linear,
    register_adapter,
    tunable,
)


@register_adapter("class_medians")
class ClassMedians(FeatureAdapter):
    """Classify by the nearest median embedding of the support images; trains nothing.

    Classes without support are never predicted.
    """

    effects: ClassVar[frozenset[Effect]] = frozenset({Effect.NEW_HEAD})

    scale: float = tunable(10.0, low=1.0, high=50.0, log=True, gt=0)

    def fit_head(self, head: Head, features: Features, context: AdaptContext) -> Head:
        """A head with one row per class: `scale` times the cosine to its median; nothing is trained."""
        del context
        classes = sorted(set(features.labels.tolist()))
        medians = [features.support[features.labels == label].median(0).values for label in classes]
        found = Linear(features.support.shape[1], head.classes, unit=True)
        rows = self.scale * F.normalize(torch.stack(medians), dim=1)
        found.set_classes(classes, rows, torch.zeros(len(classes)))
        return found


def main(
    recipe: Recipe | None = None,
    target: str | CellDataset = "synthetic/3",
    store: Path = Path("cellda-results"),
) -> float:
    """Run the new method on a synthetic target and return its accuracy."""
    base = recipe or Recipe.preset("laptop").with_(
        sources=["synthetic/0"], backbone={"image_size": 96}, training={"epochs": 6, "lr": 5e-4}
    )
    result = base.with_(adapter="class_medians").run(target, store=store)
    print(result)
    return result.metrics.accuracy.value


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
