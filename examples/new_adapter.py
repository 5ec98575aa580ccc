"""A new adaptation method in one file: it is named, validated, searched and compared like the built-in ones.

The method: nearest class mean. The last layer becomes one unit a class that measures the cosine to the mean embedding of
the class's support images (Snell et al. 2017, with cosine similarity as in SimpleShot, Wang et al. 2019).

    python examples/new_adapter.py
"""

from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cellda import CellClassifier, Recipe
from cellda.adapters import AdaptContext, Adapter, Need, TargetView, register, tunable
from cellda.datasets import CellDataset


class CosineHead(nn.Module):
    """Logits `(B, classes)`: scaled cosine between an embedding and one mean a class; classes without a mean get -inf."""

    means: Tensor
    known: Tensor

    def __init__(self, means: Tensor, known: Tensor, scale: float) -> None:
        super().__init__()
        self.register_buffer("means", means)  # buffers move to the device with the model
        self.register_buffer("known", known)
        self.scale = scale

    def forward(self, embeddings: Tensor) -> Tensor:
        """Logits of embeddings `(B, D)`."""
        cosine = F.normalize(embeddings, dim=1) @ F.normalize(self.means, dim=1).T
        return (self.scale * cosine).masked_fill(~self.known, float("-inf"))


@register("class_means")
class ClassMeans(Adapter):
    """Classify by the nearest mean embedding of the support images; trains nothing."""

    needs: ClassVar[frozenset[Need]] = frozenset({Need.LABELS})

    scale: float = tunable(10.0, low=1.0, high=50.0, log=True, gt=0)

    def adapt(self, model: CellClassifier, target: TargetView, context: AdaptContext) -> CellClassifier:
        """Replace the head of `model`."""
        embeddings = context.trainer.embeddings(model, target.support)
        onehot = F.one_hot(target.support.labels, len(model.classes)).to(embeddings)
        counts = onehot.sum(0)
        means = (onehot.T @ embeddings) / counts.clamp(min=1)[:, None]
        model.head = CosineHead(means, counts > 0, self.scale)  # type: ignore[assignment]
        return model


def main(
    recipe: Recipe | None = None,
    target: str | CellDataset = "synthetic/3",
    store: Path = Path("cellda-results"),
) -> float:
    """Run the new method on a drawn target and return its accuracy."""
    base = recipe or Recipe.preset("laptop").with_(
        sources=["synthetic/0"], backbone={"image_size": 96}, training={"epochs": 6, "lr": 5e-4}
    )
    result = base.with_(adapter="class_means").run(target, store=store, keep_model=False)
    print(result)
    return result.metrics.accuracy.value


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
